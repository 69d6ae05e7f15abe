// SPDX-License-Identifier: BSD-3-Clause
// One packet of every kind that the parser tells apart, all of them good: what
// truncation tests cut, fuzzers start from and benches parse.
#ifndef GODWIT_TESTS_SUPPORT_PACKET_SAMPLES_H_
#define GODWIT_TESTS_SUPPORT_PACKET_SAMPLES_H_

#include <ostream>
#include <string>
#include <vector>

#include "tests/support/packet_builder.h"

namespace godwit {

struct PacketSample {
  std::string name;  // unique; fit for a file name
  PacketBuilder packet;
};

inline void PrintTo(const PacketSample& sample, std::ostream* out) {
  *out << sample.name;
}

std::vector<PacketSample> PacketSamples();

// IPv6 extension headers, `body` as PacketBuilder::Extension takes it.
struct ExtensionSample {
  std::string name;
  uint8_t type;
  Bytes body;
};
// One of each but the fragment header, in the order RFC 8200 4.1 wants.
std::vector<ExtensionSample> ExtensionSamples();

}  // namespace godwit

#endif  // GODWIT_TESTS_SUPPORT_PACKET_SAMPLES_H_
