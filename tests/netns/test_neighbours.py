# SPDX-License-Identifier: BSD-3-Clause
"""Next hops come from the kernel's neighbours and routes, also when they change while running."""

import time

import pytest
from harness import packets as pk
from harness.netns import PATIENCE
from harness.world import World, standard_config
from test_originate import comes_back, mapping
from test_replies import leaves_unchanged

QUEUES = ("dns0", "dns1", "web0", "crawl0")
OTHER_MAC = "02:00:00:00:55:55"


@pytest.fixture(scope="module", params=["veth", "xdp"])
def node(request):
  with World(standard_config(request.param, QUEUES), kind=request.param) as w:
    yield w


def device(w):
  return "wan0" if w.kind == "xdp" else "gw0"


def sent_to(w, queue_name, l3):
  w.reset()
  w.wire(queue_name).send(l3)
  w.one("up")
  return w.up.frames()[0].dst


def until(condition, seconds=PATIENCE):
  end = time.monotonic() + seconds
  while True:
    value = condition()
    if value or time.monotonic() > end:
      return value
    time.sleep(0.02)


def test_L2_the_gateways_new_mac_is_used(node, ip):
  sport, p = mapping(node, "crawl0", "udp", ip.I1, ip.S, 53)
  assert node.up.frames()[0].dst == node.up.mac
  family = [] if ip.v == 4 else ["-6"]
  node.n.ip(*family, "neigh", "replace", ip.GW, "lladdr", OTHER_MAC, "nud", "permanent", "dev", device(node))
  try:
    l3 = pk.udp(ip.I1, ip.S, sport, 53)
    assert until(lambda: sent_to(node, "crawl0", l3) == OTHER_MAC), "an established flow still uses the old MAC"
    assert sent_to(node, "web0", pk.udp(ip.VIPB, ip.C, 443, node.l4port())) == OTHER_MAC
    comes_back(node, "crawl0", pk.udp(ip.S, ip.U, 53, p), ip.I1, sport)
  finally:
    node.n.ip(*family, "neigh", "replace", ip.GW, "lladdr", node.up.mac, "nud", "reachable", "dev", device(node))
  assert until(lambda: sent_to(node, "crawl0", pk.udp(ip.I1, ip.S, sport, 53)) == node.up.mac)


def test_L2_a_host_on_the_link_is_resolved_by_the_kernel(node, ip):
  node.up.hosts[ip.N2] = OTHER_MAC
  l3 = pk.udp(ip.I1, ip.N2, node.l4port(), 53)
  node.q["crawl0"].send(l3)
  until(lambda: node.up.packets() or node.q["crawl0"].send(l3))
  assert node.up.frames()[0].dst == OTHER_MAC


def test_L2_a_route_changes_while_running(node, ip):
  """A more specific route through another next hop on the link."""
  node.up.hosts[ip.N2] = OTHER_MAC
  sport, _ = mapping(node, "crawl0", "udp", ip.I1, ip.S, 53)
  family = [] if ip.v == 4 else ["-6"]
  node.n.ip(*family, "route", "add", f"{ip.S}/{ip.full}", "via", ip.N2, "dev", device(node))
  try:
    l3 = pk.udp(ip.I1, ip.S, sport, 53)
    assert until(lambda: sent_to(node, "crawl0", l3) == OTHER_MAC), "the new route is not used"
  finally:
    node.n.ip(*family, "route", "del", f"{ip.S}/{ip.full}", "via", ip.N2, "dev", device(node))
  assert until(lambda: sent_to(node, "crawl0", pk.udp(ip.I1, ip.S, sport, 53)) == node.up.mac)


def test_L2_14_an_unresolved_next_hop_is_bounded(node, ip):
  """At most a few are kept; all are accounted for; about one request a second."""
  nobody = "203.0.113.66" if ip.v == 4 else "2001:db8:7::66"
  node.reset()
  before = node.counters()
  base = node.l4port(300)
  node.q["crawl0"].send_all([pk.udp(ip.I1, nobody, base + i, 53) for i in range(300)])
  until(lambda: sum(node.counters().drops_since(before).values()) >= 280)
  time.sleep(0.5)
  assert not [p for p in node.up.packets() if p.dst == nobody], "sent to whom?"
  asked = [f for f in node.up.chatter if pk.packed(nobody) in f.raw]
  assert len(asked) <= 8, f"{len(asked)} requests for one neighbour"
  node.check_standing()
  leaves_unchanged(node, "web0", pk.udp(ip.VIPB, ip.C, 443, node.l4port()))


def test_L2_09_nobody_is_asked_who_has_a_broadcast_address(node):
  """The last address of the uplink's network, and the first: a verdict at once."""
  ip = pk.V4
  node.reset()
  node.up.chatter.clear()
  network = ip.U.rsplit(".", 1)[0]
  for edge in (f"{network}.255", f"{network}.0", "255.255.255.255"):
    for name, l3 in (("crawl0", pk.udp(ip.I1, edge, node.l4port(), 53)), ("web0", pk.udp(ip.VIPB, edge, 443, 9))):
      with node.drops(1, "martian_dst"):
        node.q[name].send(l3)
    told = node.ctl("explain", "udp", pk.at(ip.I1, 4000), pk.at(edge, 53), "--from=crawl0")
    assert (told["verdict"], told["reason"]) == ("dropped", "martian_dst"), told
    assert not [f for f in node.up.chatter if pk.packed(edge) in f.l3], "asked for"
  with node.drops(2, "martian_src"):
    node.up.send(pk.udp(f"{network}.255", ip.VIP, 4000, 53))
    node.up.send(pk.udp(f"{network}.0", ip.VIP, 4000, 53))


def test_L2_14_no_route_is_an_answer_not_a_leak(node, ip):
  """Without a default route: dropped and counted; the route comes back, and so does the traffic."""
  family = [] if ip.v == 4 else ["-6"]
  node.n.ip(*family, "route", "del", "default", "dev", device(node))
  try:
    l3 = pk.udp(ip.I1, ip.S2, node.l4port(), 53)
    assert until(lambda: not (node.reset() or node.q["crawl0"].send(l3) or node.collect(["up"], 1, timeout=0.1)))
    with node.drops(1, silent=False):
      node.q["crawl0"].send(l3)
    assert not node.up.packets()
  finally:
    node.n.ip(*family, "route", "add", "default", "via", ip.GW, "dev", device(node))
  assert until(lambda: node.q["crawl0"].send(l3) or node.collect(["up"], 1, timeout=0.1))


def test_neighbor_and_route_list_show_the_kernels(node):
  shown = str(node.ctl("neighbor", "list"))
  assert pk.V4.GW in shown and node.up.mac in shown
  assert pk.V4.GW in str(node.ctl("route", "list"))
