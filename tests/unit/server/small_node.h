// SPDX-License-Identifier: BSD-3-Clause
//
// A node without packets: it answers what a test told it to and remembers what
// it was asked. With it the control socket, the metrics page and godwitctl are
// tested as they are, both ends real.
#ifndef GODWIT_TESTS_UNIT_SERVER_SMALL_NODE_H_
#define GODWIT_TESTS_UNIT_SERVER_SMALL_NODE_H_

#include <functional>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "control/api/godwit.pb.h"
#include "control/server/node.h"

namespace godwit {

// The public fields are set before the first call and read by all threads.
class SmallNode final : public Node {
 public:
  absl::Status refusal;                  // if not OK, the answer to everything
  std::function<void()> before = [] {};  // runs inside each call

  api::StatusReply status;
  api::ServiceListReply services;
  api::QueueListReply queues;
  api::UplinkListReply uplinks;
  api::EgressShowReply egress;
  api::FlowListReply flows;
  api::NeighborListReply neighbors;
  api::RouteListReply routes;
  api::CountersReply counters;
  api::ExplainReply explain;
  api::ConfigShowReply config;
  api::ConfigCheckReply check;
  api::ConfigDiffReply diff;
  api::ConfigHistoryReply history;
  api::ChangeReply change;
  api::VersionReply version;

  // The last call: `ServiceSet service { name: "dns" }`.
  std::string last() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return last_;
  }

  absl::StatusOr<api::StatusReply> Status(
      const api::StatusRequest& request) override {
    return Answer("Status", request, status);
  }
  absl::StatusOr<api::ServiceListReply> ServiceList(
      const api::ServiceListRequest& request) override {
    return Answer("ServiceList", request, services);
  }
  absl::StatusOr<api::ChangeReply> ServiceSet(
      const api::ServiceSetRequest& request) override {
    return Answer("ServiceSet", request, change);
  }
  absl::StatusOr<api::ChangeReply> ServiceRemove(
      const api::ServiceRemoveRequest& request) override {
    return Answer("ServiceRemove", request, change);
  }
  absl::StatusOr<api::QueueListReply> QueueList(
      const api::QueueListRequest& request) override {
    return Answer("QueueList", request, queues);
  }
  absl::StatusOr<api::ChangeReply> QueueSet(
      const api::QueueSetRequest& request) override {
    return Answer("QueueSet", request, change);
  }
  absl::StatusOr<api::ChangeReply> QueueDrain(
      const api::QueueDrainRequest& request) override {
    return Answer("QueueDrain", request, change);
  }
  absl::StatusOr<api::ChangeReply> QueueRemove(
      const api::QueueRemoveRequest& request) override {
    return Answer("QueueRemove", request, change);
  }
  absl::StatusOr<api::UplinkListReply> UplinkList(
      const api::UplinkListRequest& request) override {
    return Answer("UplinkList", request, uplinks);
  }
  absl::StatusOr<api::EgressShowReply> EgressShow(
      const api::EgressShowRequest& request) override {
    return Answer("EgressShow", request, egress);
  }
  absl::StatusOr<api::ChangeReply> EgressSet(
      const api::EgressSetRequest& request) override {
    return Answer("EgressSet", request, change);
  }
  absl::StatusOr<api::FlowListReply> FlowList(
      const api::FlowListRequest& request) override {
    return Answer("FlowList", request, flows);
  }
  absl::StatusOr<api::FlowCountReply> FlowCount(
      const api::FlowCountRequest& request) override {
    return Answer("FlowCount", request, api::FlowCountReply());
  }
  absl::StatusOr<api::FlowFlushReply> FlowFlush(
      const api::FlowFlushRequest& request) override {
    return Answer("FlowFlush", request, api::FlowFlushReply());
  }
  absl::StatusOr<api::NeighborListReply> NeighborList(
      const api::NeighborListRequest& request) override {
    return Answer("NeighborList", request, neighbors);
  }
  absl::StatusOr<api::RouteListReply> RouteList(
      const api::RouteListRequest& request) override {
    return Answer("RouteList", request, routes);
  }
  absl::StatusOr<api::CountersReply> Counters(
      const api::CountersRequest& request) override {
    return Answer("Counters", request, counters);
  }
  absl::StatusOr<api::ExplainReply> Explain(
      const api::ExplainRequest& request) override {
    return Answer("Explain", request, explain);
  }
  absl::StatusOr<api::ConfigShowReply> ConfigShow(
      const api::ConfigShowRequest& request) override {
    return Answer("ConfigShow", request, config);
  }
  absl::StatusOr<api::ConfigCheckReply> ConfigCheck(
      const api::ConfigCheckRequest& request) override {
    return Answer("ConfigCheck", request, check);
  }
  absl::StatusOr<api::ConfigDiffReply> ConfigDiff(
      const api::ConfigDiffRequest& request) override {
    return Answer("ConfigDiff", request, diff);
  }
  absl::StatusOr<api::ChangeReply> ConfigApply(
      const api::ConfigApplyRequest& request) override {
    return Answer("ConfigApply", request, change);
  }
  absl::StatusOr<api::ChangeReply> ConfigConfirm(
      const api::ConfigConfirmRequest& request) override {
    return Answer("ConfigConfirm", request, change);
  }
  absl::StatusOr<api::ChangeReply> ConfigRollback(
      const api::ConfigRollbackRequest& request) override {
    return Answer("ConfigRollback", request, change);
  }
  absl::StatusOr<api::ConfigHistoryReply> ConfigHistory(
      const api::ConfigHistoryRequest& request) override {
    return Answer("ConfigHistory", request, history);
  }
  absl::StatusOr<api::ConfigSaveReply> ConfigSave(
      const api::ConfigSaveRequest& request) override {
    return Answer("ConfigSave", request, api::ConfigSaveReply());
  }
  absl::StatusOr<api::ChangeReply> Upgrade(
      const api::UpgradeRequest& request) override {
    return Answer("Upgrade", request, change);
  }
  absl::StatusOr<api::VersionReply> Version(
      const api::VersionRequest& request) override {
    return Answer("Version", request, version);
  }

 private:
  template <typename Request, typename Reply>
  absl::StatusOr<Reply> Answer(const std::string& call, const Request& request,
                               const Reply& reply) {
    before();
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      last_ = absl::StrCat(call, " ", request.ShortDebugString());
    }
    if (!refusal.ok()) return refusal;
    return reply;
  }

  mutable std::mutex mutex_;
  std::string last_;
};

}  // namespace godwit

#endif  // GODWIT_TESTS_UNIT_SERVER_SMALL_NODE_H_
