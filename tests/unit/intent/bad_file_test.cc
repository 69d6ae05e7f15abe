// SPDX-License-Identifier: BSD-3-Clause
// Syntax, unknown keys, wrong types.
#include "tests/unit/intent/bad_input.h"

namespace godwit {
namespace {

const BadInput kBadInputs[] = {
    {"UnclosedList", 2, "node: {unicast: [198.51.100.7}",
     "godwit.yaml:2: not YAML: illegal flow end"},
    {"TabIndent", 8,
     "egress:\n"
     "\tports: auto",
     "godwit.yaml:9: not YAML: illegal map value"},
    {"ControlByte", 8, "egress: {ports: \"a\x01\"}",
     "godwit.yaml:8: byte 0x01 is not text in UTF-8"},
    {"NotUtf8", 8, "egress: {ports: \"\xc3(\"}",
     "godwit.yaml:8: byte 0xc3 is not text in UTF-8"},
    {"EscapeAtTheEnd", 0, "\"0\\",
     "godwit.yaml:1: not YAML: unknown escape character: \\004"},
    {"EscapeOfNoAscii", 8, "egress: \"\\\xc3\xa9\"",
     "godwit.yaml:8: not YAML: unknown escape character: \\303"},
    {"Alias", 8, "egress: *node",
     "godwit.yaml:8: not YAML: the referenced anchor is not defined"},
    {"Anchor", 8, "egress: &e {ports: auto}",
     "godwit.yaml:8: anchors (&name) are not read here: write it out"},
    {"Tag", 8, "egress: !!str auto",
     "godwit.yaml:8: tags are not read here: \"tag:yaml.org,2002:str\""},
    {"SecondDocument", 8,
     "---\n"
     "version: 1",
     "godwit.yaml:8: a second document begins here"},
    {"TooDeep", 8, "egress: {direct: [[[[[[[[[[[[[[[[[a]]]]]]]]]]]]]]]]]}",
     "godwit.yaml:8: lists and maps are nested more than 16 deep"},
    {"ListAsKey", 8, "egress: {[a]: b}",
     "godwit.yaml:8: a key is a single word, not a list or a map"},
    {"NotAMap", 0, "just words",
     "godwit.yaml:1: \"just words\" is not a map of the keys version, node, "
     "dataplane, uplinks, queues, services, egress, announce, metrics, "
     "control"},
    {"Empty", 0, "",
     "godwit.yaml:1: version: is missing: it must be 1\n"
     "godwit.yaml:1: node: \"unicast\" is missing: at least one address of "
     "this node, the source of what it originates\n"
     "godwit.yaml:1: uplinks: is missing: at least one uplink"},
    {"UnknownKey", 8, "metrics: {lissen: \"127.0.0.1:9467\"}",
     "godwit.yaml:8: metrics.lissen: \"lissen\" is not a known key, the "
     "nearest is \"listen\"; known here: listen"},
    {"UnknownTopKey", 8, "egres: {ports: auto}",
     "godwit.yaml:8: egres: \"egres\" is not a known key, the nearest is "
     "\"egress\"; known here: version, node, dataplane, uplinks, queues, "
     "services, egress, announce, metrics, control"},
    {"UnknownNestedKey", 3, "uplinks: [{name: wan0, devcie: \"veth:wan0\"}]",
     "godwit.yaml:3: uplinks[0].devcie: \"devcie\" is not a known key, the "
     "nearest is \"device\"; known here: name, device, kernel, addresses, "
     "gateway, vlan, martians, hop, mtu"},
    {"KeyTwice", 8, "version: 1",
     "godwit.yaml:8: version: \"version\" is given twice, first in line 1"},
    {"NestedKeyTwice", 3,
     "uplinks:\n"
     "  - name: wan0\n"
     "    device: \"veth:wan0\"\n"
     "    name: wan1",
     "godwit.yaml:6: uplinks[0].name: \"name\" is given twice, first in line "
     "4"},
    {"TextForMap", 8, "dataplane: fast",
     "godwit.yaml:8: dataplane: \"fast\" is not a map of the keys cpus, "
     "workers, idle, hugepages, max_flows, eal_args"},
    {"ListForMap", 8, "egress: [auto]",
     "godwit.yaml:8: egress: a list is not a map of the keys ports, reserved, "
     "direct, mapping, timeouts, rest, log"},
    {"TextForList", 4, "queues: dns0",
     "godwit.yaml:4: queues: \"dns0\" is not a list\n"
     "godwit.yaml:6: services[0].queues[0]: \"dns0\" is not a queue of this "
     "node: it has kernel\n"
     "godwit.yaml:7: services[1].queues[0]: \"web0\" is not a queue of this "
     "node: it has kernel"},
    {"MapForList", 4, "queues: {name: dns0}",
     "godwit.yaml:4: queues: a map is not a list\n"
     "godwit.yaml:6: services[0].queues[0]: \"dns0\" is not a queue of this "
     "node: it has kernel\n"
     "godwit.yaml:7: services[1].queues[0]: \"web0\" is not a queue of this "
     "node: it has kernel"},
    {"ListForText", 8, "egress: {ports: [1024, 65535]}",
     "godwit.yaml:8: egress.ports: a list is not a single value"},
    {"MapForText", 8, "egress: {ports: {low: 1024}}",
     "godwit.yaml:8: egress.ports: a map is not a single value"},
    {"NothingForText", 8,
     "egress:\n"
     "  ports:",
     "godwit.yaml:9: egress.ports: nothing is not a single value"},
    {"TextForNumber", 8, "dataplane: {workers: two}",
     "godwit.yaml:8: dataplane.workers: \"two\" is not a whole number of "
     "0-4294967295"},
    {"NegativeNumber", 8, "dataplane: {workers: -1}",
     "godwit.yaml:8: dataplane.workers: \"-1\" is not a whole number of "
     "0-4294967295"},
    {"FractionForNumber", 8, "dataplane: {workers: 1.5}",
     "godwit.yaml:8: dataplane.workers: \"1.5\" is not a whole number of "
     "0-4294967295"},
    {"NumberTooLarge", 8, "dataplane: {max_flows: 4294967296}",
     "godwit.yaml:8: dataplane.max_flows: \"4294967296\" is not a whole number "
     "of 0-4294967295"},
    {"UnknownWord", 8, "dataplane: {idle: sleep}",
     "godwit.yaml:8: dataplane.idle: \"sleep\" is not one of poll, adaptive"},
    {"DurationWithoutUnit", 8, "egress: {timeouts: {udp: 300}}",
     "godwit.yaml:8: egress.timeouts.udp: \"300\" is not a duration: a whole "
     "number and ms, s, m or h, as in 5s"},
    {"DurationOfOtherUnit", 8, "egress: {timeouts: {udp: 5 min}}",
     "godwit.yaml:8: egress.timeouts.udp: \"5 min\" is not a duration: a whole "
     "number and ms, s, m or h, as in 5s"},
    {"TextForBool", 4,
     "queues: [{name: dns0, device: \"veth:dns0\", drained: maybe}, {name: "
     "web0, device: \"veth:web0\"}]",
     "godwit.yaml:4: queues[0].drained: \"maybe\" is not true or false"},
    {"ManyAtOnce", 8,
     "dataplane: {workers: 0, cpus: [a]}\n"
     "egress: {ports: all, reserved: [x, 0]}\n"
     "metrics: {port: 1}",
     "godwit.yaml:8: dataplane.cpus[0]: \"a\" is not a whole number of "
     "0-4294967295\n"
     "godwit.yaml:8: dataplane.workers: \"0\" is not a number of workers of "
     "1-64\n"
     "godwit.yaml:9: egress.reserved[0]: \"x\" is not a whole number of "
     "0-4294967295\n"
     "godwit.yaml:9: egress.ports: \"all\" is not auto or LOW-HIGH within "
     "1024-65535\n"
     "godwit.yaml:9: egress.reserved[1]: \"0\" is not a port of 1-65535\n"
     "godwit.yaml:10: metrics.port: \"port\" is not a known key, the nearest "
     "is \"listen\"; known here: listen"},
};

class BadFileTest : public testing::TestWithParam<BadInput> {};

TEST_P(BadFileTest, IsRefusedWithLinePathValueAndWhatIsAllowed) {
  ExpectRefused(GetParam());
}

INSTANTIATE_TEST_SUITE_P(Table, BadFileTest, testing::ValuesIn(kBadInputs),
                         BadInputName);

}  // namespace
}  // namespace godwit
