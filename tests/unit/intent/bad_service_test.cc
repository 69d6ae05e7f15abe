// SPDX-License-Identifier: BSD-3-Clause
// services.
#include "tests/unit/intent/bad_input.h"

namespace godwit {
namespace {

const BadInput kBadInputs[] = {
    {"NotAnAddress", 6,
     "  - {name: dns, addresses: [\"192.0.2.300\"], ports: [udp/53], queues: "
     "[dns0]}",
     "godwit.yaml:6: services[0].addresses[0]: \"192.0.2.300\" is not an IP "
     "address, as in 192.0.2.53 or \"2001:db8:53::53\""},
    {"ServiceWithoutName", 6,
     "  - {addresses: [192.0.2.53], ports: [udp/53], queues: [dns0]}",
     "godwit.yaml:6: services[0]: \"name\" is missing"},
    {"ServiceNameTwice", 7,
     "  - {name: dns, addresses: [192.0.2.80], ports: [tcp/443], queues: "
     "[web0]}",
     "godwit.yaml:7: services[1].name: \"dns\" is not the only one: it is at "
     "services[0].name already"},
    {"ServiceWithoutQueues", 6,
     "  - {name: dns, addresses: [192.0.2.53], ports: [udp/53]}",
     "godwit.yaml:6: services[0]: \"queues\" is missing: at least one queue"},
    {"QueuesEmpty", 6,
     "  - name: dns\n"
     "    addresses: [192.0.2.53]\n"
     "    ports: [udp/53]\n"
     "    queues: []",
     "godwit.yaml:9: services[0].queues: [] is empty: at least one queue"},
    {"AddressesEmpty", 6,
     "  - name: dns\n"
     "    addresses: []\n"
     "    ports: [udp/53]\n"
     "    queues: [dns0]",
     "godwit.yaml:7: services[0].addresses: [] is empty: ports need an address "
     "to be at"},
    {"UnknownQueue", 6,
     "  - {name: dns, addresses: [192.0.2.53], ports: [udp/53], queues: "
     "[dns9]}",
     "godwit.yaml:6: services[0].queues[0]: \"dns9\" is not a queue of this "
     "node: it has dns0, web0, kernel"},
    {"QueueTwice", 6,
     "  - {name: dns, addresses: [192.0.2.53], ports: [udp/53], queues: [dns0, "
     "{queue: dns0, weight: 2}]}",
     "godwit.yaml:6: services[0].queues[1]: \"dns0\" is not the only one: it "
     "is at services[0].queues[0] already"},
    {"QueueWithoutName", 6,
     "  - {name: dns, addresses: [192.0.2.53], ports: [udp/53], queues: "
     "[{weight: 2}]}",
     "godwit.yaml:6: services[0].queues[0]: \"queue\" is missing"},
    {"WeightZero", 6,
     "  - {name: dns, addresses: [192.0.2.53], ports: [udp/53], queues: "
     "[{queue: dns0, weight: 0}]}",
     "godwit.yaml:6: services[0].queues[0].weight: \"0\" is not a weight of "
     "1-65535"},
    {"ListForQueue", 6,
     "  - {name: dns, addresses: [192.0.2.53], ports: [udp/53], queues: "
     "[[dns0]]}",
     "godwit.yaml:6: services[0].queues[0]: a list is not a map of the keys "
     "queue, weight"},
    {"PortsWithoutAddress", 6,
     "  - {name: dns, ports: [udp/53], queues: [dns0]}",
     "godwit.yaml:6: services[0]: \"addresses\" is missing: ports need an "
     "address to be at"},
    {"AddressTwice", 6,
     "  - {name: dns, addresses: [192.0.2.53, 192.0.2.53], ports: [udp/53], "
     "queues: [dns0]}",
     "godwit.yaml:6: services[0].addresses[1]: \"192.0.2.53\" is not the only "
     "one: it is at services[0].addresses[0] already"},
    {"AddressIsUnicast", 6,
     "  - {name: dns, addresses: [198.51.100.7], ports: [udp/53], queues: "
     "[dns0]}",
     "godwit.yaml:6: services[0].addresses[0]: \"198.51.100.7\" is not free "
     "for a service: it is a unicast address of this node"},
    {"Ipv6AddressIsUnicast", 6,
     "  - {name: dns, addresses: [\"2001:db8:7::0:7\"], ports: [udp/53], "
     "queues: [dns0]}",
     "godwit.yaml:6: services[0].addresses[0]: \"2001:db8:7::0:7\" is not free "
     "for a service: it is a unicast address of this node"},
    {"PortWithoutProtocol", 6,
     "  - {name: dns, addresses: [192.0.2.53], ports: [53], queues: [dns0]}",
     "godwit.yaml:6: services[0].ports[0]: \"53\" is not PROTO/PORT, "
     "PROTO/LOW-HIGH or icmp, with tcp or udp as PROTO and ports of 1-65535"},
    {"PortOfSctp", 6,
     "  - {name: dns, addresses: [192.0.2.53], ports: [sctp/53], queues: "
     "[dns0]}",
     "godwit.yaml:6: services[0].ports[0]: \"sctp/53\" is not PROTO/PORT, "
     "PROTO/LOW-HIGH or icmp, with tcp or udp as PROTO and ports of 1-65535"},
    {"PortZero", 6,
     "  - {name: dns, addresses: [192.0.2.53], ports: [udp/0], queues: [dns0]}",
     "godwit.yaml:6: services[0].ports[0]: \"udp/0\" is not PROTO/PORT, "
     "PROTO/LOW-HIGH or icmp, with tcp or udp as PROTO and ports of 1-65535"},
    {"PortTooLarge", 6,
     "  - {name: dns, addresses: [192.0.2.53], ports: [udp/65536], queues: "
     "[dns0]}",
     "godwit.yaml:6: services[0].ports[0]: \"udp/65536\" is not PROTO/PORT, "
     "PROTO/LOW-HIGH or icmp, with tcp or udp as PROTO and ports of 1-65535"},
    {"PortRangeBackwards", 6,
     "  - {name: dns, addresses: [192.0.2.53], ports: [udp/100-50], queues: "
     "[dns0]}",
     "godwit.yaml:6: services[0].ports[0]: \"udp/100-50\" is not PROTO/PORT, "
     "PROTO/LOW-HIGH or icmp, with tcp or udp as PROTO and ports of 1-65535"},
    {"PortsOverlapWithin", 6,
     "  - {name: dns, addresses: [192.0.2.53], ports: [udp/53, udp/1-100], "
     "queues: [dns0]}",
     "godwit.yaml:6: services[0].ports[1]: \"udp/1-100\" is not free at "
     "192.0.2.53: it overlaps \"udp/53\" at services[0].ports[0]"},
    {"PortsOverlapAcross", 7,
     "  - {name: web, addresses: [192.0.2.80, 192.0.2.53], ports: [udp/50-60], "
     "queues: [web0]}",
     "godwit.yaml:7: services[1].ports[0]: \"udp/50-60\" is not free at "
     "192.0.2.53: it overlaps \"udp/53\" at services[0].ports[0]"},
    {"IcmpTwice", 6,
     "  - {name: dns, addresses: [192.0.2.53], ports: [icmp, icmp], queues: "
     "[dns0]}",
     "godwit.yaml:6: services[0].ports[1]: \"icmp\" is not free at 192.0.2.53: "
     "it overlaps \"icmp\" at services[0].ports[0]"},
    {"Affinity", 6,
     "  - {name: dns, addresses: [192.0.2.53], ports: [udp/53], queues: "
     "[dns0], affinity: sticky}",
     "godwit.yaml:6: services[0].affinity: \"sticky\" is not one of flow, "
     "client"},
    {"Replies", 6,
     "  - {name: dns, addresses: [192.0.2.53], ports: [udp/53], queues: "
     "[dns0], replies: all}",
     "godwit.yaml:6: services[0].replies: \"all\" is not one of tuple, "
     "tracked"},
    {"Originate", 6,
     "  - {name: dns, addresses: [192.0.2.53], ports: [udp/53], queues: "
     "[dns0], originate: any}",
     "godwit.yaml:6: services[0].originate: \"any\" is not one of unicast, "
     "vip, deny"},
    {"Unmatched", 6,
     "  - {name: dns, addresses: [192.0.2.53], ports: [udp/53], queues: "
     "[dns0], unmatched: drop}",
     "godwit.yaml:6: services[0].unmatched: \"drop\" is not one of reject, "
     "silent"},
    {"OriginateDiffers", 7,
     "  - {name: web, addresses: [192.0.2.80], ports: [tcp/443], queues: "
     "[dns0, web0], originate: deny}",
     "godwit.yaml:7: services[1].originate: \"deny\" is not what service dns "
     "says of the queue dns0 that both have: unicast"},
};

class BadServiceTest : public testing::TestWithParam<BadInput> {};

TEST_P(BadServiceTest, IsRefusedWithLinePathValueAndWhatIsAllowed) {
  ExpectRefused(GetParam());
}

INSTANTIATE_TEST_SUITE_P(Table, BadServiceTest, testing::ValuesIn(kBadInputs),
                         BadInputName);

}  // namespace
}  // namespace godwit
