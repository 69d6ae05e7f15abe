// SPDX-License-Identifier: BSD-3-Clause
// The verdict that a packet would meet: from the live tables and the very
// function that decides packets (decide.h), without sending one.
#include "absl/strings/str_cat.h"
#include "control/server/control_thread.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/decide.h"
#include "dataplane/stage/egress_guard.h"
#include "dataplane/stage/next_hop.h"
#include "dataplane/stage/parse.h"

namespace godwit {
namespace {

absl::StatusOr<AddressAndPort> EndpointOf(const char* what,
                                          const std::string& text) {
  const auto endpoint = AddressAndPort::Parse(text);
  if (endpoint.has_value()) return *endpoint;
  return absl::InvalidArgumentError(
      absl::StrCat(what, " \"", text,
                   "\": ADDRESS:PORT, IPv6 in brackets, as [2001:db8::1]:53"));
}

struct Question {
  AddressAndPort source;
  AddressAndPort destination;
  uint8_t protocol = 0;
};

absl::StatusOr<Question> Read(const api::ExplainRequest& request) {
  const auto source = EndpointOf("src", request.src());
  if (!source.ok()) return source.status();
  const auto destination = EndpointOf("dst", request.dst());
  if (!destination.ok()) return destination.status();
  if (source->address.IsV4() != destination->address.IsV4()) {
    return absl::InvalidArgumentError(
        absl::StrCat("dst \"", request.dst(),
                     "\": the address family of src is the other one"));
  }
  Question question{*source, *destination, 0};
  const bool v4 = source->address.IsV4();
  if (request.proto() == "tcp") {
    question.protocol = kProtoTcp;
  } else if (request.proto() == "udp") {
    question.protocol = kProtoUdp;
  } else if (request.proto() == "icmp" || request.proto() == "icmpv6") {
    question.protocol = v4 ? kProtoIcmp : kProtoIcmpv6;
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("proto \"", request.proto(), "\": tcp, udp or icmp"));
  }
  return question;
}

// The packet as Parse would hand it on. `opening`: TCP's first segment; ICMP's
// request, else the reply.
Meta MakeMeta(const Question& question, DeviceId in, QueueId queue,
              bool opening) {
  Meta meta;
  meta.in = in;
  meta.queue = queue;
  meta.side = queue == kUplinkSide ? Side::kUplink : Side::kQueue;
  meta.lookup = true;
  PacketView& view = meta.view;
  view.kind = FrameKind::kIp;
  view.is_v4 = question.source.address.IsV4();
  view.protocol = question.protocol;
  uint16_t source_l4port = question.source.l4port;
  uint16_t destination_l4port = question.destination.l4port;
  if (question.protocol == kProtoTcp) {
    view.l4_flags = opening ? kTcpSyn : kTcpAck;
  } else if (IsIcmp(question.protocol)) {
    const uint16_t id = source_l4port != 0 ? source_l4port : destination_l4port;
    source_l4port = opening ? id : 0;
    destination_l4port = opening ? 0 : id;
    if (view.is_v4) {
      view.l4_flags = opening ? kIcmpEcho : kIcmpEchoReply;
    } else {
      view.l4_flags = opening ? kIcmpv6Echo : kIcmpv6EchoReply;
    }
  }
  const bool inward = queue == kUplinkSide;
  meta.key.local =
      inward ? question.destination.address : question.source.address;
  meta.key.remote =
      inward ? question.source.address : question.destination.address;
  meta.key.local_l4port = inward ? destination_l4port : source_l4port;
  meta.key.remote_l4port = inward ? source_l4port : destination_l4port;
  meta.key.side = queue;
  meta.key.protocol = question.protocol;
  return meta;
}

const char* PlanReason(Plan plan) {
  switch (plan) {
    case Plan::kPunt:
      return "not ours: the kernel's";
    case Plan::kServe:
      return "service endpoint";
    case Plan::kAnswerEcho:
      return "echo to a service address: answered here";
    case Plan::kReply:
      return "reply of a service endpoint";
    case Plan::kOriginate:
      return "originated: translated";
    case Plan::kOriginateVip:
      return "originated: policy vip";
    case Plan::kPassDirect:
      return "originated: egress.direct";
    default:
      return "";
  }
}

const char* PlanVerdict(const Decision& decision) {
  switch (decision.plan) {
    case Plan::kPunt:
      return "punted";
    case Plan::kServe:
      return "delivered";
    case Plan::kAnswerEcho:
      return "consumed";
    case Plan::kReply:
    case Plan::kOriginate:
    case Plan::kOriginateVip:
    case Plan::kPassDirect:
      return decision.local ? "delivered" : "sent";
    default:
      return "dropped";
  }
}

// What is decided by the addresses alone, before any flow is looked for.
// False: nothing is.
bool ExplainAddresses(const Snapshot& snapshot, QueueId queue,
                      const Question& question, api::ExplainReply& reply) {
  if (queue == kUplinkSide) return false;
  const IpAddress& source = question.source.address;
  Verdict verdict = Verdict::kUndecided;
  if (queue != kKernelQueue) {
    verdict = CheckAddressesOfQueue(source, question.destination.address);
  } else if (!IsOfQueueKernel(snapshot, source, question.destination.address)) {
    // Not of the queue `kernel`: the kernel's own, as it is.
    verdict = SourceMayLeave(snapshot, source, MayHave::kKernel)
                  ? Verdict::kSent
                  : Verdict::kLeakPrevented;
  }
  if (verdict == Verdict::kUndecided) return false;
  reply.set_verdict(verdict == Verdict::kSent ? "sent" : "dropped");
  const std::string_view name = VerdictName(verdict);
  reply.set_reason(verdict == Verdict::kSent ? "the kernel's own: as it is"
                                             : std::string(name));
  return true;
}

}  // namespace

absl::StatusOr<api::ExplainReply> ControlThread::ExplainHere(
    const api::ExplainRequest& request) {
  const auto question = Read(request);
  if (!question.ok()) return question.status();
  QueueId queue = kUplinkSide;
  DeviceId in = kNoDevice;
  const std::string from = request.from().empty() ? "uplink" : request.from();
  for (const auto& [name, device] : uplinks_) {
    if (from == "uplink" || from == name) {
      in = device->id;
      break;
    }
  }
  if (from != "uplink" && in == kNoDevice) {
    queue = compiler_.QueueNumber(from);
    const ServiceQueue* known = snapshot_->Queue(queue);
    if (known == nullptr) {
      return absl::NotFoundError(
          absl::StrCat("from \"", from,
                       "\": neither uplink, nor an uplink's or a queue's "
                       "name"));
    }
    in = known->device;
  }
  api::ExplainReply at_once;
  if (ExplainAddresses(*snapshot_, queue, *question, at_once)) {
    at_once.set_generation(generation_);
    return at_once;
  }
  // A packet of a flow that exists, the other direction of ICMP's echo too;
  // else the first of a new one.
  const Ownership& ownership = options_.workers->ownership();
  std::unique_ptr<Command> found;
  Meta meta;
  for (const bool opening : {false, true}) {
    meta = MakeMeta(*question, in, queue, opening);
    const unsigned owner = OwnerOf(*snapshot_, ownership, meta, 0);
    const auto others = OtherOwners(*snapshot_, ownership, meta.key, owner);
    for (unsigned worker : {owner, unsigned{others[0]}, unsigned{others[1]}}) {
      if (worker >= ownership.workers()) continue;
      found = options_.workers->Find(worker, meta.key);
      if (!found->records.empty() &&
          found->records.front().flow.kind == FlowKind::kLent) {
        worker = found->records.front().flow.lender;
        found = options_.workers->Find(worker, meta.key);
      }
      if (!found->records.empty()) {
        return ExplainFlow(found->records.front(), worker, meta);
      }
    }
  }
  // A source that is a service's endpoint speaks as one; others open.
  Decision decision;
  for (const bool opening : {false, true}) {
    meta = MakeMeta(*question, in, queue, opening);
    decision = Decide(*snapshot_, meta);
    if (queue != kUplinkSide && decision.plan == Plan::kReply) break;
    if (queue == kUplinkSide && decision.plan == Plan::kPunt) break;
  }
  return ExplainDecision(decision, OwnerOf(*snapshot_, ownership, meta, 0),
                         meta);
}

api::ExplainReply ControlThread::ExplainFlow(const FlowRecord& record,
                                             unsigned worker,
                                             const Meta& meta) const {
  api::ExplainReply reply;
  api::Flow flow;
  Fill(record, worker, flow);
  const bool loop = record.flow.to_uplink == kLoopAdjacency;
  const bool outward = meta.key.side != kUplinkSide;
  reply.set_verdict(outward && !loop ? "sent" : "delivered");
  reply.set_reason(absl::StrCat(flow.kind(), " flow, ", flow.state()));
  reply.set_service(flow.service());
  reply.set_queue(flow.queue());
  reply.set_translated(outward || flow.translated().empty() ? flow.translated()
                                                            : flow.local());
  reply.set_entry(absl::StrCat(
      flow.kind(), " ", flow.proto(), " ", flow.local(), " ", flow.remote(),
      flow.translated().empty() ? "" : " as ", flow.translated()));
  reply.set_worker(worker);
  reply.set_generation(generation_);
  return reply;
}

// What a translated packet meets at the service of this node it goes to. Its
// l4port is not drawn yet, so of several queues none can be named.
void ControlThread::ExplainLoop(const Meta& outward, UnicastId unicast,
                                api::ExplainReply& reply) const {
  reply.clear_queue();
  Meta meta = outward;
  meta.route = Route::kLoop;
  meta.side = Side::kUplink;
  meta.queue = 0;
  meta.key.side = kUplinkSide;
  std::swap(meta.key.local, meta.key.remote);
  std::swap(meta.key.local_l4port, meta.key.remote_l4port);
  meta.key.remote = snapshot_->nat->unicast[unicast];
  const Decision decision = Decide(*snapshot_, meta);
  reply.set_service(ServiceName(decision.service));
  reply.set_verdict(PlanVerdict(decision));
  if (decision.verdict != Verdict::kUndecided) {
    const std::string_view name = VerdictName(decision.verdict);
    reply.set_reason(name.data(), name.size());
  }
  if (decision.plan != Plan::kServe) return;
  const godwit::Service& service = snapshot_->services[decision.service];
  const QueueId queue = options_.workers->QueueFor(service, meta.key);
  if (queue == 0) {
    reply.set_verdict("dropped");
    reply.set_reason("svc_no_queue");
  } else if (service.queues.size() == 1 ||
             service.affinity == Affinity::kClient) {
    reply.set_queue(QueueName(queue));
  }
}

api::ExplainReply ControlThread::ExplainDecision(const Decision& decision,
                                                 unsigned worker,
                                                 const Meta& meta) const {
  api::ExplainReply reply;
  reply.set_worker(worker);
  reply.set_generation(generation_);
  reply.set_verdict(PlanVerdict(decision));
  reply.set_service(ServiceName(decision.service));
  if (decision.verdict != Verdict::kUndecided) {
    const std::string_view name = VerdictName(decision.verdict);
    reply.set_reason(name.data(), name.size());
    return reply;
  }
  reply.set_reason(PlanReason(decision.plan));
  if (decision.plan == Plan::kServe) {
    const godwit::Service& service = snapshot_->services[decision.service];
    reply.set_entry(absl::StrCat("service ", service.name));
    const QueueId queue = options_.workers->QueueFor(service, meta.key);
    if (queue == 0) {
      reply.set_verdict("dropped");
      reply.set_reason("svc_no_queue");
    }
    reply.set_queue(QueueName(queue));
    return reply;
  }
  if (meta.key.side == kUplinkSide) return reply;
  reply.set_queue(QueueName(meta.queue));
  UnicastId unicast = 0;
  if (decision.plan == Plan::kOriginate &&
      ChooseUnicast(*snapshot_->nat, meta.key.local, unicast)) {
    reply.set_translated(snapshot_->nat->unicast[unicast].ToString());
  }
  if (decision.local) {
    reply.set_entry("a service address of this node");
    if (decision.plan == Plan::kOriginate) ExplainLoop(meta, unicast, reply);
    return reply;
  }
  const NextHopChoice hop =
      ChooseNextHop(*snapshot_, meta.key.remote, meta.hash);
  if (hop.device == kNoDevice) {
    reply.set_verdict("dropped");
    reply.set_reason("route_none");
    return reply;
  }
  reply.set_uplink(snapshot_->devices[hop.device].name);
  reply.set_next_hop(hop.address.ToString());
  return reply;
}

}  // namespace godwit
