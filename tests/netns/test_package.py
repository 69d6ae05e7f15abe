# SPDX-License-Identifier: BSD-3-Clause
"""The Debian package, made of the programs under test, on a machine with a real systemd: installed, started, asked by a
member of its group, upgraded under a running node, killed, hung, removed."""

import os
import pathlib
import re
import shutil
import subprocess
import time

import pytest
from harness import daemon as gw
from harness.machine import Machine
from harness.netns import PATIENCE
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

HOW_LONG = PATIENCE * 3
SAMPLE = gw.ROOT / "packaging" / "godwit.yaml"
# Whether it is said that the daemon lives shows within seconds; a busy machine needs some.
QUICKER = "[Service]\nWatchdogSec=12s\n"
SEND = "import socket, sys; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind((sys.argv[1], 0)); " \
       "s.send(bytes.fromhex(sys.argv[2]))"


def sh(*argv, **options):
  done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, check=False, **options)
  assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
  return done.stdout


@pytest.fixture(scope="module")
def package(tmp_path_factory):
  """The .deb, of the programs that all tests here are about."""
  build = gw.GODWITD.resolve().parents[2]
  assert gw.GODWITD.resolve() == build / "control/daemon/godwitd", "not a build directory"
  out = sh(gw.ROOT / "scripts/package", f"--build={build}", f"--output={tmp_path_factory.mktemp('deb')}", timeout=300,
           env={**os.environ, "DEB_BUILD_OPTIONS": "noautodbgsym"})
  return pathlib.Path(out.splitlines()[-1])


@pytest.fixture(scope="module")
def next_package(package, tmp_path_factory):
  """The same programs as another version."""
  tree = tmp_path_factory.mktemp("next") / "tree"
  sh("dpkg-deb", "--raw-extract", package, tree)
  control = tree / "DEBIAN" / "control"
  control.write_text(re.sub(r"(?m)^Version: .*$", "Version: 99.0", control.read_text()))
  path = tree.parent / "next.deb"
  sh("dpkg-deb", "--build", "-Znone", tree, path)
  shutil.rmtree(tree)
  return path


@pytest.fixture(scope="module")
def machine():
  m = Machine()
  yield m
  m.close()


class Node:
  """godwit on the machine, by its unit."""

  def __init__(self, machine):
    self.m = machine

  def is_as_installed(self, package):
    version = self.m.call("dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", "godwit").stdout
    return (version == f"installed {package.name.split('_')[1]}" and self.is_ready()
            and self.m.run("cat", "/etc/godwit/godwit.yaml") == SAMPLE.read_text())

  def ctl(self, *argv, check=True):
    return self.m.run("godwitctl", *argv, check=check)

  def pid(self):
    return int(self.m.unit("godwit", "MainPID")[0])

  def life(self):
    """What is another after a stop or a restart."""
    return self.m.unit("godwit", "MainPID", "NRestarts", "ActiveEnterTimestampMonotonic", "InactiveEnterTimestampMonotonic")

  def until(self, what, within=HOW_LONG):
    end = time.monotonic() + within
    while not what():
      assert time.monotonic() < end, self.m.run("systemctl", "status", "godwit", check=False) + self.m.journal("godwit")
      time.sleep(0.1)

  def is_ready(self):
    return self.m.unit("godwit", "ActiveState") == ["active"] and '"ready": true' in self.ctl("status", "--json", check=False)

  def flow(self):
    """A client asks the sample's service, and has a flow."""
    mac = re.search(r'"mac": "(.*)"', self.ctl("uplink", "show", "wan0", "--json")).group(1)
    frame = (Ether(dst=mac, src="02:00:00:00:00:09") / IP(src="203.0.113.9", dst="192.0.2.53")
             / UDP(sport=4000, dport=53) / b"?")
    self.m.run("python3", "-c", SEND, "gw-wan0", bytes(frame).hex())
    self.until(self.has_flow)

  def has_flow(self):
    return "203.0.113.9:4000" in self.ctl("flow", "list")

  def is_new_program(self):
    """What runs is the file that is installed."""
    installed = self.m.run("stat", "-c", "%i", "/usr/sbin/godwitd")
    return self.m.run("stat", "-L", "-c", "%i", f"/proc/{self.pid()}/exe") == installed

  def told(self):
    return int(self.m.unit("godwit", "WatchdogTimestampMonotonic")[0])


@pytest.fixture
def node(machine, package):
  """Installed as it comes and running, whatever a test before has done to it."""
  node = Node(machine)
  if node.is_as_installed(package):
    node.ctl("flow", "flush")
    return node
  machine.run("dpkg", "--purge", "godwit")
  machine.put(QUICKER, "/etc/systemd/system/godwit.service.d/quicker.conf")
  machine.put(package, "/root/godwit.deb")
  machine.run("dpkg", "-i", "/root/godwit.deb")
  machine.run("systemctl", "reset-failed")
  return node


@pytest.mark.no_daemon
def test_lintian_has_nothing_to_say(package):
  said = subprocess.run(["lintian", "--fail-on", "error,warning", "--allow-root", package], capture_output=True, text=True,
                        check=False)
  assert said.returncode == 0, said.stdout + said.stderr


def test_it_starts_as_it_is_installed(node):
  """With the sample, and ready when the installation is over; what lies where is what the documents say."""
  assert node.is_ready(), node.m.journal("godwit")
  assert node.m.run("systemctl", "is-enabled", "godwit").strip() == "enabled"
  assert node.m.run("cat", "/etc/godwit/godwit.yaml") == SAMPLE.read_text()
  assert node.m.run("stat", "-c", "%U %G %a", "/run/godwit/control.sock").split() == ["root", "godwit", "660"]
  assert node.ctl("config", "check", "/etc/godwit/godwit.yaml").strip() == "ok"
  for path in ("/usr/share/doc/godwit/docs/install.md", "/usr/share/doc/godwit/README.md",
               "/usr/share/bash-completion/completions/godwitctl", "/usr/share/man/man8/godwitd.8.gz"):
    assert node.m.has(path), path
  verify = node.m.call("systemd-analyze", "verify", "godwit.service")
  assert verify.returncode == 0 and "godwit" not in verify.stderr, verify.stderr
  assert node.m.unit("godwit", "Type", "WatchdogUSec", "KillMode") == ["notify", "12s", "process"]


def test_the_manual_has_every_noun(node):
  said = node.m.run("man", "godwitctl").replace("\n", " ")
  for line in node.ctl("--help").split("Nouns and verbs:\n")[1].split("\n\n")[0].splitlines():
    assert re.split(r"  +", line.strip())[0] in said, line


def test_members_of_the_group_use_the_socket_and_no_others(node):
  node.m.run("useradd", "--no-create-home", "--groups", "godwit", "member")
  node.m.run("useradd", "--no-create-home", "stranger")
  try:
    ask = lambda user: node.m.call("setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "godwitctl", "status")
    assert ask("member").returncode == 0
    refused = ask("stranger")
    assert refused.returncode == 3 and "Permission denied" in refused.stderr
  finally:
    node.m.run("userdel", "member")
    node.m.run("userdel", "stranger")


def test_a_reload_is_an_upgrade(node):
  """The same process, no stop, the flows; and systemd hears from the new program that it lives."""
  node.flow()
  before = node.life()
  node.m.run("systemctl", "reload", "godwit")
  assert node.is_ready() and node.life() == before and node.has_flow()
  assert "takes over" in node.m.journal("godwit")
  for _ in range(2):
    last = node.told()
    node.until(lambda at=last: node.told() > at)
  assert node.life() == before


def test_another_version_is_an_upgrade(node, next_package):
  node.flow()
  before = node.life()
  node.m.put(next_package, "/root/next.deb")
  node.m.run("dpkg", "-i", "/root/next.deb")
  assert node.m.run("dpkg-query", "-W", "-f", "${Version}", "godwit") == "99.0"
  assert node.is_ready() and node.life() == before and node.has_flow()
  assert node.is_new_program()


def test_a_version_that_can_not_take_over_stops_nothing(node, next_package):
  """The file has what was not applied: the program from before goes on, dpkg ends well and says so."""
  node.flow()
  before = node.life()
  node.m.run("sed", "-i", "s/name: node1/name: node2/", "/etc/godwit/godwit.yaml")
  node.m.put(next_package, "/root/next.deb")
  done = node.m.call("dpkg", "-i", "--force-confold", "/root/next.deb")
  assert done.returncode == 0 and "systemctl reload godwit" in done.stderr, done
  assert node.is_ready() and node.life() == before and node.has_flow() and not node.is_new_program()
  node.ctl("config", "apply", "/etc/godwit/godwit.yaml")
  node.m.run("systemctl", "reload", "godwit")
  assert node.is_ready() and node.life() == before and node.has_flow() and node.is_new_program()


def test_one_that_is_stopped_by_its_owner_stays_so(node, next_package):
  node.m.run("systemctl", "disable", "--now", "godwit")
  node.m.put(next_package, "/root/next.deb")
  node.m.run("dpkg", "-i", "/root/next.deb")
  assert node.m.unit("godwit", "ActiveState") == ["inactive"]


@pytest.mark.parametrize("number", ["KILL", "STOP"])
def test_one_that_died_or_hangs_is_started_anew(node, number):
  """STOP: nobody tells systemd any more, and it acts on that."""
  node.flow()
  before = node.pid()
  node.m.run("kill", f"-{number}", before)
  node.until(lambda: node.pid() not in (0, before) and node.is_ready(), within=HOW_LONG * 3)
  assert node.has_flow()
  if number == "STOP":
    assert "godwit.service: Watchdog timeout" in node.m.journal("godwit")


def test_it_is_tried_until_it_can_start(node):
  """What it needs comes late: systemd's own limit is five starts in ten seconds."""
  node.m.run("sed", "-i", "s/veth:dns0/xdp:late0/", "/etc/godwit/godwit.yaml")
  node.m.run("kill", "-KILL", node.pid())
  node.until(lambda: int(node.m.unit("godwit", "NRestarts")[0]) > 6)
  node.m.run("ip", "link", "add", "late0", "up", "type", "veth", "peer", "name", "late1")
  try:
    node.until(node.is_ready)
  finally:
    node.m.run("systemctl", "stop", "godwit")
    node.m.run("ip", "link", "del", "late0")


CONFINED = """
version: 1
node: {name: confined, unicast: [198.51.100.7]}
dataplane: {idle: adaptive, hugepages: %s, max_flows: 4096}
uplinks: [{name: wan0, device: "xdp:up0"}]
queues: [{name: dns0, device: "veth:dns0", netns: before}, {name: tap0, device: "tap:tap0"}]
services:
  - {name: dns, addresses: [192.0.2.53], ports: [udp/53], queues: [dns0]}
  - {name: root, addresses: [192.0.2.22], ports: [tcp/22], queues: [kernel]}
  - {name: other, queues: [tap0]}
announce: {linger: 0s}
"""


def test_what_the_unit_leaves_is_enough(node, next_package):
  """An XDP program, the kernel's queue, a TAP, huge pages, a namespace from before and one that comes while it runs;
  and another version withdraws no route."""
  free = int(node.m.run("awk", "/^HugePages_Free/ { print $2 }", "/proc/meminfo"))
  pages = "required" if free >= 400 else "auto"
  node.m.run("ip", "link", "add", "up0", "type", "veth", "peer", "name", "up1")
  try:
    for argv in (("link", "set", "up0", "up"), ("link", "set", "up1", "up"), ("addr", "add", "198.51.100.7/24", "dev", "up0"),
                 ("netns", "add", "before")):
      node.m.run("ip", *argv)
    node.m.put(CONFINED % pages, "/etc/godwit/godwit.yaml")
    node.m.run("systemctl", "restart", "godwit")
    assert node.is_ready()
    assert "xdp" in node.m.run("ip", "link", "show", "up0") and "192.0.2.53" in node.m.run("ip", "-n", "before", "addr")
    node.m.run("ip", "netns", "add", "later")
    node.ctl("queue", "set", "late0", "--device=veth:late0", "--netns=later")
    assert "late0" in node.m.run("ip", "-n", "later", "link")
    assert "blackhole 192.0.2.53 proto 74" in node.m.run("ip", "route", "show", "table", "7480")
    node.ctl("config", "save")
    before = node.life()
    node.m.put(next_package, "/root/next.deb")
    node.m.run("systemd-run", "--unit=routes", "--property=StandardOutput=truncate:/run/routes", "ip", "monitor", "route")
    node.m.run("dpkg", "-i", "/root/next.deb")
    assert node.is_ready() and node.life() == before and node.is_new_program()
    withdrawn = lambda: "Deleted blackhole 192.0.2.53" in node.m.run("cat", "/run/routes")
    assert not withdrawn()
    node.m.run("systemctl", "stop", "godwit")
    node.until(withdrawn)
    for refusal in ("not permitted", "denied", "Read-only", "not supported"):
      assert refusal not in node.m.journal("godwit")
    assert "xdp" not in node.m.run("ip", "link", "show", "up0")
  finally:
    node.m.run("systemctl", "stop", "godwit", "routes", check=False)
    node.m.run("ip", "link", "del", "up0", check=False)
    for name in ("before", "later"):
      node.m.run("ip", "netns", "del", name, check=False)


def test_removal_stops_and_purge_leaves_nothing(node):
  links = lambda: node.m.run("ip", "-br", "link")
  assert "gw-wan0" in links()
  node.m.run("dpkg", "--remove", "godwit")
  assert node.m.unit("godwit", "ActiveState") == ["inactive"] and "gw" not in links() and "dns0" not in links()
  assert node.m.has("/etc/godwit/godwit.yaml") and not node.m.has("/run/godwit/control.sock")
  node.m.run("dpkg", "--purge", "godwit")
  for path in ("/etc/godwit", "/run/godwit", "/usr/sbin/godwitd", "/usr/share/doc/godwit",
               "/etc/systemd/system/multi-user.target.wants/godwit.service"):
    assert not node.m.has(path), path
