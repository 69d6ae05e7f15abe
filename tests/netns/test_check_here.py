# SPDX-License-Identifier: BSD-3-Clause
"""`config check FILE` where no daemon runs says what a start would refuse, word for word; and what daemons of several
network namespaces can have in common, one of them has."""

import subprocess

import pytest
from harness import daemon as gw, packets as pk
from harness.netns import Netns
from harness.world import World, changed, queue, standard_config

QUEUES = ("dns0", "dns1")


def start(ns, path, socket):
  return subprocess.run(ns.enter(gw.GODWITD, "--config", path, "--socket", socket), capture_output=True, text=True,
                        timeout=120, check=False)


def refused(ns, directory, config):
  """The lines that a start refuses `config` with; a check must have said them all."""
  path = directory / "wrong.yaml"
  path.write_text(gw.yaml.safe_dump(config, sort_keys=False))
  checked = subprocess.run(ns.enter(gw.GODWITCTL, "--socket", directory / "none", "config", "check", path),
                           capture_output=True, text=True, timeout=60, check=False)
  started = start(ns, path, directory / "s")
  assert (checked.returncode, started.returncode) == (1, 1), f"{checked.stderr}{started.stderr}"
  assert checked.stderr == started.stderr and not (directory / "s").exists()
  return started.stderr.splitlines()


@pytest.fixture(scope="module")
def ns():
  space = Netns("chk")
  space.ip("link", "add", "keep0", "type", "veth", "peer", "name", "keep1")
  yield space
  space.close()


def device(name):
  return lambda c: queue(c, "dns1").update(device=name)


def dataplane(**values):
  return lambda c: c["dataplane"].update(**values)


CASES = {
    "a TAP's name": (lambda c: c["uplinks"][0].update(kernel="keep0"), "uplinks[0].kernel", '"keep0"', "of godwit"),
    "a pair's name": (device("veth:keep1"), "queues[1].device", '"veth:keep1"', "of godwit"),
    "vhost": (device("vhost:/nowhere/a.sock"), "queues[1].device", '"vhost:/nowhere/a.sock"',
              "its directory /nowhere is not there"),
    "memif": (device("memif:/nowhere/a.sock,id=3"), "queues[1].device", '"memif:/nowhere/a.sock,id=3"',
              "its directory /nowhere is not there"),
    "a client": (device("memif:/nowhere/a.sock,role=client"), "queues[1].device",
                 '"memif:/nowhere/a.sock,role=client"', "its directory /nowhere is not there"),
    "not writable": (device("vhost:/proc/sys/a.sock"), "queues[1].device", '"vhost:/proc/sys/a.sock"', "no socket can be made in /proc/sys"),
    "driver": (device("dpdk:net_foo0"), "queues[1].device", '"dpdk:net_foo0"', "net_null"),
    "arguments": (device("dpdk:net_null0,=5"), "queues[1].device", '"dpdk:net_null0,=5"', "KEY=VALUE"),
    "PCI": (device("0000:ff:1f.7"), "queues[1].device", '"0000:ff:1f.7"', "lspci -D"),
    "CPU": (dataplane(cpus=[1000]), "dataplane.cpus[0]", '"1000"', "here these are"),
    "lcores": (dataplane(eal_args=["-l", "0"]), "dataplane.eal_args[0]", '"-l"', "dataplane.cpus"),
    "value": (dataplane(eal_args=["--iova-mode=xx"]), "dataplane.eal_args[0]", '"xx"', "pa va"),
    "vdev": (dataplane(eal_args=["--vdev", "net_foo0"]), "dataplane.eal_args[1]", '"net_foo0"', "net_null"),
    "loopback": (device("afpacket:lo"), "queues[1].device", '"afpacket:lo"', "a link"),
    "no socket": (lambda c: c.update(control={"socket": "/etc/passwd"}), "control.socket", '"/etc/passwd"', "not a socket"),
    "socket": (lambda c: c.update(control={"socket": "/" + "a" * 107}), "control.socket", '"/aaa', "107 bytes"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_check_without_a_daemon_says_what_a_start_refuses(ns, tmp_path, case):
  edit, field, value, allowed = CASES[case]
  said = refused(ns, tmp_path, changed(standard_config("veth", QUEUES), edit))
  assert len(said) == 1 and "wrong.yaml:" in said[0], said
  assert f"{field}: {value}" in said[0] and allowed in said[0], said


# -- daemons of several network namespaces -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def other():
  space = Netns("oth")
  yield space
  space.close()


def serves(w):
  assert all(q["state"] == "up" for q in w.ctl("status")["queues"] if q["name"] in QUEUES)
  for ip in pk.FAMILIES:
    w.deliver(pk.udp(ip.C, ip.VIP, w.l4port(), 53), "dns0", "dns1")


def shows(ns):
  """Link-local addresses settle by themselves."""
  addresses = [line for line in ns.ip("-o", "addr").splitlines() if "fe80::" not in line]
  return sorted(ns.ip("-d", "-o", "link").splitlines() + addresses)


def another(**q):
  """Of a node whose uplink is its own."""
  config = standard_config("veth", ("dns9",))
  config["queues"][0].update(**q)
  return changed(config, lambda c: c.update(services=[{"name": "s", "queues": ["dns9"]}]))


@pytest.mark.parametrize("kind", ["veth", "tap"])
def test_an_interface_of_a_shared_namespace_has_one_daemon(other, tmp_path, kind):
  space = Netns("shr")
  mine = {"device": f"{kind}:web0", "netns": space.name}
  try:
    with World(changed(standard_config("veth", (*QUEUES, "web0")), lambda c: queue(c, "web0").update(**mine))) as w:
      before = shows(w.n), shows(space)
      for theirs in (mine, {**mine, "device": "veth:web0"}, {**mine, "device": "tap:web0"}):
        said = refused(other, tmp_path, another(**theirs))
        assert len(said) == 1 and "queues[0].device" in said[0], said
        assert f"another godwitd, process {w.daemon.process.pid}, has interface web0" in said[0], said
        assert (shows(w.n), shows(space)) == before
        assert other.links() == {"lo"}, "left behind"
      serves(w)
      w.daemon.process.kill()
      w.daemon.process.wait()
      w.restart()   # what a killed one had is free
      serves(w)
  finally:
    space.close()


@pytest.mark.parametrize("kind", ["vhost", "memif"])
def test_a_devices_socket_has_one_daemon(other, tmp_path, kind):
  mine = {"device": f"{kind}:{tmp_path}/web0.sock"}
  with World(changed(standard_config("veth", (*QUEUES, "web0")), lambda c: queue(c, "web0").update(**mine))) as w:
    inode = (tmp_path / "web0.sock").stat().st_ino
    said = refused(other, tmp_path, another(**mine))
    assert len(said) == 1 and "queues[0].device" in said[0], said
    assert f"another godwitd, process {w.daemon.process.pid}, has socket {tmp_path}/web0.sock" in said[0], said
    assert (tmp_path / "web0.sock").stat().st_ino == inode
    serves(w)


def test_a_control_socket_has_one_daemon(other, tmp_path):
  with World(standard_config("veth", QUEUES)) as w:
    path = w.daemon.write(another(), "other.yaml")
    done = start(other, path, w.daemon.socket)
    assert done.returncode == 1 and f"a daemon answers on {w.daemon.socket} already" in done.stderr, done.stderr
    assert other.links() == {"lo"}
    # One metrics port is of one namespace.
    w.daemon.write(changed(another(), lambda c: c["uplinks"][0].update(device="veth:wan9", kernel="gw9")), "other.yaml")
    before = shows(w.n)
    done = start(w.n, path, tmp_path / "s")
    assert done.returncode == 1 and "other.yaml:" in done.stderr and "metrics.listen: " in done.stderr, done.stderr
    assert shows(w.n) == before
    serves(w)
