// SPDX-License-Identifier: BSD-3-Clause
//
// What the outside may ask of a running node: one method a call of
// control/api/godwit.proto. The control thread implements it; the control
// socket and the metrics page are its callers.
#ifndef GODWIT_CONTROL_SERVER_NODE_H_
#define GODWIT_CONTROL_SERVER_NODE_H_

#include "absl/status/statusor.h"
#include "control/api/godwit.pb.h"

namespace godwit {

// Every method may be called from any thread, also from several at once, and
// returns when the work is done: a change is in effect on every worker then.
// A refusal changes nothing; its message is what the operator reads, one error
// a line, naming the value and what is allowed.
class Node {
 public:
  virtual ~Node() = default;

  virtual absl::StatusOr<api::StatusReply> Status(
      const api::StatusRequest&) = 0;

  virtual absl::StatusOr<api::ServiceListReply> ServiceList(
      const api::ServiceListRequest&) = 0;
  virtual absl::StatusOr<api::ChangeReply> ServiceSet(
      const api::ServiceSetRequest&) = 0;
  virtual absl::StatusOr<api::ChangeReply> ServiceRemove(
      const api::ServiceRemoveRequest&) = 0;

  virtual absl::StatusOr<api::QueueListReply> QueueList(
      const api::QueueListRequest&) = 0;
  virtual absl::StatusOr<api::ChangeReply> QueueSet(
      const api::QueueSetRequest&) = 0;
  virtual absl::StatusOr<api::ChangeReply> QueueDrain(
      const api::QueueDrainRequest&) = 0;
  virtual absl::StatusOr<api::ChangeReply> QueueRemove(
      const api::QueueRemoveRequest&) = 0;

  virtual absl::StatusOr<api::UplinkListReply> UplinkList(
      const api::UplinkListRequest&) = 0;

  virtual absl::StatusOr<api::EgressShowReply> EgressShow(
      const api::EgressShowRequest&) = 0;
  virtual absl::StatusOr<api::ChangeReply> EgressSet(
      const api::EgressSetRequest&) = 0;

  virtual absl::StatusOr<api::FlowListReply> FlowList(
      const api::FlowListRequest&) = 0;
  virtual absl::StatusOr<api::FlowCountReply> FlowCount(
      const api::FlowCountRequest&) = 0;
  virtual absl::StatusOr<api::FlowFlushReply> FlowFlush(
      const api::FlowFlushRequest&) = 0;

  virtual absl::StatusOr<api::NeighborListReply> NeighborList(
      const api::NeighborListRequest&) = 0;
  virtual absl::StatusOr<api::RouteListReply> RouteList(
      const api::RouteListRequest&) = 0;
  virtual absl::StatusOr<api::CountersReply> Counters(
      const api::CountersRequest&) = 0;
  virtual absl::StatusOr<api::ExplainReply> Explain(
      const api::ExplainRequest&) = 0;

  virtual absl::StatusOr<api::ConfigShowReply> ConfigShow(
      const api::ConfigShowRequest&) = 0;
  virtual absl::StatusOr<api::ConfigCheckReply> ConfigCheck(
      const api::ConfigCheckRequest&) = 0;
  virtual absl::StatusOr<api::ConfigDiffReply> ConfigDiff(
      const api::ConfigDiffRequest&) = 0;
  virtual absl::StatusOr<api::ChangeReply> ConfigApply(
      const api::ConfigApplyRequest&) = 0;
  virtual absl::StatusOr<api::ChangeReply> ConfigConfirm(
      const api::ConfigConfirmRequest&) = 0;
  virtual absl::StatusOr<api::ChangeReply> ConfigRollback(
      const api::ConfigRollbackRequest&) = 0;
  virtual absl::StatusOr<api::ConfigHistoryReply> ConfigHistory(
      const api::ConfigHistoryRequest&) = 0;
  virtual absl::StatusOr<api::ConfigSaveReply> ConfigSave(
      const api::ConfigSaveRequest&) = 0;

  virtual absl::StatusOr<api::ChangeReply> Upgrade(
      const api::UpgradeRequest&) = 0;
  virtual absl::StatusOr<api::VersionReply> Version(
      const api::VersionRequest&) = 0;
};

}  // namespace godwit

#endif  // GODWIT_CONTROL_SERVER_NODE_H_
