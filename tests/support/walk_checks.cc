// SPDX-License-Identifier: BSD-3-Clause
// What must hold of all that leaves a walk, and of its books.
#include <numeric>
#include <string>
#include <string_view>
#include <utility>

#include "dataplane/net/check.h"
#include "tests/support/lanes.h"
#include "tests/support/walk.h"

namespace godwit {

// What leaves is as long as it says, and its header's sum is right.
void Walk::CheckHeader(const Arrival& arrival) {
  const Bytes& frame = arrival.frame;
  const size_t l3 = arrival.L3();
  GODWIT_CHECK(frame.size() >= l3);
  const unsigned type = frame[l3 - 2] * 256U + frame[l3 - 1];
  if (type == 0x0800) {
    GODWIT_CHECK(frame.size() >= l3 + 20);
    const size_t header = (frame[l3] & 0xfU) * 4U;
    const auto begin = frame.begin() + static_cast<ptrdiff_t>(l3);
    GODWIT_CHECK(header >= 20 && frame.size() >= l3 + header);
    GODWIT_CHECK(PlainSum(Bytes(
                     begin, begin + static_cast<ptrdiff_t>(header))) == 0xffff);
    GODWIT_CHECK(frame.size() - l3 == frame[l3 + 2] * 256U + frame[l3 + 3]);
  } else if (type == 0x86dd) {
    GODWIT_CHECK(frame.size() >= l3 + 40);
    GODWIT_CHECK(frame.size() - l3 ==
                 40 + frame[l3 + 4] * 256U + frame[l3 + 5]);
  }
}

// ANY-12, once more and by other code than egress_guard.cc.
void Walk::CheckSource(const Device& device, const Arrival& arrival) const {
  const Bytes& frame = arrival.frame;
  const size_t l3 = arrival.L3();
  GODWIT_CHECK((device.vlan != 0) == (l3 == 18));
  GODWIT_CHECK(frame.size() >= l3 + 20);
  const unsigned type = frame[l3 - 2] * 256U + frame[l3 - 1];
  if (type == 0x0806) {
    GODWIT_CHECK(kernel_speaks_);
    return;
  }
  GODWIT_CHECK(type == 0x0800 || (type == 0x86dd && frame.size() >= l3 + 40));
  const IpAddress source = type == 0x0800 ? IpAddress::FromV4(&frame[l3 + 12])
                                          : IpAddress::FromV6(&frame[l3 + 8]);
  bool ours = kernel_speaks_ &&
              (source.IsLinkLocal() || (!source.IsV4() && source.IsZero()));
  // Neighbour discovery, from whatever address the kernel has on the link.
  ours = ours || (kernel_speaks_ && type == 0x86dd && frame.size() > l3 + 40 &&
                  frame[l3 + 6] == 58 && frame[l3 + 7] == 255 &&
                  frame[l3 + 40] >= 133 && frame[l3 + 40] <= 137);
  for (const IpAddress& unicast : nat_->unicast) {
    ours = ours || (source == unicast && !source.IsZero());
  }
  for (const ServiceAddress& at : service_table_.addresses()) {
    ours = ours || source == at.address;
  }
  GODWIT_CHECK(ours && "a source of this node");
}

namespace {

Walk::Witness& TheWitness() {
  static Walk::Witness& witness = *new Walk::Witness;
  return witness;
}

// `ending` is `word` so many times.
bool IsAll(std::string_view ending, std::string_view word, size_t times) {
  std::string all;
  for (size_t i = 0; i < times; ++i) {
    if (i > 0) all += ' ';
    all += word;
  }
  return ending == all;
}

}  // namespace

void Walk::SetWitness(Witness witness) { TheWitness() = std::move(witness); }

void Walk::Testify(DeviceId device, const std::vector<Bytes>& frames) const {
  const Witness& witness = TheWitness();
  if (!witness || devices_[device].side != Side::kUplink) return;
  std::string_view first = ending_;
  if (frames.size() > 1) first = first.substr(0, first.find(' '));
  if (frames.size() > 1 && !IsAll(ending_, first, frames.size())) return;
  for (const Bytes& frame : frames) {
    witness({devices_[device], service_table_, *nat_, world_, frame, first});
  }
}

void Walk::CheckBooks() {
  const Counts sum = Sum();
  for (size_t i = 0; i < kVerdicts; ++i) {
    GODWIT_CHECK(sum.verdicts[i] >= last_[i]);
  }
  last_ = sum.verdicts;
  const auto of = [&sum](Verdict verdict) {
    return sum.verdicts[static_cast<size_t>(verdict)];
  };
  const uint64_t in = sum.received + sum.generated;
  const uint64_t ended = of(Verdict::kDelivered) + of(Verdict::kSent) +
                         of(Verdict::kPunted) + of(Verdict::kConsumed) +
                         sum.Dropped();
  GODWIT_CHECK(in == ended + sum.Held());
  GODWIT_CHECK(of(Verdict::kUndecided) == 0);
  GODWIT_CHECK(sum.handed_out == sum.handed_in);
  GODWIT_CHECK(std::accumulate(sum.no_l4port.begin(), sum.no_l4port.end(),
                               uint64_t{0}) == of(Verdict::kDropNatNoPort));
  CheckDevicesAndQueues(sum);
  // Who waits may be a chain of buffers, who does not wait has none.
  const unsigned used = Lanes::Get().buffers_in_use();
  GODWIT_CHECK(used >= Held() + callers_ && (Held() != 0 || used == callers_));
}

void Walk::CheckDevicesAndQueues(const Counts& sum) const {
  for (const auto& [id, bytes] : bytes_in_) {
    GODWIT_CHECK(sum.devices[id].received_bytes == bytes);
  }
  for (const auto& [id, bytes] : bytes_out_) {
    GODWIT_CHECK(sum.devices[id].sent_bytes == bytes);
  }
  for (const auto& table : tables_) {
    uint64_t flows = 0;
    for (QueueId queue = 0; queue < kQueueIds; ++queue) {
      flows += table->InboundOf(queue);
    }
    GODWIT_CHECK(flows == table->inbound());
  }
}

}  // namespace godwit
