// SPDX-License-Identifier: BSD-3-Clause
// Keeps an Observation of one network namespace current, by netlink.
//
// An event only says which of the lists is out of date; the list is then read
// again, whole. So nothing can drift: not by routes that the kernel drops
// without a word when a link goes down, not by an overrun of the socket. The
// price is a dump per change; a list is read again at the earliest after ten
// times its last dump took, which bounds the cost to a tenth of a CPU.
#ifndef GODWIT_CONTROL_WATCH_KERNEL_WATCH_H_
#define GODWIT_CONTROL_WATCH_KERNEL_WATCH_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "control/watch/heartbeat.h"
#include "control/watch/neighbour_request.h"
#include "control/watch/netlink.h"
#include "control/watch/observation.h"

namespace godwit {

class KernelWatch {
 public:
  // Called on the watch's own thread, never twice at once, at most 100 times
  // a second, about 5 ms after the first change it covers. Must not destroy
  // the watch; may call Resolve and KeepAlive.
  using OnChange = std::function<void(const Observation&)>;

  struct Options {
    // Asked of the kernel for the event socket; it grants at least 2,304.
    int receive_buffer_bytes = 4 << 20;
  };

  // Watches the namespace of the calling thread. When it returns, Current()
  // is complete; `on_change` hears of what comes later.
  static absl::StatusOr<std::unique_ptr<KernelWatch>> Start(
      OnChange on_change, const Options& options);
  static absl::StatusOr<std::unique_ptr<KernelWatch>> Start(
      OnChange on_change) {
    return Start(std::move(on_change), Options());
  }
  // Waits for a running callback; none comes after. Neighbours of KeepAlive
  // are the kernel's to forget again.
  ~KernelWatch();
  KernelWatch(const KernelWatch&) = delete;
  KernelWatch& operator=(const KernelWatch&) = delete;

  // The latest; any thread.
  std::shared_ptr<const Observation> Current() const;

  // Asks the kernel to resolve, or confirm, a neighbour; the answer comes as a
  // change. Any thread; at most once a second for an address, more are
  // silently left out, and so are permanent ones. The error is the kernel's
  // (no such interface, table full).
  absl::Status Resolve(int ifindex, const IpAddress& address);

  // Asks the kernel whether a neighbour still answers where it was, at once,
  // also where it was just asked; it forgets one that does not after three
  // seconds. Any thread; one that is permanent, or not known now, is left out.
  absl::Status Doubt(int ifindex, const IpAddress& address);
  // Of now, not of Current(): kReachable after a Doubt says that it answered.
  absl::StatusOr<NeighbourState> StateOf(int ifindex, const IpAddress& address);
  // Has the kernel forget where a neighbour was, and ask all on the link.
  absl::Status Forget(int ifindex, const IpAddress& address);

  // The neighbours that the kernel is to keep resolved by itself from now on
  // (NTF_EXT_MANAGED, Linux 5.16), in place of those of the last call. Any
  // thread. A key that fails does not keep the others from being set.
  // Those of `watched`, which are of `wanted`, are found silent within a
  // second of their end (heartbeat.h).
  absl::Status KeepAlive(const std::vector<NeighbourKey>& wanted,
                         const std::set<NeighbourKey>& watched = {});

  // How often events were lost and everything was read again.
  uint64_t overruns() const { return overruns_.load(); }

 private:
  using Clock = std::chrono::steady_clock;
  // A list of the Observation and when it may be read again.
  struct Part {
    bool stale = true;
    Clock::time_point not_before{};
  };
  enum PartIndex { kLinks, kAddresses, kNeighbours, kRoutes, kPartCount };

  KernelWatch(OnChange on_change, NetlinkSocket events, NetlinkSocket reader,
              NetlinkSocket writer);
  void Run();
  // The earliest moment at which there is something to do; max(): none.
  Clock::time_point NextRefresh() const;
  // Has the thread look at the neighbours, or see stopping_; any thread.
  void Wake();
  void DrainEvents();
  void MarkStale(uint16_t message_type);
  // Reads what is stale and due, and tells if that changed anything.
  void RefreshAndTell();
  absl::Status Read(PartIndex part, Observation& into);
  absl::Status SendUse(const NeighbourKey& key, Keeping keeping);
  // False: asked for less than a second ago. Notes the time if not.
  absl::StatusOr<bool> MayAsk(const NeighbourKey& key);
  // One that is kept, unless the kernel knows it by now.
  void AskAgain(const NeighbourKey& key, bool eager);
  // Asks again for those of kept_alive_ that the kernel dropped (a link that
  // went down), and soon for those it got no answer for: kEager. Returns when
  // to look again; max(): when something changes.
  Clock::time_point CareForKept();

  const OnChange on_change_;
  NetlinkSocket events_;  // the thread's, and what follows
  NetlinkSocket reader_;
  Part parts_[kPartCount];
  Clock::time_point settled_at_{};  // earliest time of the next refresh
  int wake_fd_ = -1;
  std::atomic<bool> stopping_ = false;
  std::atomic<uint64_t> overruns_ = 0;

  mutable std::mutex current_mutex_;
  std::shared_ptr<const Observation> current_;

  std::mutex writer_mutex_;  // guards what follows
  NetlinkSocket writer_;
  Heartbeat heartbeat_;
  std::map<NeighbourKey, Clock::time_point> last_resolved_;
  // Since when: asked for, or its link came back.
  std::map<NeighbourKey, Clock::time_point> kept_alive_;

  std::thread thread_;
};

}  // namespace godwit

#endif  // GODWIT_CONTROL_WATCH_KERNEL_WATCH_H_
