// SPDX-License-Identifier: BSD-3-Clause
// Two ends that talk through the node: opened once, then held to what it was.
#ifndef GODWIT_TESTS_WALKS_CONVERSATION_H_
#define GODWIT_TESTS_WALKS_CONVERSATION_H_

#include <string>
#include <vector>

#include "dataplane/net/address.h"
#include "dataplane/net/headers.h"
#include "tests/support/packet_builder.h"
#include "tests/support/walk.h"

namespace godwit {

// What an end calls itself and the other: l4ports, or an echo's identifier in
// `from`.
struct Ends {
  AddressAndPort from;
  AddressAndPort to;
};

class Conversation {
 public:
  // The end behind `device` opens; the other answers where its packet arrives.
  // TCP shakes hands. `opened` is false if a packet of it did not arrive.
  Conversation(Walk& walk, uint8_t protocol, const std::string& device,
               const Ends& ends);

  bool opened() const { return opened_; }
  // A packet each way: "" if both arrive where and as they did at first.
  std::string Differs(Walk& walk) const;
  // An ICMP error each way: from `router` or the far end, and from the opener.
  std::string ErrorsDiffer(Walk& walk, const std::string& router) const;
  // A datagram in pieces, from the opener; `id` is a new one each time.
  std::string PiecesDiffer(Walk& walk, uint16_t id) const;

  // The opener as the other end sees it.
  const AddressAndPort& outside() const { return outside_; }
  const AddressAndPort& far_end() const { return ends_.to; }
  const std::string& far_device() const { return far_device_; }
  std::string ToString() const;

 private:
  struct Step {
    std::string device;
    Bytes frame;
    Arrival arrival;
  };
  PacketBuilder Forward(std::string_view flags) const;
  PacketBuilder Back(std::string_view flags) const;
  bool Do(Walk& walk, const std::string& device, const PacketBuilder& packet,
          Step& step) const;
  std::string Repeat(Walk& walk, const char* what, const Step& step) const;
  std::string Tell(Walk& walk, const std::string& from, const std::string& to,
                   const std::string& sender, const Bytes& about,
                   const Bytes& arrives) const;

  uint8_t protocol_;
  std::string device_;
  Ends ends_;
  AddressAndPort outside_;
  std::string far_device_;
  Step forward_;
  Step back_;
  bool opened_ = false;
};

}  // namespace godwit

#endif  // GODWIT_TESTS_WALKS_CONVERSATION_H_
