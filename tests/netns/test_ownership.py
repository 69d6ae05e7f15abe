# SPDX-License-Identifier: BSD-3-Clause
"""What is somebody else's comes to no harm: interfaces that have a name which the config asks for."""

import subprocess

import pytest
from harness import daemon as gw, packets as pk
from harness.netns import Netns
from harness.world import World, changed, queue, standard_config

QUEUES = ("dns0", "dns1")


def interfaces(ns):
  """Names, kinds, states, addresses and masters of all that is there."""
  return sorted(" ".join(line.split("alias")[0].split()) for line in ns.ip("-o", "addr").splitlines() +
                ns.ip("-o", "link").splitlines())


def keep(ns):
  """Somebody else's: a pair with an address, a bridge, a TUN, a TAP with an alias."""
  ns.ip("link", "add", "keep0", "type", "veth", "peer", "name", "keep1")
  ns.ip("addr", "add", "10.9.9.9/24", "dev", "keep0")
  ns.ip("link", "add", "br9", "type", "bridge")
  ns.run("ip", "tuntap", "add", "tun9", "mode", "tun")
  ns.run("ip", "tuntap", "add", "tap9", "mode", "tap", "multi_queue")
  ns.ip("link", "set", "tap9", "alias", "backup line")


@pytest.fixture
def ns():
  space = Netns("own")
  keep(space)
  yield space
  space.close()


def kernel(name):
  return lambda c: c["uplinks"][0].update(kernel=name)


def device(name):
  return lambda c: queue(c, "dns1").update(device=name)


CASES = {
    "kernel-veth": (kernel("keep0"), "uplinks[0].kernel", '"keep0"'),
    "kernel-bridge": (kernel("br9"), "uplinks[0].kernel", '"br9"'),
    "kernel-tun": (kernel("tun9"), "uplinks[0].kernel", '"tun9"'),
    "kernel-default": (lambda c: c["uplinks"][0].update(kernel=None), "uplinks[0].name", '"gw0"'),
    "tap-veth": (device("tap:keep0"), "queues[1].device", '"tap:keep0"'),
    "tap-with-an-alias": (device("tap:tap9"), "queues[1].device", '"tap:tap9"'),
    "veth-veth": (device("veth:keep1"), "queues[1].device", '"veth:keep1"'),
}


def config_of(case, base=None):
  config = changed(base or standard_config("veth", QUEUES), CASES[case][0])
  if config["uplinks"][0].get("kernel", "") is None:
    del config["uplinks"][0]["kernel"]
  return config


@pytest.mark.parametrize("case", CASES)
def test_a_start_leaves_what_is_not_ours_alone(ns, tmp_path, case):
  if case == "kernel-default":
    ns.ip("link", "add", "gw0", "type", "bridge")
  before = interfaces(ns)
  path = tmp_path / "mine.yaml"
  path.write_text(gw.yaml.safe_dump(config_of(case), sort_keys=False))
  done = subprocess.run(ns.enter(gw.GODWITD, "--config", path, "--socket", tmp_path / "s"), capture_output=True,
                        text=True, timeout=60, check=False)
  _, field, value = CASES[case]
  assert done.returncode == 1, done.stderr
  assert interfaces(ns) == before
  said = [line for line in done.stderr.splitlines() if "mine.yaml:" in line]
  assert len(said) == 1 and f"{field}: {value}: " in said[0] and "of godwit" in said[0], done.stderr


@pytest.fixture(scope="module")
def node():
  with World(standard_config("veth", QUEUES)) as w:
    keep(w.n)
    yield w


@pytest.mark.parametrize("case", [c for c in CASES if c != "kernel-default"])
def test_a_running_node_leaves_what_is_not_ours_alone(node, case):
  before, generation = interfaces(node.n), node.ctl("status")["generation"]
  path = node.daemon.write(config_of(case), "theirs.yaml")
  _, field, value = CASES[case]
  for verb in ("check", "diff", "apply"):
    code, out, err = node.daemon.raw("config", verb, path, json_output=False)
    assert code == 1 and f"{field}: {value}: " in err and "of godwit" in err, f"{verb}: {out}{err}"
  if case.startswith(("tap", "veth")):
    code, _, err = node.daemon.raw("queue", "set", "z", f"--device={value.strip(chr(34))}", json_output=False)
    assert code == 1 and "of godwit" in err, err
  assert interfaces(node.n) == before and node.ctl("status")["generation"] == generation
  for ip in pk.FAMILIES:
    node.deliver(pk.udp(ip.C, ip.VIP, node.l4port(), 53), "dns0", "dns1")


def test_its_own_interfaces_are_no_reason_to_refuse(node):
  node.ctl("config", "check", node.daemon.file)
  node.apply(node.config)


def test_what_a_killed_daemon_left_is_taken_over():
  edit = lambda c: queue(c, "dns1").update(device="tap:dns1")
  with World(changed(standard_config("afpacket", QUEUES), edit), kind="afpacket") as w:
    made = {"gw0", "dns0", "dns1"}
    index = {name: w.n.ip("-o", "link", "show", name).split(":")[0] for name in made}
    w.daemon.process.kill()
    w.daemon.process.wait()
    assert made <= w.n.links()
    w.restart()
    assert {name: w.n.ip("-o", "link", "show", name).split(":")[0] for name in made} == index, "made anew"
    assert w.daemon.stop() == 0
    assert w.n.links() == {"lo", "wan0"}, "left behind"


def test_a_tap_that_was_there_and_nobody_has_is_used_and_stays():
  """As a machine's own network configuration makes it, with its addresses."""
  ns = Netns("taps")
  try:
    ns.run("ip", "tuntap", "add", "gw0", "mode", "tap", "multi_queue")
    ns.ip("addr", "add", "10.8.8.8/24", "dev", "gw0")
    daemon = gw.Daemon(ns, standard_config("veth", QUEUES))
    try:
      assert daemon.ctl("config", "check", daemon.file) is not None
      assert daemon.stop() == 0, daemon.log()
      assert "10.8.8.8/24" in ns.ip("addr", "show", "dev", "gw0")
    finally:
      daemon.close()
  finally:
    ns.close()


# -- a second daemon ---------------------------------------------------------------------------------------------


def everything(ns):
  """Down to the numbers of what is attached: nothing was deleted and made again, no program exchanged."""
  return interfaces(ns) + [ns.ip("-d", "-o", "link", "show", name) for name in sorted(ns.links())]


def second(w, path, socket):
  return subprocess.run(w.n.enter(gw.GODWITD, "--config", path, "--socket", socket), capture_output=True, text=True,
                        timeout=60, check=False)


@pytest.fixture(scope="module", params=["veth", "afpacket", "xdp"])
def first(request):
  space = Netns("q")
  def edit(c):
    queue(c, "web0")["netns"] = space.name
    queue(c, "crawl0")["device"] = "tap:crawl0"
  config = changed(standard_config(request.param, (*QUEUES, "web0", "crawl0")), edit)
  try:
    with World(config, kind=request.param) as w:
      w.space = space
      yield w
  finally:
    space.close()


def serves(w):
  assert all(q["state"] == "up" for q in w.ctl("status")["queues"]), w.ctl("status")["queues"]
  for ip in pk.FAMILIES:
    w.deliver(pk.udp(ip.C, ip.VIP, w.l4port(), 53), "dns0", "dns1")


def test_a_second_daemon_on_the_same_socket_touches_nothing(first):
  before, inside = everything(first.n), everything(first.space)
  done = second(first, first.daemon.file, first.daemon.socket)
  assert done.returncode == 1 and str(first.daemon.socket) in done.stderr, done.stderr
  assert everything(first.n) == before and everything(first.space) == inside
  serves(first)


def test_a_second_daemon_on_another_socket_touches_nothing(first, tmp_path):
  before, inside = everything(first.n), everything(first.space)
  done = second(first, first.daemon.file, tmp_path / "s")
  assert done.returncode == 1 and not (tmp_path / "s").exists(), done.stderr
  uplink = first.config["uplinks"][0]
  for field, name in (("uplinks[0].device", "wan0"), ("uplinks[0]", uplink.get("kernel", "gw-wan0")),
                      ("queues[0].device", "dns0"), ("queues[2].device", "web0"), ("queues[3].device", "crawl0")):
    said = [line for line in done.stderr.splitlines() if field in line and f"has interface {name}" in line]
    assert said and "another godwitd" in said[0] and str(first.daemon.process.pid) in said[0], done.stderr
  assert everything(first.n) == before and everything(first.space) == inside
  serves(first)


def test_one_interface_in_common_is_enough_and_the_others_are_not_opened(first, tmp_path):
  """The uplink is the second daemon's own: it is not made before the queue is refused."""
  config = changed(standard_config("veth", ("dns9", "dns0")),
                   lambda c: c["uplinks"][0].update(device="veth:wan9", kernel="gw9"),
                   lambda c: c.update(services=[{"name": "s", "queues": ["dns9", "dns0"]}]))
  before = everything(first.n)
  path = first.daemon.write(config, "second.yaml")
  done = second(first, path, tmp_path / "s")
  assert done.returncode == 1, done.stderr
  said = [line for line in done.stderr.splitlines() if "second.yaml:" in line]
  assert len(said) == 1 and "queues[1].device" in said[0] and "has interface dns0" in said[0], done.stderr
  assert everything(first.n) == before
  serves(first)


def test_a_running_node_takes_nothing_from_another(first, tmp_path):
  """`queue set` and `config apply` with a device that the first one has; the second node goes on as it was."""
  mine = changed(standard_config("veth", ("dns9",)), lambda c: c["uplinks"][0].update(device="veth:wan9", kernel="gw9"),
                 lambda c: c.update(metrics={"listen": "127.0.0.1:9468"},
                                    services=[{"name": "s", "queues": ["dns9"]}]))
  before = everything(first.n)
  node = gw.Daemon(first.n, mine)
  try:
    both, generation = everything(first.n), node.ctl("status")["generation"]
    for words in (("queue", "set", "z", "--device=veth:dns0"), ("queue", "set", "dns9", "--device=tap:crawl0")):
      code, _, err = node.raw(*words, json_output=False)
      assert code == 1 and "another godwitd" in err and "has interface" in err, err
    assert everything(first.n) == both and node.ctl("status")["generation"] == generation
    serves(first)
  finally:
    assert node.stop() == 0
    node.close()
  assert everything(first.n) == before
  serves(first)


def test_a_queue_may_be_renamed_with_its_device():
  with World(standard_config("veth", (*QUEUES, "crawl0"))) as w:
    def edit(c):
      queue(c, "crawl0")["name"] = "crawl1"
      next(s for s in c["services"] if s["name"] == "crawler")["queues"] = ["crawl1"]
    w.apply(changed(w.config, edit))
    states = {q["name"]: q["state"] for q in w.ctl("status")["queues"]}
    assert states == {"dns0": "up", "dns1": "up", "crawl1": "up"}
    for ip in pk.FAMILIES:
      w.deliver(pk.udp(ip.C, ip.VIP, w.l4port(), 53), "dns0", "dns1")
