// SPDX-License-Identifier: BSD-3-Clause
#include "bpf/inspect.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"

namespace godwit {
namespace {

constexpr size_t kMaxMaps = 64;  // that a program of ours can have

}  // namespace

Descriptor::~Descriptor() {
  if (fd_ >= 0) close(fd_);
}

Descriptor::Descriptor(Descriptor&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)) {}

std::string ProgramName(const Descriptor& program) {
  bpf_prog_info info = {};
  uint32_t size = sizeof(info);
  if (program.fd() < 0 ||
      bpf_obj_get_info_by_fd(program.fd(), &info, &size) != 0) {
    return "";
  }
  return info.name;
}

std::string ProgramName(__u32 program_id) {
  if (program_id == 0) return "";
  return ProgramName(Descriptor(bpf_prog_get_fd_by_id(program_id)));
}

Descriptor MapOf(const Descriptor& program, std::string_view name) {
  std::array<__u32, kMaxMaps> ids = {};
  bpf_prog_info info = {};
  info.nr_map_ids = kMaxMaps;
  info.map_ids = reinterpret_cast<uintptr_t>(ids.data());
  uint32_t size = sizeof(info);
  if (program.fd() < 0 ||
      bpf_obj_get_info_by_fd(program.fd(), &info, &size) != 0) {
    return Descriptor(-1);
  }
  for (size_t i = 0; i < info.nr_map_ids && i < kMaxMaps; ++i) {
    Descriptor map(bpf_map_get_fd_by_id(ids[i]));
    bpf_map_info about = {};
    size = sizeof(about);
    if (map.fd() >= 0 && bpf_obj_get_info_by_fd(map.fd(), &about, &size) == 0 &&
        name == about.name) {
      return map;
    }
  }
  return Descriptor(-1);
}

absl::StatusOr<std::vector<__u64>> ReadPerCpu(int map_fd, size_t fields) {
  const int cpus = libbpf_num_possible_cpus();
  if (cpus < 0) return absl::ErrnoToStatus(-cpus, "counting the CPUs");
  std::vector<__u64> each(static_cast<size_t>(cpus) * fields);
  const uint32_t zero = 0;
  if (bpf_map_lookup_elem(map_fd, &zero, each.data()) != 0) {
    return absl::ErrnoToStatus(errno, "reading the counters");
  }
  return each;
}

}  // namespace godwit
