// SPDX-License-Identifier: BSD-3-Clause
// The announced routes of a node from its start to its end. Control thread
// only; blocks only where it says so.
#ifndef GODWIT_CONTROL_ANNOUNCE_ANNOUNCING_H_
#define GODWIT_CONTROL_ANNOUNCE_ANNOUNCING_H_

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "control/announce/announcer.h"
#include "control/announce/owner.h"
#include "control/announce/service_life.h"
#include "control/api/godwit.pb.h"
#include "control/intent/findings.h"

namespace godwit {

// `full` is a config with its defaults.
class Announcing {
 public:
  using Clock = std::chrono::steady_clock;
  using Log = std::function<void(const std::string&)>;

  // `command` is RouteOwner's.
  Announcing(std::vector<std::string> command, Log log);

  // Before anything else: withdraws what a predecessor has left to nobody.
  void WithdrawStaleRoutes(const api::Config& config);
  // The table is not another daemon's.
  std::vector<Finding> CheckTable(const api::Config& config) const;

  // The node is ready: from now on there are routes. Once.
  void Begin(Clock::time_point now);
  // Queues have come or gone.
  void SetDue() { is_due_ = true; }
  void Turn(const api::Config& full, const QueueLives& queues,
            Clock::time_point now);
  // The same for a config that has just taken effect; waits until the kernel
  // has it, or a second.
  void Change(const api::Config& full, const QueueLives& queues,
              Clock::time_point now);
  // Withdraws all, which may take two seconds; until when the node is to go
  // on: routers go on sending for as long as they take to hear of it.
  Clock::time_point Stop(const api::Config& full, const QueueLives& queues,
                         Clock::time_point now);

  // The routes' owner has copies of these, and of no others: they stay open
  // for as long as the routes stay after this process.
  void KeepOpen(const std::vector<int>& fds) { routes_.KeepOpen(fds); }

  // The process ends, and its successor is on its way: the routes stay for it,
  // a minute at least.
  void HandOver(const api::Config& full);

  // Empty if all addresses of the service are routes.
  std::string WhyNot(const api::Config& full, const api::Service& service,
                     Clock::time_point now) const;
  const std::optional<Announcer>& announcer() const { return announcer_; }

 private:
  void Decide(const api::Config& full, const QueueLives& queues,
              Clock::time_point now);
  void Say(const std::vector<std::string>& lines) const;
  std::string WhyNot(const api::Config& full, const IpAddress& address,
                     Clock::time_point now) const;

  const Log log_;
  RouteOwner routes_;
  std::optional<Announcer> announcer_;  // from Begin on
  bool is_due_ = false;
  bool stops_ = false;
  std::optional<Clock::time_point> last_announced_;
};

}  // namespace godwit

#endif  // GODWIT_CONTROL_ANNOUNCE_ANNOUNCING_H_
