# SPDX-License-Identifier: BSD-3-Clause
"""Bad input never changes anything: refused with file, line, the path of the field, the value and what is allowed, by
`config check`, at start, and by `config apply`, which leaves the running node as it is."""

import collections
import contextlib
import re
import subprocess

import pytest
from harness import daemon as gw
from harness.netns import Netns
from harness.world import WORKER_CPU

GOOD = """\
version: 1
node:
  name: ams1
  unicast: [203.0.113.7, "2001:db8:7::7"]
dataplane:
  cpus: [1]
  workers: 1
  idle: adaptive
  hugepages: auto
  max_flows: 65536
uplinks:
  - name: wan0
    device: "veth:wan0"
    kernel: gw0
    addresses: [203.0.113.7/24, "2001:db8:7::7/64"]
    gateway: [203.0.113.1, "2001:db8:7::1"]
    martians: basic
    hop: host
queues:
  - {name: dns0, device: "veth:dns0"}
  - name: web0
    device: "veth:web0"
    limits: {flows: 1000, rate: 200}
services:
  - name: dns
    addresses: [198.51.100.53, "2001:db8:53::53"]
    ports: [udp/53, tcp/53]
    queues: [dns0]
    affinity: flow
    replies: tuple
    originate: unicast
    unmatched: reject
  - name: web
    addresses: [198.51.100.80]
    ports: [tcp/443, tcp/8000-8009]
    queues: [{queue: web0, weight: 10}]
egress:
  ports: 20000-30000
  reserved: [23784]
  direct: [198.18.0.0/15]
  mapping: per-destination
  timeouts: {tcp_established: 7440s, tcp_transitory: 240s, udp: 300s, icmp: 60s}
metrics: {listen: "127.0.0.1:9467"}
control: {mode: "0660"}
""".replace("cpus: [1]", f"cpus: [{WORKER_CPU}]")

Case = collections.namedtuple("Case", "name old new path value")


def case(name, old, new, path, value=None):
  """`old` is replaced by `new` in GOOD; the error must name the line it is on, `path`, and `value`."""
  assert GOOD.count(old) == 1, f"{name}: {old!r} is there {GOOD.count(old)} times"
  return Case(name, old, new, path, value)


CASES = [
    case("version-missing", "version: 1\n", "", "version"),
    case("version-other", "version: 1\n", "version: 2\n", "version", "2"),
    case("version-text", "version: 1\n", "version: one\n", "version", "one"),
    case("unknown-top-key", "egress:\n", "egres:\n", "egres", "egress"),
    case("unknown-key-in-service", "affinity: flow", "afinity: flow", "services[0].afinity", "affinity"),
    case("unknown-key-in-uplink", "martians: basic", "martian: basic", "uplinks[0].martian", "martians"),
    case("unknown-key-in-timeouts", "udp: 300s", "upd: 300s", "egress.timeouts.upd", "udp"),
    case("duplicate-key", "  workers: 1\n", "  workers: 1\n  workers: 2\n", "dataplane.workers", "workers"),
    case("unicast-no-address", "unicast: [203.0.113.7,", "unicast: [203.0.113.700,", "node.unicast[0]", "203.0.113.700"),
    case("unicast-with-prefix", "unicast: [203.0.113.7,", "unicast: [203.0.113.7/24,", "node.unicast[0]", "203.0.113.7/24"),
    case("unicast-loopback", "unicast: [203.0.113.7,", "unicast: [127.0.0.1,", "node.unicast[0]", "127.0.0.1"),
    case("unicast-multicast", "unicast: [203.0.113.7,", "unicast: [224.0.0.1,", "node.unicast[0]", "224.0.0.1"),
    case("unicast-this-network", "unicast: [203.0.113.7,", "unicast: [0.1.2.3,", "node.unicast[0]", "0.1.2.3"),
    case("unicast-reserved", "unicast: [203.0.113.7,", "unicast: [240.1.2.3,", "node.unicast[0]", "240.1.2.3"),
    case("unicast-twice", '"2001:db8:7::7"]\ndataplane', "203.0.113.7]\ndataplane", "node.unicast[1]", "203.0.113.7"),
    case("unicast-empty", 'unicast: [203.0.113.7, "2001:db8:7::7"]', "unicast: []", "node.unicast", "[]"),
    case("workers-zero", "workers: 1", "workers: 0", "dataplane.workers", "0"),
    case("workers-negative", "workers: 1", "workers: -3", "dataplane.workers", "-3"),
    case("workers-text", "workers: 1", "workers: many", "dataplane.workers", "many"),
    case("workers-list", "workers: 1", "workers: [1]", "dataplane.workers"),
    case("cpu-that-is-not-there", f"cpus: [{WORKER_CPU}]", "cpus: [4095]", "dataplane.cpus[0]", "4095"),
    case("cpu-of-another-machine", f"cpus: [{WORKER_CPU}]", "cpus: [1023]", "dataplane.cpus[0]", "1023"),
    case("cpu-twice", f"cpus: [{WORKER_CPU}]", f"cpus: [{WORKER_CPU}, {WORKER_CPU}]",
         "dataplane.cpus[1]", str(WORKER_CPU)),
    case("idle-unknown", "idle: adaptive", "idle: sleepy", "dataplane.idle", "sleepy"),
    case("hugepages-unknown", "hugepages: auto", "hugepages: maybe", "dataplane.hugepages", "maybe"),
    case("eal-argument-unknown", "  idle: adaptive", '  idle: adaptive\n  eal_args: ["--nonsense"]',
         "dataplane.eal_args[0]", "--nonsense"),
    case("max-flows-zero", "max_flows: 65536", "max_flows: 0", "dataplane.max_flows", "0"),
    case("uplink-device-kind", 'device: "veth:wan0"', 'device: "carrier:pigeon"', "uplinks[0].device", "carrier:pigeon"),
    case("uplink-device-empty", 'device: "veth:wan0"', 'device: ""', "uplinks[0].device"),
    case("uplink-without-device", '    device: "veth:wan0"\n', "", "uplinks[0]", "device"),
    case("uplink-name-too-long", 'device: "veth:wan0"', 'device: "veth:a-name-that-is-too-long"', "uplinks[0].device",
         "a-name-that-is-too-long"),
    case("uplink-interface-missing", 'device: "veth:wan0"', 'device: "afpacket:nosuchif"', "uplinks[0].device", "nosuchif"),
    case("uplink-pci-missing", 'device: "veth:wan0"', 'device: "0000:ff:1f.7"', "uplinks[0].device", "0000:ff:1f.7"),
    case("uplink-address-no-prefix", "addresses: [203.0.113.7/24,", "addresses: [203.0.113.7,", "uplinks[0].addresses[0]",
         "203.0.113.7"),
    case("uplink-address-prefix-33", "addresses: [203.0.113.7/24,", "addresses: [203.0.113.7/33,",
         "uplinks[0].addresses[0]", "203.0.113.7/33"),
    case("gateway-no-address", "gateway: [203.0.113.1,", "gateway: [router,", "uplinks[0].gateway[0]", "router"),
    case("gateway-broadcast", "gateway: [203.0.113.1,", "gateway: [203.0.113.255,", "uplinks[0].gateway[0]", "203.0.113.255"),
    case("gateway-network", "gateway: [203.0.113.1,", "gateway: [203.0.113.0,", "uplinks[0].gateway[0]", "203.0.113.0"),
    case("gateway-off-link", "gateway: [203.0.113.1,", "gateway: [192.0.2.1,", "uplinks[0].gateway[0]", "192.0.2.1"),
    case("martians-unknown", "martians: basic", "martians: green", "uplinks[0].martians", "green"),
    case("hop-unknown", "hop: host", "hop: skip", "uplinks[0].hop", "skip"),
    case("vlan-zero", "hop: host", "vlan: 0", "uplinks[0].vlan", "0"),
    case("vlan-4095", "hop: host", "vlan: 4095", "uplinks[0].vlan", "4095"),
    case("queue-name-twice", "  - name: web0\n", "  - name: dns0\n", "queues[1].name", "dns0"),
    case("queue-device-twice", 'device: "veth:web0"', 'device: "veth:dns0"', "queues[1].device", "veth:dns0"),
    case("queue-device-of-an-uplink", 'device: "veth:web0"', 'device: "veth:wan0"', "queues[1].device", "veth:wan0"),
    case("queue-named-kernel", "  - name: web0\n", "  - name: kernel\n", "queues[1].name", "kernel"),
    case("queue-netns-missing", 'device: "veth:web0"', 'device: "veth:web0"\n    netns: nosuchns', "queues[1].netns",
         "nosuchns"),
    case("queue-netns-on-memif", 'device: "veth:web0"', 'device: "memif:/run/x.sock"\n    netns: x', "queues[1].netns"),
    case("memif-role-unknown", 'device: "veth:web0"', 'device: "memif:/run/x.sock,role=king"', "queues[1].device", "king"),
    case("limit-negative", "limits: {flows: 1000,", "limits: {flows: -1,", "queues[1].limits.flows", "-1"),
    case("limit-text", "rate: 200}", "rate: fast}", "queues[1].limits.rate", "fast"),
    case("service-address", "addresses: [198.51.100.53,", "addresses: [198.51.100.353,", "services[0].addresses[0]",
         "198.51.100.353"),
    case("service-address-is-unicast", "addresses: [198.51.100.53,", "addresses: [203.0.113.7,",
         "services[0].addresses[0]", "203.0.113.7"),
    case("service-address-multicast", "addresses: [198.51.100.53,", "addresses: [239.1.1.1,",
         "services[0].addresses[0]", "239.1.1.1"),
    case("service-address-twice", '"2001:db8:53::53"]', "198.51.100.53]", "services[0].addresses[1]", "198.51.100.53"),
    case("service-name-twice", "  - name: web\n", "  - name: dns\n", "services[1].name", "dns"),
    case("service-without-queues", "    queues: [dns0]\n", "", "services[0]", "queues"),
    case("service-queues-empty", "queues: [dns0]", "queues: []", "services[0].queues", "[]"),
    case("service-addresses-empty", "addresses: [198.51.100.80]", "addresses: []", "services[1].addresses", "[]"),
    case("service-queue-unknown", "queues: [dns0]", "queues: [dns9]", "services[0].queues[0]", "dns9"),
    case("service-queue-twice", "queues: [dns0]", "queues: [dns0, dns0]", "services[0].queues[1]", "dns0"),
    case("weight-zero", "weight: 10", "weight: 0", "services[1].queues[0].weight", "0"),
    case("weight-negative", "weight: 10", "weight: -1", "services[1].queues[0].weight", "-1"),
    case("port-zero", "ports: [udp/53,", "ports: [udp/0,", "services[0].ports[0]", "udp/0"),
    case("port-65536", "ports: [udp/53,", "ports: [udp/65536,", "services[0].ports[0]", "udp/65536"),
    case("port-protocol", "ports: [udp/53,", "ports: [sctp/53,", "services[0].ports[0]", "sctp/53"),
    case("port-without-protocol", "ports: [udp/53,", "ports: [53,", "services[0].ports[0]", "53"),
    case("port-range-reversed", "tcp/8000-8009", "tcp/8009-8000", "services[1].ports[1]", "tcp/8009-8000"),
    case("port-overlap-in-a-service", "tcp/8000-8009", "tcp/400-500", "services[1].ports[1]", "tcp/400-500"),
    case("port-overlap-of-services", "addresses: [198.51.100.80]\n    ports: [tcp/443,",
         "addresses: [198.51.100.53]\n    ports: [tcp/1-100,", "services[1].ports[0]", "tcp/1-100"),
    case("affinity-unknown", "affinity: flow", "affinity: fluid", "services[0].affinity", "fluid"),
    case("replies-unknown", "replies: tuple", "replies: triple", "services[0].replies", "triple"),
    case("originate-unknown", "originate: unicast", "originate: anycast", "services[0].originate", "anycast"),
    case("unmatched-unknown", "unmatched: reject", "unmatched: shout", "services[0].unmatched", "shout"),
    case("egress-ports-reversed", "ports: 20000-30000", "ports: 30000-20000", "egress.ports", "30000-20000"),
    case("egress-ports-below-1024", "ports: 20000-30000", "ports: 80-30000", "egress.ports", "80-30000"),
    case("egress-ports-word", "ports: 20000-30000", "ports: some", "egress.ports", "some"),
    case("egress-all-reserved", "ports: 20000-30000", "ports: 23784-23784", "egress.ports"),
    case("reserved-65536", "reserved: [23784]", "reserved: [65536]", "egress.reserved[0]", "65536"),
    case("direct-no-prefix", "direct: [198.18.0.0/15]", "direct: [198.18.0.0/15x]", "egress.direct[0]", "198.18.0.0/15x"),
    case("direct-host-bits", "direct: [198.18.0.0/15]", "direct: [198.18.7.7/15]", "egress.direct[0]", "198.18.7.7/15"),
    case("mapping-unknown", "mapping: per-destination", "mapping: cone", "egress.mapping", "cone"),
    case("udp-timeout-too-short", "udp: 300s", "udp: 119s", "egress.timeouts.udp", "119s"),
    case("icmp-timeout-too-short", "icmp: 60s", "icmp: 59s", "egress.timeouts.icmp", "59s"),
    case("timeout-without-unit", "udp: 300s", "udp: soon", "egress.timeouts.udp", "soon"),
    case("timeout-negative", "udp: 300s", "udp: -300s", "egress.timeouts.udp", "-300s"),
    case("metrics-listen", 'listen: "127.0.0.1:9467"', 'listen: "localhost"', "metrics.listen", "localhost"),
    case("metrics-listen-ipv6", 'listen: "127.0.0.1:9467"', 'listen: "[::1]:9467"', "metrics.listen", "[::1]:9467"),
    case("control-group-missing", 'mode: "0660"', "group: nosuchgroup", "control.group", "nosuchgroup"),
    case("control-mode", 'mode: "0660"', 'mode: "rw"', "control.mode", "rw"),
]
# Shapes that have no one value: the file, the line and a reason are enough.
TEXTS = {
    "no-yaml": ("version: 1\nnode: [unclosed\n", None),
    "a-tab": ("version: 1\nnode:\n\tname: x\n", 3),
    "empty": ("", None),
    "a-list": ("- version: 1\n", None),
    "two-originates-for-a-queue": (GOOD.replace("queues: [{queue: web0, weight: 10}]", "queues: [dns0]\n"
                                                "    originate: vip"), None),
    "no-uplinks": (re.sub(r"uplinks:\n(  .*\n)+", "uplinks: []\n", GOOD), None),
}


@pytest.fixture(scope="module")
def ns():
  """A namespace for configs that fail before anything is made."""
  space = Netns("cfg")
  yield space
  space.close()


@pytest.fixture(scope="module")
def bare():
  space = Netns("cfgb")
  yield space
  space.close()


@pytest.fixture(scope="module")
def node(ns):
  running = gw.Daemon(ns, GOOD)
  yield running
  running.close()


def line_of(bad, c):
  """The line on which the change begins, the lines it may be reported on, counted from 1."""
  first = GOOD.index(c.old)
  start = GOOD.count("\n", 0, first) + 1
  return range(start, start + max(c.new.count("\n"), c.old.count("\n")) + 2)


def assert_names(err, path, c, bad):
  lines = [x for x in err.strip().splitlines() if path.name in x]
  assert lines, f"the file is not named: {err}"
  match = re.search(re.escape(path.name) + r":(\d+): ", lines[0])
  assert match, f"no line number: {lines[0]}"
  assert c.path + ":" in lines[0] or c.path + " " in lines[0], f"the path {c.path} is not named: {lines[0]}"
  if c.value:
    assert c.value in lines[0], f"{c.value!r} is not named: {lines[0]}"
  if c.new and "missing" not in c.name and "without" not in c.name:
    assert int(match[1]) in line_of(bad, c), f"line {match[1]}, expected {line_of(bad, c)}: {lines[0]}"


def test_the_config_that_the_cases_change_is_good(node):
  code, out, err = node.raw("config", "check", node.write(GOOD, "good.yaml"))
  assert code == 0, out + err


@pytest.mark.parametrize("c", CASES, ids=lambda c: c.name)
def test_config_check_refuses(node, c):
  bad = GOOD.replace(c.old, c.new)
  path = node.write(bad, "bad.yaml")
  code, out, err = node.raw("config", "check", path, json_output=False)
  assert code == 1, f"exit {code}: {out}{err}"
  assert_names(err, path, c, bad)


@pytest.mark.parametrize("name", TEXTS)
def test_config_check_refuses_text(node, name):
  text, line = TEXTS[name]
  path = node.write(text, "bad.yaml")
  code, out, err = node.raw("config", "check", path, json_output=False)
  assert code == 1, f"exit {code}: {out}{err}"
  match = re.search(r"bad\.yaml:(\d+): ", err)
  assert match, err
  assert line is None or int(match[1]) == line, err


MACHINE = ("cpu-of-another-machine", "eal-argument-unknown", "uplink-interface-missing", "uplink-pci-missing",
           "queue-netns-missing", "control-group-missing", "metrics-listen-elsewhere")
ALONE = CASES + [
    case("metrics-listen-elsewhere", 'listen: "127.0.0.1:9467"', 'listen: "192.0.2.99:9467"', "metrics.listen",
         "192.0.2.99:9467"),
]


def check_alone(ns, tmp_path, path, *options):
  """`config check` where no daemon runs; the exit code, and stderr."""
  done = subprocess.run(ns.enter(gw.GODWITCTL, "--socket", tmp_path / "none", "config", "check", *options, path),
                        capture_output=True, text=True, timeout=60, check=False)
  return done.returncode, done.stderr


@pytest.mark.parametrize("c", ALONE, ids=lambda c: c.name)
def test_config_check_refuses_without_a_daemon(bare, tmp_path, c):
  bad = GOOD.replace(c.old, c.new)
  path = tmp_path / "bad.yaml"
  path.write_text(bad)
  code, err = check_alone(bare, tmp_path, path)
  assert code == 1, f"exit {code}: {err}"
  assert_names(err, path, c, bad)


def test_a_good_config_is_good_without_a_daemon(bare, tmp_path):
  path = tmp_path / "good.yaml"
  path.write_text(GOOD)
  code, err = check_alone(bare, tmp_path, path)
  assert code == 0, err


def test_a_file_for_another_machine_is_judged_alone(bare, tmp_path):
  path = tmp_path / "other.yaml"
  path.write_text(GOOD.replace('device: "veth:wan0"', 'device: "afpacket:nosuchif"').replace(
      'device: "veth:web0"', 'device: "veth:web0"\n    netns: nosuchns'))
  code, err = check_alone(bare, tmp_path, path, "--file-only")
  assert code == 0, err
  code, err = check_alone(bare, tmp_path, path)
  assert code == 1 and "nosuchif" in err and "nosuchns" in err, err


def test_metrics_where_another_program_listens_are_refused(bare, tmp_path):
  path = tmp_path / "taken.yaml"
  path.write_text(GOOD.replace("127.0.0.1:9467", "127.0.0.1:9468"))
  program = "import socket, sys; s = socket.create_server(('127.0.0.1', 9468)); print('up', flush=True); sys.stdin.read()"
  with subprocess.Popen(bare.enter("/usr/bin/python3", "-c", program), stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE) as other:
    assert other.stdout.readline() == b"up\n"
    code, err = check_alone(bare, tmp_path, path)
    done = subprocess.run(bare.enter(gw.GODWITD, "--config", path, "--socket", tmp_path / "s"), capture_output=True,
                          text=True, timeout=60, check=False)
    other.stdin.close()
  line = GOOD[:GOOD.index("metrics:")].count("\n") + 1
  expected = f'taken.yaml:{line}: metrics.listen: "127.0.0.1:9468" is not free: another program listens there'
  assert code == 1 and expected in err, err
  assert done.returncode == 1 and expected in done.stderr and "Civet" not in done.stderr, done.stderr


@pytest.mark.parametrize("c", CASES[::6] + [c for c in ALONE if c.name in MACHINE], ids=lambda c: c.name)
def test_start_refuses(bare, tmp_path, c):
  bad = GOOD.replace(c.old, c.new)
  path = tmp_path / "bad.yaml"
  path.write_text(bad)
  before = bare.links()
  done = subprocess.run(bare.enter(gw.GODWITD, "--config", path, "--socket", tmp_path / "s"), capture_output=True,
                        text=True, timeout=60, check=False)
  assert done.returncode not in (0, None) and done.returncode > 0, f"exit {done.returncode}"
  assert_names(done.stderr, path, c, bad)
  assert bare.links() == before and not (tmp_path / "s").exists(), "something was left behind"


def test_start_without_a_config(ns, tmp_path):
  done = subprocess.run(ns.enter(gw.GODWITD, "--config", tmp_path / "none.yaml", "--socket", tmp_path / "s"),
                        capture_output=True, text=True, timeout=60, check=False)
  assert done.returncode > 0 and "none.yaml" in done.stderr


@pytest.mark.parametrize("c", CASES[::4], ids=lambda c: c.name)
def test_apply_refuses_and_the_node_stays_as_it_is(node, c):
  status, shown, links = node.ctl("status"), node.ctl("config", "show"), node.ns.links()
  bad = GOOD.replace(c.old, c.new)
  path = node.write(bad, "bad.yaml")
  code, out, err = node.raw("config", "apply", path)
  assert code == 1, f"exit {code}: {out}{err}"
  assert_names(err, path, c, bad)
  assert node.ctl("status")["generation"] == status["generation"]
  assert node.ctl("config", "show") == shown and node.ns.links() == links


def test_ports_over_the_ephemeral_range_are_warned_of_not_refused(node):
  path = node.write(GOOD.replace("ports: 20000-30000", "ports: 20000-40000"), "warn.yaml")
  code, out, err = node.raw("config", "check", path, json_output=False)
  assert code == 0, err
  assert "ephemeral" in out + err or "32768" in out + err


def test_what_is_refused_beside_the_file_says_so(node):
  for words in (("config", "confirm"), ("config", "rollback", "99")):
    code, _, err = node.raw(*words, json_output=False)
    assert code == 1 and err.startswith("refused: ") and err.count("\n") == 1, err


def test_what_takes_a_restart_is_told_by_the_check_and_refused_by_apply(node):
  text = GOOD.replace("max_flows: 65536", "max_flows: 32768").replace("127.0.0.1:9467", "127.0.0.1:9468")
  other = node.write(text, "other.yaml")
  flows, listen = (GOOD[:GOOD.index(key)].count("\n") + 1 for key in ("max_flows:", "metrics:"))
  expected = [f'other.yaml:{flows}: dataplane.max_flows: "32768" can\'t change while the daemon runs',
              f'other.yaml:{listen}: metrics.listen: "127.0.0.1:9468" can\'t change while the daemon runs']
  before = node.ctl("status")["generation"]
  for verb, code in (("check", 0), ("diff", 0), ("apply", 1)):
    got, out, err = node.raw("config", verb, other, json_output=False)
    assert got == code, f"{verb}: exit {got}: {out}{err}"
    assert all(text in err for text in expected), f"{verb}: {err}"
    assert (err.count("warning: ") == 2) == (code == 0), f"{verb}: {err}"
  assert node.ctl("status")["generation"] == before


@pytest.mark.parametrize("key", ["health", "announce"])
def test_what_is_not_there_yet_is_refused_or_done_never_ignored(node, bare, tmp_path, key):
  """Either is fine: accepted (and then it must work), or refused as not supported yet, by file and line."""
  text = GOOD + "announce: {table: 7480}\n" if key == "announce" else GOOD.replace(
      "limits: {flows: 1000", "health: {tcp: 443}\n    limits: {flows: 1000")
  path = node.write(text, "later.yaml")
  code, _, err = node.raw("config", "check", path, json_output=False)
  alone = check_alone(bare, tmp_path, path)
  assert alone[0] == code, alone
  for said in (err, alone[1]) if code else ():
    assert code == 1 and "later.yaml:" in said and key in said and "support" in said


def test_ipv6_needs_an_mtu_of_1280(bare, tmp_path):
  bare.ip("link", "add", "thin0", "mtu", 1200, "type", "veth", "peer", "name", "thin1")
  try:
    bare.ip("link", "set", "thin0", "up")
    path = tmp_path / "thin.yaml"
    path.write_text(GOOD.replace('device: "veth:wan0"', 'device: "afpacket:thin0"'))
    done = subprocess.run(bare.enter(gw.GODWITD, "--config", path, "--socket", tmp_path / "s"), capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode > 0 and "1280" in done.stderr and "thin.yaml:" in done.stderr, done.stderr
  except subprocess.TimeoutExpired:
    raise AssertionError("started on an uplink with an MTU of 1200 and IPv6 addresses") from None
  finally:
    with contextlib.suppress(RuntimeError):
      bare.ip("link", "del", "thin0")


def test_the_table_is_long_enough():
  assert len(CASES) + len(TEXTS) >= 40
