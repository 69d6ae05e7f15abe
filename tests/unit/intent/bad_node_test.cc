// SPDX-License-Identifier: BSD-3-Clause
// node, dataplane, egress, and what surrounds the daemon.
#include "tests/unit/intent/bad_input.h"

namespace godwit {
namespace {

const BadInput kBadInputs[] = {
    {"NoVersion", 1, "", "godwit.yaml:1: version: is missing: it must be 1"},
    {"OtherVersion", 1, "version: 2",
     "godwit.yaml:1: version: \"2\" is not a version that this godwit reads: "
     "1"},
    {"NoUnicast", 2, "node: {name: ams1}",
     "godwit.yaml:2: node: \"unicast\" is missing: at least one address of "
     "this node, the source of what it originates"},
    {"UnicastEmpty", 2, "node:\n  name: ams1\n  unicast: []",
     "godwit.yaml:4: node.unicast: [] is empty: at least one address of this "
     "node, the source of what it originates"},
    {"UnicastWithNothingBelow", 2, "node:\n  unicast:",
     "godwit.yaml:3: node.unicast: is empty: at least one address of this "
     "node, the source of what it originates"},
    {"UnicastTwice", 2,
     "node: {unicast: [\"2001:db8:7::7\", \"2001:db8:7:0::7\"]}",
     "godwit.yaml:2: node.unicast[1]: \"2001:db8:7:0::7\" is not the only one: "
     "it is at node.unicast[0] already"},
    {"UnicastIsMulticast", 2, "node: {unicast: [224.0.0.1]}",
     "godwit.yaml:2: node.unicast[0]: \"224.0.0.1\" is not an address that one "
     "host can have: multicast, broadcast, loopback, link-local and "
     "unspecified ones can't be used here"},
    {"UnicastIsLoopback", 2, "node: {unicast: [\"::1\"]}",
     "godwit.yaml:2: node.unicast[0]: \"::1\" is not an address that one host "
     "can have: multicast, broadcast, loopback, link-local and unspecified "
     "ones can't be used here"},
    {"UnicastIsLinkLocal", 2, "node: {unicast: [\"fe80::1\"]}",
     "godwit.yaml:2: node.unicast[0]: \"fe80::1\" is not an address that one "
     "host can have: multicast, broadcast, loopback, link-local and "
     "unspecified ones can't be used here"},
    {"UnicastIsBroadcast", 2, "node: {unicast: [255.255.255.255]}",
     "godwit.yaml:2: node.unicast[0]: \"255.255.255.255\" is not an address "
     "that one host can have: multicast, broadcast, loopback, link-local and "
     "unspecified ones can't be used here"},
    {"UnicastInThisNetwork", 2, "node: {unicast: [0.1.2.3]}",
     "godwit.yaml:2: node.unicast[0]: \"0.1.2.3\" is not an address that one "
     "host can have: 0.0.0.0/8 and 240.0.0.0/4 are reserved"},
    {"UnicastIsReserved", 2, "node: {unicast: [240.1.2.3]}",
     "godwit.yaml:2: node.unicast[0]: \"240.1.2.3\" is not an address that "
     "one host can have: 0.0.0.0/8 and 240.0.0.0/4 are reserved"},
    {"NodeName", 2, "node: {name: \"ams 1\", unicast: [198.51.100.7]}",
     "godwit.yaml:2: node.name: \"ams 1\" is not a name: 1-63 letters, digits, "
     "'_', '.' or '-', and neither of the last two at its beginning"},
    {"CpuTwice", 8, "dataplane: {cpus: [2, 3, 2]}",
     "godwit.yaml:8: dataplane.cpus[2]: \"2\" is not the only one: it is at "
     "dataplane.cpus[0] already"},
    {"CpuTooLarge", 8, "dataplane: {cpus: [1024]}",
     "godwit.yaml:8: dataplane.cpus[0]: \"1024\" is not a CPU of 0-1023"},
    {"NoWorkers", 8, "dataplane: {workers: 0}",
     "godwit.yaml:8: dataplane.workers: \"0\" is not a number of workers of "
     "1-64"},
    {"TooManyWorkers", 8, "dataplane: {workers: 65}",
     "godwit.yaml:8: dataplane.workers: \"65\" is not a number of workers of "
     "1-64"},
    {"TooFewFlows", 8, "dataplane: {max_flows: 1000}",
     "godwit.yaml:8: dataplane.max_flows: \"1000\" is not a number of flows of "
     "1024-16777215"},
    {"EalArgumentWithoutItsValue", 8, "dataplane: {eal_args: [-v, -m]}",
     "godwit.yaml:8: dataplane.eal_args[1]: \"-m\" is not complete: -m needs "
     "a value behind it"},
    {"EalArgumentWithAValue", 8, "dataplane: {eal_args: [--no-hpet=1]}",
     "godwit.yaml:8: dataplane.eal_args[0]: \"--no-hpet=1\" is not right: "
     "--no-hpet has no value"},
    {"EalArgumentOfTheDaemon", 8, "dataplane: {eal_args: [-l, 0-1, -v]}",
     "godwit.yaml:8: dataplane.eal_args[0]: \"-l\" is not possible: the "
     "daemon says that itself, by dataplane.cpus, workers and hugepages"},
    {"EalArgumentOfTheDaemonAtOnce", 8, "dataplane: {eal_args: [--no-huge]}",
     "godwit.yaml:8: dataplane.eal_args[0]: \"--no-huge\" is not possible: "
     "the daemon says that itself, by dataplane.cpus, workers and hugepages"},
    {"EalArgumentsWord", 8, "dataplane: {eal_args: [--iova-mode=xx]}",
     "godwit.yaml:8: dataplane.eal_args[0]: \"xx\" is not a value of "
     "--iova-mode: pa va"},
    {"EalArgumentsWordBehindIt", 8,
     "dataplane: {eal_args: [--vfio-intr, second]}",
     "godwit.yaml:8: dataplane.eal_args[1]: \"second\" is not a value of "
     "--vfio-intr: legacy msi msix"},
    {"EalArgumentThatWaitsForEver", 8,
     "dataplane: {eal_args: [--proc-type, secondary]}",
     "godwit.yaml:8: dataplane.eal_args[0]: \"--proc-type\" is not possible: "
     "the daemon says that itself, by dataplane.cpus, workers and hugepages"},
    {"EalArgumentThatWaitsForEverInOneWord", 8,
     "dataplane: {eal_args: [--proc-type=secondary]}",
     "godwit.yaml:8: dataplane.eal_args[0]: \"--proc-type=secondary\" is not "
     "possible: the daemon says that itself, by dataplane.cpus, workers and "
     "hugepages"},
    {"EalArgumentsVdev", 8, "dataplane: {eal_args: [\"--vdev=net_ring0,=1\"]}",
     "godwit.yaml:8: dataplane.eal_args[0]: \"net_ring0,=1\" is not "
     "well-formed: behind its name come KEY=VALUE, separated by commas"},
    {"EmptyEalArgument", 8, "dataplane: {eal_args: [\"\"]}",
     "godwit.yaml:8: dataplane.eal_args[0]: \"\" is not an argument for DPDK"},
    {"EgressPortsWord", 8, "egress: {ports: all}",
     "godwit.yaml:8: egress.ports: \"all\" is not auto or LOW-HIGH within "
     "1024-65535"},
    {"EgressPortsBackwards", 8, "egress: {ports: 65535-1024}",
     "godwit.yaml:8: egress.ports: \"65535-1024\" is not auto or LOW-HIGH "
     "within 1024-65535"},
    {"EgressPortsLow", 8, "egress: {ports: 80-65535}",
     "godwit.yaml:8: egress.ports: \"80-65535\" is not auto or LOW-HIGH within "
     "1024-65535"},
    {"EgressPortsSingle", 8, "egress: {ports: 5000}",
     "godwit.yaml:8: egress.ports: \"5000\" is not auto or LOW-HIGH within "
     "1024-65535"},
    {"EgressPortsAllReserved", 8,
     "egress: {ports: 5000-5001, reserved: [5000, 5001]}",
     "godwit.yaml:8: egress.ports: \"5000-5001\" is not enough: it leaves 0 "
     "ports after reserved, and each worker needs one (1)"},
    {"FewerPortsThanWorkers", 8,
     "egress: {ports: 5000-5003}\n"
     "dataplane: {workers: 5}",
     "godwit.yaml:8: egress.ports: \"5000-5003\" is not enough: it leaves 4 "
     "ports after reserved, and each worker needs one (5)"},
    {"ReservedZero", 8, "egress: {reserved: [0]}",
     "godwit.yaml:8: egress.reserved[0]: \"0\" is not a port of 1-65535"},
    {"ReservedTooLarge", 8, "egress: {reserved: [65536]}",
     "godwit.yaml:8: egress.reserved[0]: \"65536\" is not a port of 1-65535"},
    {"ReservedTwice", 8, "egress: {reserved: [179, 179]}",
     "godwit.yaml:8: egress.reserved[1]: \"179\" is not the only one: it is at "
     "egress.reserved[0] already"},
    {"DirectNoPrefix", 8, "egress: {direct: [203.0.113.0/240]}",
     "godwit.yaml:8: egress.direct[0]: \"203.0.113.0/240\" is not a prefix, as "
     "in 203.0.113.0/24 or \"2001:db8::/32\""},
    {"DirectHostBits", 8, "egress: {direct: [203.0.113.7/24]}",
     "godwit.yaml:8: egress.direct[0]: \"203.0.113.7/24\" is not a prefix: it "
     "has host bits; the block around it is 203.0.113.0/24"},
    {"DirectTwice", 8,
     "egress: {direct: [\"2001:db8::/32\", \"2001:db8:0::/32\"]}",
     "godwit.yaml:8: egress.direct[1]: \"2001:db8:0::/32\" is not the only "
     "one: it is at egress.direct[0] already"},
    {"Mapping", 8, "egress: {mapping: symmetric}",
     "godwit.yaml:8: egress.mapping: \"symmetric\" is not one of "
     "per-destination, endpoint-independent"},
    {"UdpTimeout", 8, "egress: {timeouts: {udp: 119s}}",
     "godwit.yaml:8: egress.timeouts.udp: \"119s\" is not a time of "
     "120s-86400s"},
    {"IcmpTimeout", 8, "egress: {timeouts: {icmp: 59s}}",
     "godwit.yaml:8: egress.timeouts.icmp: \"59s\" is not a time of "
     "60s-86400s"},
    {"TcpTimeout", 8, "egress: {timeouts: {tcp_established: 25h}}",
     "godwit.yaml:8: egress.timeouts.tcp_established: \"25h\" is not a time "
     "of 1s-86400s"},
    {"TransitoryTimeout", 8, "egress: {timeouts: {tcp_transitory: 999ms}}",
     "godwit.yaml:8: egress.timeouts.tcp_transitory: \"999ms\" is not a time "
     "of 1s-86400s"},
    {"RestTooLong", 8, "egress: {rest: 3601s}",
     "godwit.yaml:8: egress.rest: \"3601s\" is not a time of 0s-3600s"},
    {"LogRateZero", 8, "egress: {log: {rate: 0}}",
     "godwit.yaml:8: egress.log.rate: \"0\" is not a number of lines a second "
     "of 1-1000000"},
    {"LogMappingsNotBool", 8, "egress: {log: {mappings: sometimes}}",
     "godwit.yaml:8: egress.log.mappings: \"sometimes\" is not true or false"},
    {"AnnounceTable", 8, "announce: {table: 255}",
     "godwit.yaml:8: announce.table: \"255\" is not a routing table of "
     "1-4294967295 other than the kernel's own 253 and 255"},
    {"AnnounceHold", 8, "announce: {hold: 2h}",
     "godwit.yaml:8: announce.hold: \"2h\" is not a time of 0s-3600s"},
    {"AnnounceMetric", 8, "announce: {metric: 0}",
     "godwit.yaml:8: announce.metric: \"0\" is not a metric of 1-4294967295"},
    {"AnnounceDamping", 8, "announce: {damping: 61m}",
     "godwit.yaml:8: announce.damping: \"61m\" is not a time of 0s-3600s"},
    {"MetricsListen", 8, "metrics: {listen: \"9467\"}",
     "godwit.yaml:8: metrics.listen: \"9467\" is not ADDRESS:PORT of "
     "IPv4, as in \"127.0.0.1:9467\""},
    {"MetricsListenOnIpv6", 8, "metrics: {listen: \"[::1]:9467\"}",
     "godwit.yaml:8: metrics.listen: \"[::1]:9467\" is not ADDRESS:PORT of "
     "IPv4, as in \"127.0.0.1:9467\""},
    {"ControlSocket", 8, "control: {socket: run/control.sock}",
     "godwit.yaml:8: control.socket: \"run/control.sock\" is not the absolute "
     "path of a socket, of at most 107 bytes"},
    {"ControlGroup", 8, "control: {group: \"a b\"}",
     "godwit.yaml:8: control.group: \"a b\" is not the name of a group"},
    {"ControlMode", 8, "control: {mode: \"0888\"}",
     "godwit.yaml:8: control.mode: \"0888\" is not an octal file mode of "
     "0000-0777, as in \"0660\""},
};

class BadNodeTest : public testing::TestWithParam<BadInput> {};

TEST_P(BadNodeTest, IsRefusedWithLinePathValueAndWhatIsAllowed) {
  ExpectRefused(GetParam());
}

INSTANTIATE_TEST_SUITE_P(Table, BadNodeTest, testing::ValuesIn(kBadInputs),
                         BadInputName);

}  // namespace
}  // namespace godwit
