# SPDX-License-Identifier: BSD-3-Clause
"""`limits` of a queue: live mappings, and new ones a second, of what it originates (MAP-16); others unaffected."""

import time

import pytest
from harness import packets as pk
from harness.netns import PATIENCE
from harness.world import World, changed, queue, standard_config
from test_originate import comes_back, mapping


@pytest.fixture(scope="module")
def node():
  def edit(c):
    queue(c, "crawl0")["limits"] = {"flows": 50}
    queue(c, "dns0")["limits"] = {"rate": 100}
  with World(changed(standard_config(queues=("dns0", "dns1", "web0", "crawl0")), edit)) as w:
    yield w


def test_MAP_16_flows(node, ip):
  node.flush()
  live = [mapping(node, "crawl0", "udp", ip.I1, ip.S, 53) for _ in range(50)]
  with node.drops(20, silent=False):
    for _ in range(20):
      node.q["crawl0"].send(pk.udp(ip.I1, ip.S, node.l4port(), 53))
  assert not node.up.packets()
  for p in node.q["crawl0"].packets():    # ICE-24: refused for resources, or administratively
    assert (p.kind, p.code) in {4: {(3, 1), (3, 13)}, 6: {(1, 3), (1, 1)}}[ip.v]
  for sport, p in live:
    comes_back(node, "crawl0", pk.udp(ip.S, ip.U, 53, p), ip.I1, sport)
  mapping(node, "web0", "udp", ip.I1, ip.S, 53)
  node.deliver(pk.udp(ip.C, ip.VIPB, node.l4port(), 443), "web0")


def test_MAP_16_a_limited_queue_may_go_on_when_flows_end(node, ip):
  node.flush()
  mapping(node, "crawl0", "udp", ip.I1, ip.S, 53)


def test_MAP_16_rate(node, ip):
  node.flush()
  time.sleep(1.1)
  base = node.l4port(600)
  before, start = node.counters(), time.monotonic()
  node.q["dns0"].send_all([pk.udp(ip.I2, ip.S, base + i, 53) for i in range(600)])
  def fates():
    return len([p for p in node.up.packets() if p.dst == ip.S]), sum(node.counters().drops_since(before).values())

  end = time.monotonic() + PATIENCE
  while sum(fates()) < 600 and time.monotonic() < end:
    time.sleep(0.02)
  took = time.monotonic() - start
  out, refused = fates()
  assert out + refused == 600, f"{out} out, {refused} refused of 600"
  assert 80 <= out <= 100 * (1 + took) + 20, f"{out} new mappings in {took:.2f} s at a limit of 100/s"
  mapping(node, "web0", "udp", ip.I1, ip.S, 53)


def test_MAP_16_established_flows_are_not_rated(node, ip):
  time.sleep(1.1)
  sport, p = mapping(node, "dns0", "udp", ip.I1, ip.S, 53)
  node.reset()
  node.q["dns0"].send_all([pk.udp(ip.I1, ip.S, sport, 53) for _ in range(500)])
  assert {q.sport for _, q in node.arrives("up", n=500)} == {p}
