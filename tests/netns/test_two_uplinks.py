# SPDX-License-Identifier: BSD-3-Clause
"""Two uplinks with equal routes through a router on each: what moves when a router, a link or a route goes, how soon, and
what does not."""

import contextlib
import time

import pytest
from harness.routers import wait_for
from harness.two_uplinks import Site, Traffic, Wire

FLOWS, DOWNLOADS = 4, 2    # of each family and direction
BOUND = 1.0                # seconds that a flow may hear nothing
LOADED = 2.5               # and on a machine that is busy with something else
TRIES = 3                  # the best of which counts


@pytest.fixture(scope="module", params=["xdp", "afpacket"])
def site(request):
  with Site(request.param) as s:
    yield s


@pytest.fixture(name="traffic")
def _traffic(site):
  site.inbound(1, 2)
  site.node_routes(1, 2)
  site.wait_for_gateways()
  with contextlib.closing(Traffic(site, FLOWS, DOWNLOADS)) as running:
    wait_for("every flow is answered", lambda: not running.silent() and all(len(f.heard) > 10 for f in running.flows), 30)
    yield running


def sent(site):
  """Packets that left by each uplink."""
  return {u["name"]: u["tx_packets"] for u in site.daemon.ctl("uplink", "list")["uplinks"]}


def moves(site, traffic, goes, comes, what):
  """Of an uplink that goes and comes back: nothing is lost, the other has all of it soon, and no source is wrong."""
  best = LOADED
  wires = [Wire(site.r[number]) for number in (1, 2)]
  peers = set(traffic.peers)
  try:
    for _ in range(TRIES):
      site.inbound(2)
      time.sleep(0.3)
      begin = time.monotonic()
      goes()
      time.sleep(LOADED)
      assert not traffic.silent(), "flows that hear nothing any more"
      outage = traffic.outage(begin)
      before = [d.bytes for d in traffic.downloads]
      comes()
      site.wait_for_gateways()
      begin = time.monotonic()
      time.sleep(1)
      assert traffic.outage(begin) < BOUND, "lost by its return"
      assert all(d.bytes > b for d, b in zip(traffic.downloads, before)), "a download stands still"
      assert not [d.lost for d in traffic.downloads if d.lost]
      print(f"{site.kind}: {what}: no flow heard nothing for longer than {outage * 1000:.0f} ms")
      best = min(best, outage)
      if best <= BOUND:
        break
    assert best <= BOUND
    # Peers see the sources that they saw before: neither address nor l4port of a mapping has changed.
    assert traffic.peers == peers
  finally:
    for wire in wires:
      wire.close()
  assert not [bad for wire in wires for bad in wire.why_not()]
  assert all(wire.sources for wire in wires)
  counters = site.daemon.ctl("counters")
  assert counters["dropped"].get("leak_prevented", 0) == 0
  assert counters["received"] + counters["generated"] == sum(
      counters[key] for key in ("delivered", "sent", "punted", "consumed", "held")) + sum(counters["dropped"].values())


def test_both_uplinks_are_used_and_answers_may_come_by_either(site, traffic):
  for way in ((1,), (2,), (1, 2)):
    site.inbound(*way)
    before = sent(site)
    begin = time.monotonic()
    time.sleep(1)
    assert traffic.outage(begin) < BOUND
    now = sent(site)
    assert all(now[name] - before[name] > 20 for name in now), f"in by {way}: out by {before} .. {now}"


def test_a_router_that_dies_with_its_link_up(site, traffic):
  moves(site, traffic, lambda: site.router_dies(1), lambda: site.router_lives(1), "a router dies, the link stays up")


def test_a_link_that_goes(site, traffic):
  def comes():
    site.link_lives(1)
    site.node_routes(1, 2)    # what the kernel took away with the link, as a routing daemon puts it back
  moves(site, traffic, lambda: site.link_dies(1), comes, "a link goes")


def test_a_route_that_is_withdrawn(site, traffic):
  moves(site, traffic, lambda: site.node_routes(2), lambda: site.node_routes(1, 2), "a route is withdrawn")


def test_the_higher_metric_serves_while_the_first_gateway_is_silent(site, traffic):
  """Of two plain routes, as without a routing daemon."""
  def routes(verb):
    for number, metric in ((1, 10), (2, 20)):
      for family, gateway in ((4, f"198.51.100.{8 * number + 1}"), (6, f"2001:db8:{number}::1")):
        site.n.ip(f"-{family}", "route", verb, "default", "via", gateway, "dev", site.device(number), "metric", metric)
  for family in (4, 6):
    site.n.ip(f"-{family}", "route", "del", "default")
  routes("add")
  try:
    time.sleep(0.5)
    moves(site, traffic, lambda: site.router_dies(1), lambda: site.router_lives(1), "two metrics, the first dies")
  finally:
    routes("del")


def test_a_route_that_bird_withdraws(site, traffic):
  """The routes are those that both routers announce; one of them stops to."""
  for family in (4, 6):
    site.n.ip(f"-{family}", "route", "del", "default")
  with contextlib.ExitStack() as stack:
    routers = {number: site.bird(number) for number in (1, 2)}
    stack.callback(lambda: [bird.close() for bird in routers.values()])
    node = site.node_bird()
    stack.callback(node.close)
    wait_for("both default routes, of both families", lambda: site.default_routes() == {4: {1, 2}, 6: {1, 2}}, 60)

    def goes():
      routers[1].close()
      wait_for("one is withdrawn", lambda: site.default_routes() == {4: {2}, 6: {2}}, 60)

    def comes():
      routers[1] = site.bird(1)
      wait_for("it is back", lambda: site.default_routes() == {4: {1, 2}, 6: {1, 2}}, 60)
    moves(site, traffic, goes, comes, "BIRD withdraws a route")
