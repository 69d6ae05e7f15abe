# SPDX-License-Identifier: BSD-3-Clause
"""What the queue `kernel` needs of the node it runs on: its program on `lo`, the TAP beside an `xdp:` uplink; that a
change which is refused at its very end has not touched either; and what of them a killed daemon leaves."""

import contextlib
import socket
import subprocess

import pytest
import yaml
from harness import daemon as gw, packets as pk
from harness.netns import PATIENCE, Netns
from harness.world import World, changed, queue, service, standard_config

QUEUES = ("dns0", "dns1", "web0", "crawl0")
HOST = {"name": "host", "addresses": [pk.V4.VIPC, pk.V6.VIPC], "ports": ["udp/80"], "queues": ["kernel"]}


def config(kind="veth", *edits):
  """The standard world with a service of the root namespace."""
  return changed(standard_config(kind, QUEUES), lambda c: c["services"].append(HOST), *edits)


@contextlib.contextmanager
def server(ns, ip):
  """A program of the root namespace, bound to the service address on its loopback."""
  ns.ip("addr", "replace", f"{ip.VIPC}/{ip.full}", "dev", "lo", *(["nodad"] if ip.v == 6 else []))
  with ns.inside():
    s = socket.socket(socket.AF_INET if ip.v == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
  with s:
    s.settimeout(PATIENCE)
    s.bind((ip.VIPC, 80))
    yield s


@pytest.mark.parametrize("mtu", [1280, 1500, 2000])
def test_the_tap_beside_an_xdp_uplink_takes_what_uplink_and_queues_bring(mtu):
  with World(config("xdp"), kind="xdp", mtu=mtu) as w:
    for ip in pk.FAMILIES:
      whole = {"ip_flags": "DF"} if ip.v == 4 else {}
      with server(w.n, ip) as s:
        w.up.send(pk.udp(ip.C, ip.VIPC, w.l4port(), 80, payload=b"u" * (mtu - 100), **whole))
        assert s.recv(65536) == b"u" * (mtu - 100)
        w.q["crawl0"].send(pk.udp(ip.I1, ip.VIPC, w.l4port(), 80, payload=b"q" * 1400, **whole))
        data, peer = s.recvfrom(65536)
        assert data == b"q" * 1400 and peer[0] == ip.U
        s.sendto(b"a" * (mtu - 100), (ip.C, 4000))
        assert w.one("up", match=lambda p, ip=ip: p.src == ip.VIPC).payload == b"a" * (mtu - 100)


def test_the_tap_of_a_bypass_uplink_takes_packets_of_its_mtu():
  with World(config("afpacket", lambda c: c["uplinks"][0].update(mtu=1900)), kind="afpacket", mtu=1900) as w:
    assert mtu_of(w.n, "gw0") == 1900
    for ip in pk.FAMILIES:
      with server(w.n, ip) as s:
        w.up.send(pk.udp(ip.C, ip.VIPC, w.l4port(), 80, payload=b"u" * 1800))
        assert s.recv(65536) == b"u" * 1800
        s.sendto(b"a" * 1800, (ip.C, 4000))
        assert w.one("up", match=lambda p, ip=ip: p.src == ip.VIPC).payload == b"a" * 1800


def mtu_of(ns, ifname):
  return int(ns.ip("-o", "link", "show", "dev", ifname).split(" mtu ")[1].split()[0])


@pytest.mark.parametrize("given", [1280, 2000, 2030])
def test_an_mtu_is_given_to_an_xdp_interface_for_as_long_as_it_is_ours(given):
  """And changed by a change, and put back; an operator's own stays."""
  give = lambda mtu: lambda c: c["uplinks"][0].update(mtu=mtu)
  with World(config("xdp", give(given)), kind="xdp") as w:
    w.w.ip("link", "set", "far0", "mtu", given)
    assert mtu_of(w.n, "wan0") == given
    assert next(u for u in w.ctl("uplink", "list")["uplinks"])["mtu"] == given
    with server(w.n, pk.V4) as s:
      w.up.send(pk.udp(pk.V4.C, pk.V4.VIPC, w.l4port(), 80, payload=b"u" * (given - 28)))
      assert s.recv(65536) == b"u" * (given - 28)
    w.apply(changed(w.config, give(1400)))
    assert mtu_of(w.n, "wan0") == 1400
    w.apply(changed(w.config, lambda c: c["uplinks"][0].pop("mtu")))
    assert mtu_of(w.n, "wan0") == 1500
    w.apply(changed(w.config, give(given)))
    assert mtu_of(w.n, "wan0") == given
    assert w.daemon.stop() == 0 and mtu_of(w.n, "wan0") == 1500


@pytest.mark.parametrize("kind", ["xdp", "veth"])
def test_an_mtu_that_af_xdp_has_no_room_for_is_refused_at_its_line(kind, tmp_path):
  ns = Netns("mtu")
  try:
    ns.ip("link", "add", "wan0", "mtu", 3000, "type", "veth", "peer", "name", "far0", "mtu", 3000)
    asks = changed(standard_config(kind, QUEUES), lambda c: c["uplinks"][0].update(mtu=3000))
    code, said = second(ns, tmp_path, asks)
    assert code == 1 and 'second.yaml:' in said and 'uplinks[0].mtu: "3000" is not an MTU' in said, said
    assert "68-2030" in said
    if kind == "xdp":
      code, said = second(ns, tmp_path, standard_config(kind, QUEUES))
      assert code == 1 and "uplinks[0].device" in said and "MTU 3000 of interface wan0 is over the 2030" in said, said
      assert mtu_of(ns, "wan0") == 3000
  finally:
    ns.close()


def filters(ns, ifname="lo", side="egress"):
  return ns.run("tc", "filter", "show", "dev", ifname, side, check=False)


def second(ns, directory, wanted):
  """A second daemon in the namespace: (exit code or None while it runs, what it says)."""
  (directory / "second.yaml").write_text(yaml.safe_dump(wanted))
  process = subprocess.Popen(ns.enter(gw.GODWITD, "--config", directory / "second.yaml", "--socket",
                                      directory / "second.sock"), stderr=subprocess.PIPE, text=True)
  try:
    _, said = process.communicate(timeout=15)
  except subprocess.TimeoutExpired:
    process.terminate()
    return None, process.communicate(timeout=60)[1]
  return process.returncode, said


def asks_the_kernel(w, ip=pk.V4):
  with server(w.n, ip) as s:
    w.q["crawl0"].send(pk.udp(ip.I1, ip.VIPC, w.l4port(), 80, payload=b"question"))
    data, peer = s.recvfrom(100)
    assert data == b"question" and peer[0] == ip.U
    s.sendto(b"answer", peer)
    assert w.one("crawl0", match=lambda p: p.src == ip.VIPC).payload == b"answer"


def spent(base):
  """64 different unicast addresses since the start: one more is refused, when all devices are open."""
  return changed(base, lambda c: c["node"]["unicast"].extend(f"198.18.0.{i}" for i in range(1, 63)))


def one_more(c):
  c["node"]["unicast"].append("198.18.0.99")


def test_a_refused_change_has_not_touched_lo():
  plain = standard_config("veth", QUEUES)
  with World(plain) as w:
    w.apply(spent(plain))
    links, shown = w.n.links(), w.ctl("config", "show")

    def too_much(c):
      one_more(c)
      c["services"].append(HOST)
      c["queues"].append({"name": "new0", "device": "veth:new0"})

    with pytest.raises(gw.Refused, match="64 different"):
      w.daemon.apply(changed(plain, too_much))
    assert "godwit" not in filters(w.n)
    assert w.n.links() == links and w.ctl("config", "show") == shown
    assert "new0" not in str(w.ctl("queue", "list"))
    w.deliver(pk.udp(pk.V4.C, pk.V4.VIP, w.l4port(), 53), "dns0", "dns1")
    w.apply(changed(plain, lambda c: c["services"].append(HOST)))
    before = filters(w.n)
    assert "godwit_loopback" in before
    with pytest.raises(gw.Refused, match="64 different"):    # and one that has it no more
      w.daemon.apply(changed(plain, one_more))
    assert filters(w.n) == before
    asks_the_kernel(w)


def test_a_refused_change_is_taken_back_everywhere():
  """Addresses of a queue's namespace, another TAP, the deadline of a drain: as if it had never been asked for."""
  space = Netns("q")
  try:
    base = config("afpacket", lambda c: queue(c, "web0").update(netns=space.name))
    with World(base, kind="afpacket") as w:
      w.apply(spent(base))
      w.apply(base)
      w.ctl("queue", "drain", "dns1", "--deadline=1h")
      said = lambda: next(q for q in w.ctl("queue", "list")["queues"] if q["name"] == "dns1")["reason"]
      inside = space.ip("-o", "addr", "show", "dev", "lo")
      assert "no flows after" in said()

      def another(c):
        one_more(c)
        c["uplinks"][0]["kernel"] = "gw1"
        service(c, "web")["addresses"].append("192.0.2.99")

      with pytest.raises(gw.Refused, match="64 different"):
        w.daemon.apply(changed(base, another))    # in which dns1 is not drained
      assert space.ip("-o", "addr", "show", "dev", "lo") == inside
      assert "gw0" in w.n.links() and "gw1" not in w.n.links()
      assert "no flows after" in said()
      asks_the_kernel(w)
  finally:
    space.close()


class Without:
  """A namespace in which programs lack a capability for good."""

  def __init__(self, ns, capability):
    self.ns, self.capability = ns, capability

  def enter(self, *argv):
    return self.ns.enter("setpriv", f"--bounding-set=-{self.capability}", f"--inh-caps=-{self.capability}", *argv)


def test_without_bpf_the_queue_kernel_is_refused_by_name(tmp_path):
  """A tap: uplink and queues need none; the queue `kernel` does, and says so."""
  def taps(c):
    c["uplinks"][0]["device"] = "tap:wan0"
    for q in c["queues"]:
      q["device"] = "tap:" + q["name"]
  ns = Netns("nobpf")
  try:
    for extra, expected in (([HOST], 1), ([], None)):
      wanted = changed(standard_config("veth", QUEUES), taps, lambda c, e=extra: c["services"].extend(e))
      code, said = second(Without(ns, "bpf,-sys_admin"), tmp_path, wanted)
      assert code == expected, said
      if extra:
        assert 'services[3].queues[0]: "kernel": for its answers' in said and "CAP_BPF" in said, said
        assert "second.yaml:" in said and ns.links() == {"lo"}
  finally:
    ns.close()


def elsewhere(c):
  """Devices, addresses and sockets that no other daemon of the namespace has."""
  c["metrics"] = {"listen": "127.0.0.1:9468"}
  c["uplinks"] = [{"name": "wan9", "device": "veth:wan9", "kernel": "gw9"}]
  for q in c["queues"]:
    q["device"] += "9"


def test_two_daemons_of_a_namespace_do_not_take_each_others_lo(tmp_path):
  with World(config()) as w:
    before = filters(w.n)
    assert "godwit_loopback" in before
    code, said = second(w.n, tmp_path, changed(w.config, elsewhere))
    assert code == 1 and 'services[3].queues[0]: "kernel"' in said, said
    assert f"process {w.daemon.process.pid}" in said and "interface lo" in said, said
    assert filters(w.n) == before and not {"wan9", "gw9", "dns09"} & w.n.links()
    asks_the_kernel(w)


def test_what_a_killed_daemon_left_on_interfaces_goes_with_the_next_start():
  """Also where the next one has no use for the interface; and what is somebody else's stays."""
  with World(config("xdp"), kind="xdp") as w:
    w.n.run("tc", "filter", "add", "dev", "lo", "egress", "prio", "5", "u32", "match", "u32", "0", "0", "flowid", "1:1")
    w.daemon.process.kill()
    w.daemon.process.wait()
    assert "godwit_loopback" in filters(w.n)
    assert "godwit_egress" in filters(w.n, "wan0") and "godwit_arp" in filters(w.n, "wan0", "ingress")
    daemon = gw.Daemon(w.n, changed(standard_config("veth", QUEUES), elsewhere), directory=w.daemon.directory)
    try:
      assert "godwit" not in filters(w.n) + filters(w.n, "wan0") + filters(w.n, "wan0", "ingress")
      assert "pref 5" in filters(w.n)
      # Three tc programs, and the XDP program that held back what was ours.
      assert sum("of a daemon that is gone" in line for line in daemon.log().splitlines()) == 4, daemon.log()
    finally:
      daemon.close()
