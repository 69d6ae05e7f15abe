# SPDX-License-Identifier: BSD-3-Clause
"""P15: one recorded trace of mixed traffic gives the same verdicts and the same packets, port numbers aside, with 1, 2,
3 and 5 workers, on uplinks with one receive queue and with several; and all the rest holds with several workers too."""

import collections
import time

import pytest
from harness import packets as pk
from harness.netns import PATIENCE
from harness.world import World, changed, standard_config
from test_originate import comes_back, established, mapping

COUNTS = (1, 2, 3, 5)
QUEUES = ("dns0", "web0", "crawl0", "vip0", "deny0")


def config(kind, workers):
  def one_queue(c):
    c["services"].insert(0, {"name": "dns", "addresses": [pk.V4.VIP, pk.V6.VIP], "ports": ["udp/53", "tcp/53"],
                             "queues": ["dns0"]})
  return changed(standard_config(kind, QUEUES, workers), one_queue)


def trace():
  """[(where, packet)]: all planes, both families; nothing depends on a port that is chosen while it runs."""
  steps = []
  for ip in pk.FAMILIES:
    for i in range(60):
      s = 30000 + i
      steps += [("up", pk.udp(ip.C, ip.VIP, s, 53)), ("up", pk.tcp(ip.C, ip.VIPB, s, 443)),
                ("dns0", pk.udp(ip.VIP, ip.C, 53, s, payload=b"answer")),
                ("web0", pk.tcp(ip.VIPB, ip.C, 443, s, flags="SA")),
                ("crawl0", pk.udp(ip.I1, ip.S, s, 53)), ("crawl0", pk.tcp(ip.I1, ip.S, s, 443)),
                ("dns0", pk.tcp(ip.VIP, ip.S2, s, 443)), ("crawl0", pk.echo(ip.I1, ip.S, s)),
                ("vip0", pk.udp(ip.VIPC, ip.S, s, 80)), ("deny0", pk.udp(ip.VIPD, ip.S, s, 80)),
                ("crawl0", pk.udp(ip.I2, ip.VIPB, s, 443)), ("up", pk.udp(ip.S, ip.U, s, 5000 + i)),
                ("crawl0", pk.tcp(ip.I1, ip.S, s, 444, flags="A")), ("up", pk.udp(ip.VIPB, ip.VIP, s, 53)),
                ("up", pk.echo(ip.C, ip.VIP, s)), ("up", pk.udp(ip.C, ip.VIPD, s, 9)),
                ("up", pk.tcp(ip.C, ip.VIPD, s, 443, flags="PA", payload=b"mid"))]
  return steps


def normal(p, ip_u):
  """A packet with the chosen port, and what hangs on it, taken out."""
  if p.src not in ip_u:
    return (p.src, p.dst, p.proto, p.sport, p.dport, p.flags, p.ident if p.kind >= 0 else -1, p.raw[p.l4_at + 8:])
  return (p.src, p.dst, p.proto, "p", p.dport, p.flags, p.kind, p.raw[p.l4_at + 20 if p.proto == 6 else p.l4_at + 8:])


def observe(kind, workers, rxqs):
  """({where: {packet: how often}}, {drop: n}) of the trace."""
  with World(config(kind, workers), kind=kind, uplink_rxqs=rxqs) as w:
    # Every plane once before, so that no neighbour is unresolved in the run; then from nothing.
    for where, l3 in trace()[:17] + trace()[1020:1037]:
      w.wire(where).send(l3)
      time.sleep(0.01)
    time.sleep(0.3)
    w.flush()
    w.reset()
    before, steps = w.counters(), trace()
    for i, (where, l3) in enumerate(steps):
      w.wire(where).send(l3)
      if i % 8 == 7:
        time.sleep(0.002)
    expected = len(steps)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and w.counters()["received"] - before["received"] < expected:
      time.sleep(0.05)
    time.sleep(0.1)
    ip_u = {pk.V4.U, pk.V6.U}
    seen = {where: collections.Counter(normal(p, ip_u) for p in w.wire(where).packets()) for where in ("up", *QUEUES)}
    w.check_standing()
    return seen, w.counters().drops_since(before)


@pytest.fixture(scope="module")
def reference():
  return observe("veth", 1, 1)


@pytest.mark.parametrize("kind,workers,rxqs", [("veth", 1, 1), ("veth", 2, 1), ("veth", 3, 1), ("veth", 5, 1),
                                               ("afpacket", 3, 1), ("xdp", 3, 1), ("xdp", 2, 2), ("xdp", 3, 2)])
def test_P15_worker_counts_make_no_difference(reference, kind, workers, rxqs):
  seen, dropped = observe(kind, workers, rxqs)
  assert dropped == reference[1]
  for where, packets in seen.items():
    missing, more = reference[0][where] - packets, packets - reference[0][where]
    assert not missing and not more, f"{where}: missing {list(missing)[:3]}, more {list(more)[:3]}"


@pytest.fixture(scope="module", params=COUNTS[1:])
def many(request):
  with World(standard_config("veth", workers=request.param)) as w:
    yield w


def test_MAP_18_returns_reach_their_owner(many, ip):
  """300 mappings spread over the workers; each answer finds its originator, each port is the same again."""
  base, ports = many.l4port(300), {}
  for round_ in range(2):
    many.reset()
    many.q["crawl0"].send_all([pk.udp(ip.I1, ip.S, base + i, 53, payload=i.to_bytes(2, "big")) for i in range(300)], 16)
    for _, p in many.arrives("up", n=300):
      i = int.from_bytes(p.payload, "big")
      assert ports.setdefault(i, p.sport) == p.sport, f"flow {i} has another port in round {round_}"
  assert len(set(ports.values())) == 300
  many.reset()
  many.up.send_all([pk.udp(ip.S, ip.U, 53, p, payload=i.to_bytes(2, "big")) for i, p in ports.items()], 16)
  back = {int.from_bytes(p.payload, "big"): p for _, p in many.arrives("crawl0", n=300)}
  assert all((p.dst, p.dport) == (ip.I1, base + i) and pk.l4_ok(p.raw) for i, p in back.items())


def test_P15_planes_with_many_workers(many, ip):
  established(many, ip)
  home = {many.deliver(pk.udp(ip.C, ip.VIP, s, 53), "dns0", "dns1") for s in [many.l4port()] * 5}
  assert len(home) == 1
  for _ in range(30):
    sport, p = mapping(many, "crawl0", "udp", ip.I1, ip.S, 53)
    quote = pk.udp(ip.U, ip.S, p, 53)
    many.reset()
    many.up.send(pk.icmp(ip.R, ip.U, *((3, 3) if ip.v == 4 else (1, 4)), body=quote))
    assert many.one("crawl0").quote.sport == sport


def test_ANY_15_short_circuit_over_workers(many, ip):
  """A queue that talks to a service served here makes two entries, on two workers perhaps."""
  from test_local import short_circuit
  for _ in range(30):
    short_circuit(many, "crawl0", pk.tcp(ip.I1, ip.VIPB, many.l4port(), 443), "web0", ip)


def test_MAP_01_endpoint_independent_over_workers(many, ip):
  many.ctl("flow", "flush")    # a flow from before may have an endpoint's l4port towards one of these
  many.apply(changed(many.config, lambda c: c["egress"].update(mapping="endpoint-independent")))
  try:
    for _ in range(20):
      sport = many.l4port()
      ports = {mapping(many, "crawl0", "udp", ip.I1, dst, dport, sport)[1]
               for dst, dport in ((ip.S, 53), (ip.S2, 53), (ip.C, 9))}
      assert len(ports) == 1
      comes_back(many, "crawl0", pk.udp(ip.S2, ip.U, 53, ports.pop()), ip.I1, sport)
  finally:
    many.apply(changed(many.config, lambda c: c["egress"].update(mapping="per-destination")))


def test_FRG_05_fragments_over_workers(many, ip):
  from test_fragments import cut, whole
  for _ in range(20):
    l3 = pk.udp(ip.C, ip.VIP, many.l4port(), 53, payload=b"w" * 88)
    many.reset()
    for part in reversed(cut(l3, (32, 32, 32))):
      many.up.send(part)
    got = many.arrives("dns0", "dns1", n=3)
    assert len({where for where, _ in got}) == 1 and whole([p for _, p in got])[0] == pk.parse(l3).l4


def test_rule_7_with_many_workers_under_load(many):
  for _ in range(10):
    many.up.send_all([pk.udp(pk.V4.C, pk.V4.VIP, 20000 + i, 53) for i in range(300)])
    many.check_standing()


def test_counters_of_workers_add_up(many, ip):
  n, base = 200, many.l4port(200)
  before = many.counters()
  many.up.send_all([pk.udp(ip.C, ip.VIPB, base + i, 443) for i in range(n)], 16)
  many.arrives("web0", n=n)
  assert many.counters().since(before)["delivered"] == n
