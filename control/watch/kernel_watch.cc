// SPDX-License-Identifier: BSD-3-Clause
#include "control/watch/kernel_watch.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "control/watch/kernel_tables.h"
#include "dataplane/net/check.h"

namespace godwit {
namespace {

using std::chrono::milliseconds;

// Changes come in groups (a route and its neighbour); one look covers them.
constexpr milliseconds kSettle(5);
constexpr milliseconds kBetweenCalls(10);
// A tenth of a CPU at most goes into reading.
constexpr int kRestPerDump = 10;
constexpr milliseconds kRetryAfterError(100);
constexpr milliseconds kBetweenResolves(1000);
constexpr size_t kMaxResolveTimes = 4096;
// The kernel asks for a neighbour once a second (RFC 1122 2.3.2.1, RFC 4861
// 10). One that is kept is worth more at first: whatever comes until it is
// known has to wait.
constexpr milliseconds kEager(3000);
constexpr milliseconds kBetweenEager(200);

constexpr int kGroups[] = {
    RTNLGRP_LINK,        RTNLGRP_NEIGH,      RTNLGRP_IPV4_IFADDR,
    RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
    RTNLGRP_NEXTHOP,
};

absl::StatusOr<NetlinkSocket> OpenEvents(int receive_buffer_bytes) {
  auto socket = NetlinkSocket::Open();
  if (!socket.ok()) return socket;
  const absl::Status buffer = socket->SetReceiveBuffer(receive_buffer_bytes);
  if (!buffer.ok()) return buffer;
  const absl::Status subscribed = socket->Subscribe(kGroups);
  if (!subscribed.ok()) return subscribed;
  return socket;
}

// Whether a neighbour that is kept can be left to the kernel.
bool IsTheKernels(const NeighbourEntry& entry, bool eager) {
  const bool kept = entry.managed || entry.state == NeighbourState::kPermanent;
  return kept && (entry.usable() || !eager);
}

}  // namespace

absl::StatusOr<std::unique_ptr<KernelWatch>> KernelWatch::Start(
    OnChange on_change, const Options& options) {
  // Subscribed before the first dump: nothing falls in between.
  auto events = OpenEvents(options.receive_buffer_bytes);
  if (!events.ok()) return events.status();
  auto reader = NetlinkSocket::Open();
  if (!reader.ok()) return reader.status();
  auto writer = NetlinkSocket::Open();
  if (!writer.ok()) return writer.status();
  std::unique_ptr<KernelWatch> watch(
      new KernelWatch(std::move(on_change), *std::move(events),
                      *std::move(reader), *std::move(writer)));
  auto first = std::make_shared<Observation>();
  for (int part = 0; part < kPartCount; ++part) {
    const absl::Status read = watch->Read(static_cast<PartIndex>(part), *first);
    if (!read.ok()) return read;
  }
  watch->current_ = std::move(first);
  watch->thread_ = std::thread([&w = *watch] { w.Run(); });
  return watch;
}

KernelWatch::KernelWatch(OnChange on_change, NetlinkSocket events,
                         NetlinkSocket reader, NetlinkSocket writer)
    : on_change_(std::move(on_change)),
      events_(std::move(events)),
      reader_(std::move(reader)),
      wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      writer_(std::move(writer)) {
  GODWIT_CHECK(wake_fd_ >= 0);
}

KernelWatch::~KernelWatch() {
  if (thread_.joinable()) {
    stopping_ = true;
    Wake();
    thread_.join();
    // The interface may be gone, and its neighbours with it.
    KeepAlive({}).IgnoreError();
  }
  close(wake_fd_);
}

void KernelWatch::Wake() { GODWIT_CHECK(eventfd_write(wake_fd_, 1) == 0); }

std::shared_ptr<const Observation> KernelWatch::Current() const {
  const std::lock_guard<std::mutex> lock(current_mutex_);
  return current_;
}

void KernelWatch::Run() {
  Clock::time_point next_care = Clock::time_point::max();
  Clock::time_point next_beat = Clock::time_point::max();
  while (true) {
    int timeout_ms = -1;
    const Clock::time_point next =
        std::min({NextRefresh(), next_care, next_beat});
    if (next != Clock::time_point::max()) {
      const auto wait = std::chrono::ceil<milliseconds>(next - Clock::now());
      timeout_ms = static_cast<int>(std::max<int64_t>(wait.count(), 0));
    }
    pollfd fds[] = {{.fd = wake_fd_, .events = POLLIN, .revents = 0},
                    {.fd = events_.fd(), .events = POLLIN, .revents = 0}};
    const int ready = poll(fds, 2, timeout_ms);
    GODWIT_CHECK(ready >= 0 || errno == EINTR);
    if (stopping_) return;
    if (ready > 0 && fds[0].revents != 0) {
      eventfd_t count;
      eventfd_read(wake_fd_, &count);
      // The kernel says nothing of entries that are being resolved.
      MarkStale(RTM_NEWNEIGH);
    }
    // An overrun shows as POLLERR; reading clears it.
    if (ready > 0 && fds[1].revents != 0) DrainEvents();
    bool changed = NextRefresh() <= Clock::now();
    {
      const std::lock_guard<std::mutex> lock(writer_mutex_);
      changed = heartbeat_.Turn(writer_, Clock::now()) || changed;
      next_beat = heartbeat_.next();
    }
    if (changed) RefreshAndTell();
    next_care = CareForKept();
  }
}

KernelWatch::Clock::time_point KernelWatch::NextRefresh() const {
  auto next = Clock::time_point::max();
  for (const Part& part : parts_) {
    if (part.stale)
      next = std::min(next, std::max(part.not_before, settled_at_));
  }
  return next;
}

void KernelWatch::DrainEvents() {
  alignas(nlmsghdr) char buffer[32 << 10];
  while (true) {
    const ssize_t size =
        recv(events_.fd(), buffer, sizeof(buffer), MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == ENOBUFS) {
      ++overruns_;
      MarkStale(RTM_NEWLINK);
      MarkStale(RTM_NEWADDR);
      continue;
    }
    if (size <= 0) return;
    int left = static_cast<int>(size);
    for (auto* header = reinterpret_cast<nlmsghdr*>(buffer);
         nlmsg_ok(header, left) != 0; header = nlmsg_next(header, &left)) {
      const std::lock_guard<std::mutex> lock(writer_mutex_);
      if (heartbeat_.IsEcho(*header, *Current())) continue;
      MarkStale(header->nlmsg_type);
    }
  }
}

void KernelWatch::MarkStale(uint16_t message_type) {
  const bool was_fresh = NextRefresh() == Clock::time_point::max();
  switch (message_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
      // IPv4 routes and neighbours of a link that goes down vanish unsaid.
      parts_[kLinks].stale = true;
      parts_[kNeighbours].stale = true;
      parts_[kRoutes].stale = true;
      break;
    case RTM_NEWADDR:
    case RTM_DELADDR:
      parts_[kAddresses].stale = true;
      parts_[kRoutes].stale = true;
      break;
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH:
      parts_[kNeighbours].stale = true;
      break;
    default:  // routes and next hop objects
      parts_[kRoutes].stale = true;
      break;
  }
  if (was_fresh) {
    settled_at_ = std::max(settled_at_, Clock::now() + kSettle);
  }
}

absl::Status KernelWatch::Read(PartIndex part, Observation& into) {
  const Clock::time_point begin = Clock::now();
  absl::Status status;
  const auto take = [&status](auto read, auto& list) {
    status = read.status();
    if (read.ok()) list = *std::move(read);
  };
  switch (part) {
    case kLinks:
      take(ReadLinks(reader_), into.links);
      break;
    case kAddresses:
      take(ReadAddresses(reader_), into.addresses);
      break;
    case kNeighbours:
      take(ReadNeighbours(reader_), into.neighbours);
      break;
    default:
      take(ReadRoutes(reader_), into.routes);
      break;
  }
  const Clock::time_point end = Clock::now();
  parts_[part].stale = !status.ok();
  parts_[part].not_before =
      status.ok() ? end + (end - begin) * kRestPerDump : end + kRetryAfterError;
  return status;
}

void KernelWatch::RefreshAndTell() {
  const Clock::time_point now = Clock::now();
  auto next = std::make_shared<Observation>(*Current());
  for (int i = 0; i < kPartCount; ++i) {
    const auto part = static_cast<PartIndex>(i);
    if (!parts_[part].stale || parts_[part].not_before > now) continue;
    const absl::Status read = Read(part, *next);
    if (!read.ok()) {
      // The old list stands until the next try.
      std::fprintf(stderr, "godwitd: watch: %s\n", read.ToString().c_str());
    }
  }
  settled_at_ = now + kBetweenCalls;
  {
    const std::lock_guard<std::mutex> lock(writer_mutex_);
    heartbeat_.Mark(next->neighbours);
  }
  if (*next == *Current()) return;
  {
    const std::lock_guard<std::mutex> lock(current_mutex_);
    current_ = next;
  }
  on_change_(*next);
}

absl::Status KernelWatch::SendUse(const NeighbourKey& key, Keeping keeping) {
  const absl::Status status = UseNeighbour(writer_, key, keeping);
  Wake();
  return status;
}

absl::Status KernelWatch::Resolve(int ifindex, const IpAddress& address) {
  const NeighbourKey key{ifindex, address};
  const auto current = Current();
  const NeighbourEntry* entry = FindNeighbour(*current, ifindex, address);
  // NTF_USE would take the permanence from it.
  if (entry != nullptr && entry->state == NeighbourState::kPermanent) {
    return absl::OkStatus();
  }
  const std::lock_guard<std::mutex> lock(writer_mutex_);
  const auto may_ask = MayAsk(key);
  if (!may_ask.ok() || !*may_ask) return may_ask.status();
  // Without the flag the kernel would no longer keep it by itself.
  const bool kept = kept_alive_.contains(key);
  return SendUse(key, kept ? Keeping::kKeep : Keeping::kLeave);
}

absl::StatusOr<bool> KernelWatch::MayAsk(const NeighbourKey& key) {
  const Clock::time_point now = Clock::now();
  const auto last = last_resolved_.find(key);
  if (last != last_resolved_.end() && now - last->second < kBetweenResolves) {
    return false;
  }
  if (last_resolved_.size() >= kMaxResolveTimes) {
    std::erase_if(last_resolved_, [now](const auto& item) {
      return now - item.second >= kBetweenResolves;
    });
    if (last_resolved_.size() >= kMaxResolveTimes) {
      return absl::ResourceExhaustedError(
          absl::StrCat("resolving ", key.address.ToString(), ": more than ",
                       kMaxResolveTimes, " addresses asked for in a second"));
    }
  }
  last_resolved_[key] = now;
  return true;
}

absl::Status KernelWatch::KeepAlive(const std::vector<NeighbourKey>& wanted,
                                    const std::set<NeighbourKey>& watched) {
  const auto current = Current();
  const auto permanent = [&current](const NeighbourKey& key) {
    const auto* entry = FindNeighbour(*current, key.ifindex, key.address);
    return entry != nullptr && entry->state == NeighbourState::kPermanent;
  };
  const std::set<NeighbourKey> next(wanted.begin(), wanted.end());
  absl::Status first_error;
  const std::lock_guard<std::mutex> lock(writer_mutex_);
  for (const auto& [key, since] : kept_alive_) {
    // Clears the kernel's flag. No error matters: what is gone is not kept.
    if (next.contains(key) || permanent(key)) continue;
    const auto* entry = FindNeighbour(*current, key.ifindex, key.address);
    if (entry != nullptr) SendUse(key, Keeping::kLeave).IgnoreError();
  }
  std::map<NeighbourKey, Clock::time_point> kept;
  for (const NeighbourKey& key : next) {
    const Clock::time_point now = Clock::now();
    const auto known = kept_alive_.find(key);
    kept[key] = known == kept_alive_.end() ? now : known->second;
    if (known != kept_alive_.end() || permanent(key)) continue;
    last_resolved_[key] = now;
    first_error.Update(SendUse(key, Keeping::kKeep));
  }
  kept_alive_ = std::move(kept);
  if (heartbeat_.Watch(watched, Clock::now())) Wake();
  return first_error;
}

// The list that `current_` has of a large table can be seconds old. Starting
// over with a neighbour that was resolved since would take it from the kernel.
void KernelWatch::AskAgain(const NeighbourKey& key, bool eager) {
  const auto entry = ReadNeighbour(writer_, key.ifindex, key.address);
  if (entry.ok() && IsTheKernels(*entry, eager)) return;
  if (entry.ok() && entry->managed) {
    // It forgets that it asked already, and when it would again.
    SetNeighbour(writer_, key, NUD_NONE, "asking again for a neighbour")
        .IgnoreError();
  }
  SendUse(key, Keeping::kKeep).IgnoreError();
}

KernelWatch::Clock::time_point KernelWatch::CareForKept() {
  const auto current = Current();
  const Clock::time_point now = Clock::now();
  auto next = Clock::time_point::max();
  const std::lock_guard<std::mutex> lock(writer_mutex_);
  for (auto& [key, since] : kept_alive_) {
    const LinkEntry* link = FindLink(*current, key.ifindex);
    if (link == nullptr || !link->up || !link->carrier) {
      since = now;  // a change will bring it back
      continue;
    }
    const auto* entry = FindNeighbour(*current, key.ifindex, key.address);
    const bool eager = now - since < kEager;
    if (entry != nullptr && IsTheKernels(*entry, eager)) continue;
    const milliseconds period = eager ? kBetweenEager : kBetweenResolves;
    Clock::time_point& last = last_resolved_[key];
    if (now - last >= period) {
      last = now;
      AskAgain(key, eager);
    }
    next = std::min(next, last + period);
  }
  return next;
}

}  // namespace godwit
