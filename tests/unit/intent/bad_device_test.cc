// SPDX-License-Identifier: BSD-3-Clause
// uplinks and queues.
#include "tests/unit/intent/bad_input.h"

namespace godwit {
namespace {

const BadInput kBadInputs[] = {
    {"NoUplinks", 3, "uplinks: []",
     "godwit.yaml:3: uplinks: [] is empty: at least one uplink"},
    {"UplinksWithNothingBelow", 3,
     "uplinks:", "godwit.yaml:3: uplinks: is empty: at least one uplink"},
    {"UplinksNotThere", 3, "",
     "godwit.yaml:1: uplinks: is missing: at least one uplink"},
    {"UplinkWithoutName", 3, "uplinks: [{device: \"veth:wan0\"}]",
     "godwit.yaml:3: uplinks[0]: \"name\" is missing"},
    {"UplinkWithoutDevice", 3, "uplinks: [{name: wan0}]",
     "godwit.yaml:3: uplinks[0]: \"device\" is missing"},
    {"UplinkNameReserved", 3,
     "uplinks: [{name: kernel, device: \"veth:wan0\"}]",
     "godwit.yaml:3: uplinks[0].name: \"kernel\" is not free to use: kernel is "
     "the built-in queue, uplink means all uplinks"},
    {"UnknownDevice", 3, "uplinks: [{name: wan0, device: \"eth0\"}]",
     "godwit.yaml:3: uplinks[0].device: device \"eth0\" is not a PCI address "
     "(0000:3b:00.0), xdp:IFNAME, veth:IFNAME, afpacket:IFNAME, tap:IFNAME, "
     "memif:PATH[,role=server|client,id=N], vhost:PATH or dpdk:DEVARGS"},
    {"InterfaceNameTooLong", 3,
     "uplinks: [{name: wan0, device: \"veth:interface-name-16\"}]",
     "godwit.yaml:3: uplinks[0].device: interface name \"interface-name-16\" "
     "is not 1-15 printable characters without /, : or comma"},
    {"RelativeSocket", 4,
     "queues: [{name: dns0, device: \"vhost:dns0.sock\"}, {name: web0, device: "
     "\"veth:web0\"}]",
     "godwit.yaml:4: queues[0].device: socket path \"dns0.sock\" is not "
     "absolute: it begins with /"},
    {"DriverThatDpdkHasNot", 4,
     "queues: [{name: dns0, device: \"dpdk:net_foo0\"}, {name: web0, device: "
     "\"veth:web0\"}]",
     "godwit.yaml:4: queues[0].device: \"dpdk:net_foo0\" is not a virtual "
     "device of DPDK 22.11: its name begins with its driver's, one of "
     "net_af_packet net_af_xdp net_bonding net_enetfec net_failsafe "
     "net_kni net_memif net_mvneta net_mvpp2 net_null net_octeontx "
     "net_pcap net_pfe net_ring net_softnic net_tap net_tun "
     "net_vdev_netvsc net_vhost net_virtio_user eth_af_packet eth_af_xdp"
     " eth_bond eth_kni eth_memif eth_mvneta eth_mvpp2 eth_null "
     "eth_octeontx eth_pcap eth_pfe eth_ring eth_tap eth_vhost "
     "virtio_user"},
    {"DevargsWithoutAKey", 3,
     "uplinks: [{name: wan0, device: \"dpdk:net_null0,=5\"}]",
     "godwit.yaml:3: uplinks[0].device: \"dpdk:net_null0,=5\" is not "
     "well-formed: behind its name come KEY=VALUE, separated by commas"},
    {"MemifRole", 4,
     "queues: [{name: dns0, device: \"memif:/run/dns0,role=master\"}, {name: "
     "web0, device: \"veth:web0\"}]",
     "godwit.yaml:4: queues[0].device: memif role \"master\" is not server or "
     "client"},
    {"DeviceTwice", 4,
     "queues: [{name: dns0, device: \"veth:wan0\"}, {name: web0, device: "
     "\"veth:web0\"}]",
     "godwit.yaml:4: queues[0].device: \"veth:wan0\" is not the only one: it "
     "is at uplinks[0].device already"},
    {"MemifTwice", 4,
     "queues: [{name: dns0, device: \"memif:/run/a,id=1\"}, {name: web0, "
     "device: \"memif:/run/a,role=client,id=1\"}]",
     "godwit.yaml:4: queues[1].device: \"memif:/run/a,role=client,id=1\" is "
     "not the only one: it is at queues[0].device already"},
    {"NameTwice", 4,
     "queues: [{name: dns0, device: \"veth:dns0\"}, {name: wan0, device: "
     "\"veth:web0\"}, {name: web0, device: \"veth:web1\"}]",
     "godwit.yaml:4: queues[1].name: \"wan0\" is not the only one: it is at "
     "uplinks[0].name already"},
    {"KernelNameOnXdp", 3,
     "uplinks: [{name: wan0, device: \"xdp:eth0\", kernel: gw0}]",
     "godwit.yaml:3: uplinks[0].kernel: \"gw0\" is not needed: the kernel "
     "keeps eth0 itself, so an xdp: uplink has no TAP"},
    {"KernelName", 3,
     "uplinks: [{name: wan0, device: \"0000:3b:00.0\", kernel: a/b}]",
     "godwit.yaml:3: uplinks[0].kernel: interface name \"a/b\" is not 1-15 "
     "printable characters without /, : or comma"},
    {"KernelNameTwice", 3,
     "uplinks: [{name: wan0, device: \"veth:wan0\", kernel: gw0}, {name: wan1, "
     "device: \"veth:wan1\", kernel: gw0}]",
     "godwit.yaml:3: uplinks[1].kernel: \"gw0\" is not the only one: it is at "
     "uplinks[0].kernel already"},
    {"UplinkAddressWithoutLength", 3,
     "uplinks: [{name: wan0, device: \"veth:wan0\", addresses: "
     "[198.51.100.7]}]",
     "godwit.yaml:3: uplinks[0].addresses[0]: \"198.51.100.7\" is not an "
     "interface address, ADDRESS/LENGTH as in 198.51.100.7/24"},
    {"UplinkAddressLength", 3,
     "uplinks: [{name: wan0, device: \"veth:wan0\", addresses: "
     "[198.51.100.7/33]}]",
     "godwit.yaml:3: uplinks[0].addresses[0]: \"198.51.100.7/33\" is not an "
     "interface address, ADDRESS/LENGTH as in 198.51.100.7/24"},
    {"UplinkAddressTwice", 3,
     "uplinks: [{name: wan0, device: \"veth:wan0\", addresses: "
     "[198.51.100.7/24, 198.51.100.7/25]}]",
     "godwit.yaml:3: uplinks[0].addresses[1]: \"198.51.100.7/25\" is not the "
     "only one: it is at uplinks[0].addresses[0] already"},
    {"GatewayElsewhere", 3,
     "uplinks: [{name: wan0, device: \"veth:wan0\", addresses: "
     "[198.51.100.7/24], gateway: [203.0.113.1]}]",
     "godwit.yaml:3: uplinks[0].gateway[0]: \"203.0.113.1\" is not another "
     "host in a prefix of uplinks[0].addresses"},
    {"GatewayIsOwn", 3,
     "uplinks: [{name: wan0, device: \"veth:wan0\", addresses: "
     "[198.51.100.7/24], gateway: [198.51.100.7]}]",
     "godwit.yaml:3: uplinks[0].gateway[0]: \"198.51.100.7\" is not another "
     "host in a prefix of uplinks[0].addresses"},
    {"GatewayIsBroadcast", 3,
     "uplinks: [{name: wan0, device: \"veth:wan0\", addresses: "
     "[198.51.100.7/24], gateway: [198.51.100.255]}]",
     "godwit.yaml:3: uplinks[0].gateway[0]: \"198.51.100.255\" is not a host "
     "of 198.51.100.0/24: its first and last address mean all of it"},
    {"GatewayIsNetwork", 3,
     "uplinks: [{name: wan0, device: \"veth:wan0\", addresses: "
     "[198.51.100.13/30], gateway: [198.51.100.12]}]",
     "godwit.yaml:3: uplinks[0].gateway[0]: \"198.51.100.12\" is not a host "
     "of 198.51.100.12/30: its first and last address mean all of it"},
    {"GatewayTwice", 3,
     "uplinks: [{name: wan0, device: \"veth:wan0\", gateway: [198.51.100.1, "
     "198.51.100.1]}]",
     "godwit.yaml:3: uplinks[0].gateway[1]: \"198.51.100.1\" is not the only "
     "one: it is at uplinks[0].gateway[0] already"},
    {"VlanZero", 3, "uplinks: [{name: wan0, device: \"veth:wan0\", vlan: 0}]",
     "godwit.yaml:3: uplinks[0].vlan: \"0\" is not a VLAN of 1-4094"},
    {"VlanTooLarge", 3,
     "uplinks: [{name: wan0, device: \"veth:wan0\", vlan: 4095}]",
     "godwit.yaml:3: uplinks[0].vlan: \"4095\" is not a VLAN of 1-4094"},
    {"Ipv6Mtu", 3, "uplinks: [{name: wan0, device: \"veth:wan0\", mtu: 1279}]",
     "godwit.yaml:3: uplinks[0].mtu: \"1279\" is not an MTU for IPv6, which "
     "this node has addresses of: at least 1280 (RFC 8200)"},
    {"VethMtu", 3, "uplinks: [{name: wan0, device: \"veth:wan0\", mtu: 9000}]",
     "godwit.yaml:3: uplinks[0].mtu: \"9000\" is not an MTU for this device: a "
     "number of 68-2030"},
    {"XdpMtu", 3, "uplinks: [{name: wan0, device: \"xdp:wan0\", mtu: 2031}]",
     "godwit.yaml:3: uplinks[0].mtu: \"2031\" is not an MTU for this device: a "
     "number of 68-2030"},
    {"AfPacketMtu", 3,
     "uplinks: [{name: wan0, device: \"afpacket:wan0\", mtu: 1931}]",
     "godwit.yaml:3: uplinks[0].mtu: \"1931\" is not an MTU for this device: a "
     "number of 68-1930"},
    {"QueueMtu", 4,
     "queues: [{name: dns0, device: \"veth:dns0\"}, {name: web0, device: "
     "\"vhost:/run/web0\", mtu: 9601}]",
     "godwit.yaml:4: queues[1].mtu: \"9601\" is not an MTU for this device: a "
     "number of 68-9600"},
    {"Martians", 3,
     "uplinks: [{name: wan0, device: \"veth:wan0\", martians: some}]",
     "godwit.yaml:3: uplinks[0].martians: \"some\" is not one of basic, "
     "strict, off"},
    {"Hop", 3, "uplinks: [{name: wan0, device: \"veth:wan0\", hop: switch}]",
     "godwit.yaml:3: uplinks[0].hop: \"switch\" is not one of host, router"},
    {"NetnsOfMemif", 4,
     "queues: [{name: dns0, device: \"memif:/run/dns0\", netns: dns}, {name: "
     "web0, device: \"veth:web0\"}]",
     "godwit.yaml:4: queues[0].netns: \"dns\" is not allowed here: only a "
     "veth: or tap: device can be moved into a namespace"},
    {"NetnsPath", 4,
     "queues: [{name: dns0, device: \"veth:dns0\", netns: /run/netns/dns}, "
     "{name: web0, device: \"veth:web0\"}]",
     "godwit.yaml:4: queues[0].netns: \"/run/netns/dns\" is not the name of a "
     "network namespace, as `ip netns list` shows it"},
    {"NoFlowsAllowed", 4,
     "queues: [{name: dns0, device: \"veth:dns0\", limits: {flows: 0}}, {name: "
     "web0, device: \"veth:web0\"}]",
     "godwit.yaml:4: queues[0].limits.flows: \"0\" is not a number of flows of "
     "1-4294967295"},
    {"NoRateAllowed", 4,
     "queues: [{name: dns0, device: \"veth:dns0\", limits: {rate: 0}}, {name: "
     "web0, device: \"veth:web0\"}]",
     "godwit.yaml:4: queues[0].limits.rate: \"0\" is not a number of flows a "
     "second of 1-4294967295"},
    {"HealthWithoutCheck", 4,
     "queues: [{name: dns0, device: \"veth:dns0\", health: {interval: 1s}}, "
     "{name: web0, device: \"veth:web0\"}]",
     "godwit.yaml:4: queues[0].health: has 0 checks and not one: exactly one "
     "of tcp, http, dns and exec"},
    {"HealthTwoChecks", 4,
     "queues: [{name: dns0, device: \"veth:dns0\", health: {tcp: 53, dns: "
     "example}}, {name: web0, device: \"veth:web0\"}]",
     "godwit.yaml:4: queues[0].health: has 2 checks and not one: exactly one "
     "of tcp, http, dns and exec"},
    {"HealthPort", 4,
     "queues: [{name: dns0, device: \"veth:dns0\", health: {tcp: 70000}}, "
     "{name: web0, device: \"veth:web0\"}]",
     "godwit.yaml:4: queues[0].health.tcp: \"70000\" is not a port of 1-65535"},
    {"HealthUrl", 4,
     "queues: [{name: dns0, device: \"veth:dns0\", health: {http: "
     "\"192.0.2.53/health\"}}, {name: web0, device: \"veth:web0\"}]",
     "godwit.yaml:4: queues[0].health.http: \"192.0.2.53/health\" is not a "
     "URL, as in http://192.0.2.53/health"},
    {"HealthDns", 4,
     "queues: [{name: dns0, device: \"veth:dns0\", health: {dns: \"a..b\"}}, "
     "{name: web0, device: \"veth:web0\"}]",
     "godwit.yaml:4: queues[0].health.dns: \"a..b\" is not a domain name, as "
     "in health.example"},
    {"HealthExec", 4,
     "queues: [{name: dns0, device: \"veth:dns0\", health: {exec: "
     "[check-dns]}}, {name: web0, device: \"veth:web0\"}]",
     "godwit.yaml:4: queues[0].health.exec[0]: \"check-dns\" is not a "
     "program's absolute path"},
    {"HealthTimeoutOverInterval", 4,
     "queues: [{name: dns0, device: \"veth:dns0\", health: {tcp: 53, timeout: "
     "2s}}, {name: web0, device: \"veth:web0\"}]",
     "godwit.yaml:4: queues[0].health: the timeout of \"2000ms\" is not at "
     "most the interval, \"1000ms\""},
    {"HealthInterval", 4,
     "queues: [{name: dns0, device: \"veth:dns0\", health: {tcp: 53, interval: "
     "50ms, timeout: 20ms}}, {name: web0, device: \"veth:web0\"}]",
     "godwit.yaml:4: queues[0].health.interval: \"50ms\" is not a time of "
     "100ms-3600s"},
    {"HealthRise", 4,
     "queues: [{name: dns0, device: \"veth:dns0\", health: {tcp: 53, rise: "
     "0}}, {name: web0, device: \"veth:web0\"}]",
     "godwit.yaml:4: queues[0].health.rise: \"0\" is not a number of checks of "
     "1-100"},
    {"HealthFall", 4,
     "queues: [{name: dns0, device: \"veth:dns0\", health: {tcp: 53, fall: "
     "101}}, {name: web0, device: \"veth:web0\"}]",
     "godwit.yaml:4: queues[0].health.fall: \"101\" is not a number of checks "
     "of 1-100"},
};

class BadDeviceTest : public testing::TestWithParam<BadInput> {};

TEST_P(BadDeviceTest, IsRefusedWithLinePathValueAndWhatIsAllowed) {
  ExpectRefused(GetParam());
}

INSTANTIATE_TEST_SUITE_P(Table, BadDeviceTest, testing::ValuesIn(kBadInputs),
                         BadInputName);

}  // namespace
}  // namespace godwit
