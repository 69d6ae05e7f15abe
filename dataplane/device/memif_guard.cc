// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/device/memif_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <rte_alarm.h>
#include <semaphore.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>

namespace godwit {
namespace {

constexpr char kDriver[] = "librte_net_memif.so";

// Written by: the control thread. All constant-initialised: munmap is called
// before any constructor of ours has run.
constinit std::atomic<uintptr_t> driver_begin = 0;
constinit std::atomic<uintptr_t> driver_end = 0;
constinit std::atomic<void (*)()> grace_hook = nullptr;
constinit std::atomic<uint64_t> waits = 0;
constinit std::atomic<int> connection = -1;

int NoteDriver(dl_phdr_info* info, size_t, void*) {
  const char* const slash = strrchr(info->dlpi_name, '/');
  const char* const file = slash == nullptr ? info->dlpi_name : slash + 1;
  if (strncmp(file, kDriver, sizeof(kDriver) - 1) != 0) return 0;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& header = info->dlpi_phdr[i];
    if (header.p_type != PT_LOAD || (header.p_flags & PF_X) == 0) continue;
    driver_begin = info->dlpi_addr + header.p_vaddr;
    driver_end = info->dlpi_addr + header.p_vaddr + header.p_memsz;
    return 1;
  }
  return 0;
}

bool IsMemif(const void* caller) {
  const auto address = reinterpret_cast<uintptr_t>(caller);
  return address >= driver_begin.load(std::memory_order_relaxed) &&
         address < driver_end.load(std::memory_order_relaxed);
}

bool IsGone(int error) {
  return error == EPIPE || error == ECONNRESET || error == ENOTCONN;
}

ssize_t SizeOf(const msghdr& message) {
  size_t size = 0;
  for (size_t i = 0; i < message.msg_iovlen; ++i) {
    size += message.msg_iov[i].iov_len;
  }
  return static_cast<ssize_t>(size);
}

void WaitIfMemif(const void* caller) {
  if (!IsMemif(caller)) return;
  void (*const wait)() = grace_hook.load(std::memory_order_acquire);
  if (wait == nullptr) return;
  // The driver's flag is cleared before, with a plain store: it must be seen
  // by whoever passes the quiescent point that we wait for.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  wait();
  waits.fetch_add(1, std::memory_order_relaxed);
}

int Connect(int fd, const sockaddr* address, socklen_t size) {
  return static_cast<int>(syscall(SYS_connect, fd, address, size));
}

// Where the server's backlog is full, EAGAIN.
int ConnectAtOnce(int fd, const sockaddr* address, socklen_t size) {
  const int flags = fcntl(fd, F_GETFL);
  fcntl(fd, F_SETFL, flags | O_NONBLOCK);
  const int result = Connect(fd, address, size);
  const int error = errno;
  fcntl(fd, F_SETFL, flags);
  if (result == 0) connection = fd;
  errno = error;
  return result;
}

// A call on its way to the interrupt thread.
struct Errand {
  void (*call)(void*);
  void* argument;
  sem_t done;
};

void RunErrand(void* argument) {
  Errand& errand = *static_cast<Errand*>(argument);
  errand.call(errand.argument);
  sem_post(&errand.done);
}

}  // namespace

void SetMemifGraceHook(void (*wait)()) {
  grace_hook.store(wait, std::memory_order_release);
}

bool ArmMemifGuard() { return dl_iterate_phdr(NoteDriver, nullptr) == 1; }

void RunOnInterruptThread(void (*call)(void*), void* argument) {
  Errand errand = {call, argument, {}};
  sem_init(&errand.done, 0, 0);
  if (rte_eal_alarm_set(1, RunErrand, &errand) != 0) {
    call(argument);
  } else {
    while (sem_wait(&errand.done) != 0) {
    }
  }
  sem_destroy(&errand.done);
}

int TakeMemifConnection() { return connection.exchange(-1); }

uint64_t MemifGuardWaits() { return waits.load(std::memory_order_relaxed); }

}  // namespace godwit

// Before libc's for every shared object; straight to the kernel, because these
// run before and inside of everything else.
extern "C" {

[[gnu::visibility("default"), gnu::noinline]] int munmap(
    void* address, size_t length) noexcept {
  godwit::WaitIfMemif(__builtin_return_address(0));
  return static_cast<int>(syscall(SYS_munmap, address, length));
}

[[gnu::visibility("default"), gnu::noinline]] int close(int fd) {
  godwit::WaitIfMemif(__builtin_return_address(0));
  return static_cast<int>(syscall(SYS_close, fd));
}

[[gnu::visibility("default"), gnu::noinline]] ssize_t sendmsg(
    int fd, const msghdr* message, int flags) {
  const ssize_t sent = syscall(SYS_sendmsg, fd, message, flags);
  const bool lost = sent < 0 && godwit::IsGone(errno) &&
                    godwit::IsMemif(__builtin_return_address(0));
  return lost ? godwit::SizeOf(*message) : sent;
}

[[gnu::visibility("default"), gnu::noinline]] int connect(
    int fd, const sockaddr* address, socklen_t size) {
  return godwit::IsMemif(__builtin_return_address(0))
             ? godwit::ConnectAtOnce(fd, address, size)
             : godwit::Connect(fd, address, size);
}

}  // extern "C"
