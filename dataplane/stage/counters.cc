// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/stage/counters.h"

namespace godwit {

void Counts::Add(const Counts& other) {
  received += other.received;
  generated += other.generated;
  handed_out += other.handed_out;
  handed_in += other.handed_in;
  waiting += other.waiting;
  for (size_t i = 0; i < no_l4port.size(); ++i) {
    no_l4port[i] += other.no_l4port[i];
  }
  for (size_t i = 0; i < verdicts.size(); ++i) verdicts[i] += other.verdicts[i];
  for (size_t i = 0; i < devices.size(); ++i) {
    devices[i].received += other.devices[i].received;
    devices[i].received_bytes += other.devices[i].received_bytes;
    devices[i].sent += other.devices[i].sent;
    devices[i].sent_bytes += other.devices[i].sent_bytes;
    devices[i].dropped += other.devices[i].dropped;
    devices[i].handed_over += other.devices[i].handed_over;
  }
}

uint64_t Counts::Dropped() const {
  uint64_t sum = 0;
  for (size_t i = 0; i < verdicts.size(); ++i) {
    if (IsDrop(static_cast<Verdict>(i))) sum += verdicts[i];
  }
  return sum;
}

}  // namespace godwit
