# SPDX-License-Identifier: BSD-3-Clause
"""Ports run out last: the allocator succeeds until the last free port towards a destination is taken, and then refuses
with a counted verdict and an ICMP error to the originator (EXH-01..06, ICE-24, MAP-03, MAP-19)."""

import struct
import time

import pytest
from harness import packets as pk
from harness.wire import split
from harness.world import World, changed, standard_config
from test_originate import comes_back, mapping

QUEUES = ("dns0", "dns1", "crawl0")


def egress(**values):
  return lambda c: c["egress"].update(**values)


@pytest.fixture(scope="module", params=[1, 3], ids=lambda workers: f"w{workers}")
def small(request):
  config = changed(standard_config(queues=QUEUES, workers=request.param), egress(ports="50000-50063", reserved=[]))
  with World(config) as w:
    yield w


@pytest.mark.parametrize("proto", ["udp", "tcp"])
def test_EXH_01_64_of_64_then_refused(small, ip, proto):
  small.flush()
  live = [mapping(small, "crawl0", proto, ip.I1, ip.S, 53) for _ in range(64)]
  assert sorted(p for _, p in live) == list(range(50000, 50064))
  refused = pk.l4_packet(proto, ip.I1, ip.S, small.l4port(), 53)
  with small.drops(1, "nat_no_port", silent=False):
    small.q["crawl0"].send(refused)
  error = small.one("crawl0")
  assert (error.dst, error.kind, error.code) == (ip.I1, *((3, 1) if ip.v == 4 else (1, 3)))
  assert refused.startswith(error.l4[8:]) and pk.l4_ok(error.raw)
  # MAP-03, per destination: the same ports serve again towards another remote, or another port of it.
  for target in ((ip.S2, 53), (ip.S, 54)):
    mapping(small, "crawl0", proto, ip.I1, *target)
  # MAP-19: a failed allocation leaves nothing behind.
  flags = {"flags": "SA"} if proto == "tcp" else {}
  for sport, p in live:
    comes_back(small, "crawl0", pk.l4_packet(proto, ip.S, ip.U, 53, p, **flags), ip.I1, sport)


def test_explain_and_flow_list_know_each_port_whoever_gave_it_out(small, ip):
  """With several workers some of the flows are lent: no other worker's block has a port left."""
  small.flush()
  live = [mapping(small, "crawl0", "udp", ip.I1, ip.S, 53) for _ in range(64)]
  for sport, p in live:
    told = small.ctl("explain", "udp", pk.at(ip.I1, sport), pk.at(ip.S, 53), "--from=crawl0")
    assert (told["verdict"], told["translated"]) == ("sent", pk.at(ip.U, p)), told
  listed = small.ctl("flow", "list")["flows"]
  assert sorted(f["translated"] for f in listed) == sorted(pk.at(ip.U, p) for _, p in live)


def test_EXH_01_echo_ids_too(small, ip):
  small.flush()
  ids = {small.originate("crawl0", pk.echo(ip.I1, ip.S, 100 + i)).ident for i in range(64)}
  assert ids == set(range(50000, 50064))
  with small.drops(1, "nat_no_port", silent=False):
    small.q["crawl0"].send(pk.echo(ip.I1, ip.S, 999))


def test_EXH_02_nobody_is_evicted(small, ip):
  small.flush()
  live = [mapping(small, "crawl0", "udp", ip.I1, ip.S, 53) for _ in range(64)]
  with small.drops(2000, "nat_no_port", silent=False):
    small.q["dns0"].send_all([pk.udp(ip.I2, ip.S, 2000 + i, 53) for i in range(2000)])
  for sport, p in live:
    comes_back(small, "crawl0", pk.udp(ip.S, ip.U, 53, p), ip.I1, sport)


def test_EXH_05_a_freed_port_serves_again(small, ip):
  small.flush()
  mapping(small, "crawl0", "udp", ip.I1, ip.S, 53)


def test_MAP_01_endpoint_independent_keeps_one_port_for_all_remotes(small, ip):
  small.apply(changed(small.config, egress(mapping="endpoint-independent")))
  small.flush()
  try:
    sport = small.l4port()
    ports = {mapping(small, "crawl0", "udp", ip.I1, dst, dport, sport)[1]
             for dst, dport in ((ip.S, 53), (ip.S2, 53), (ip.S, 54), (ip.C, 9))}
    assert len(ports) == 1
    comes_back(small, "crawl0", pk.udp(ip.S2, ip.U, 53, ports.pop()), ip.I1, sport)
    ids = {small.originate("crawl0", pk.echo(ip.I1, dst, 0x77)).ident for dst in (ip.S, ip.S2)}
    assert len(ids) == 1, "ICQ-01"
  finally:
    small.apply(changed(small.config, egress(mapping="per-destination")))
    small.flush()


def test_EXH_01_endpoint_independent_has_one_port_an_endpoint(small, ip):
  """64 endpoints, whatever their remotes; the 65th is refused towards any remote."""
  small.apply(changed(small.config, egress(mapping="endpoint-independent")))
  small.flush()
  try:
    sports = [small.l4port() for _ in range(64)]
    first = [mapping(small, "crawl0", "udp", ip.I1, ip.S, 53, s)[1] for s in sports]
    assert sorted(first) == list(range(50000, 50064))
    assert [mapping(small, "crawl0", "udp", ip.I1, ip.S2, 80, s)[1] for s in sports] == first
    with small.drops(1, "nat_no_port", silent=False):
      small.q["crawl0"].send(pk.udp(ip.I1, ip.R, small.l4port(), 53))
    # FLT-01: the filter stays by address and port.
    with small.drops(1, "nat_filtered"):
      small.up.send(pk.udp(ip.C, ip.U, 7, first[0]))
  finally:
    small.apply(changed(small.config, egress(mapping="per-destination")))
    small.flush()


def test_ANY_09_reserved_ports_are_never_used(small, ip):
  small.apply(changed(small.config, egress(ports="50000-50063", reserved=[50001, 50062])))
  small.flush()
  try:
    ports = {mapping(small, "crawl0", "udp", ip.I1, ip.S, 53)[1] for _ in range(62)}
    assert ports == set(range(50000, 50064)) - {50001, 50062}
    with small.drops(1, "nat_no_port", silent=False):
      small.q["crawl0"].send(pk.udp(ip.I1, ip.S, small.l4port(), 53))
  finally:
    small.apply(changed(small.config, egress(reserved=[])))
    small.flush()


# -- the whole range ---------------------------------------------------------------------------------------------


class Fill:
  """Opens flows towards one destination at speed and notes the port of each; what a ring loses is sent again."""

  def __init__(self, w, ip, queue_name="crawl0", endpoint=lambda flow: (flow // 60000, 1024 + flow % 60000)):
    """`endpoint` gives each flow its source: the number of an address, and a port."""
    self.w, self.ip, self.wire, self.endpoint = w, ip, w.q[queue_name], endpoint
    self.ports = {}          # flow -> port on the wire
    self.tag = int(time.monotonic() * 1000) & 0xFFFF

  def template(self, flow):
    address, l4port = self.endpoint(flow)
    source = pk.packed(self.ip.I1)[:-2] + struct.pack("!H", 2 + address)
    return pk.udp(pk.text(source), self.ip.S, l4port, 53, payload=struct.pack("!HI", self.tag, flow))

  def _seen(self, raw):
    f = split(raw)
    if f.ethertype != (0x0800 if self.ip.v == 4 else 0x86DD) or len(f.l3) < 34:
      return False
    at = 20 if self.ip.v == 4 else 40
    if f.l3[9 if self.ip.v == 4 else 6] != 17 or f.l3[at + 8:at + 10] != struct.pack("!H", self.tag):
      return False
    flow, = struct.unpack("!I", f.l3[at + 10:at + 14])
    l4port, = struct.unpack("!H", f.l3[at:at + 2])
    assert self.ports.setdefault(flow, l4port) == l4port
    return True

  def run(self, flows, at_once=1024, seconds=300):
    """Until each flow has a port, or one was refused: by godwit's own count, however late the answers come. Returns how
    many were refused."""
    before = self.w.counters()
    self.w.up.on_frame = self._seen
    todo, end = list(flows), time.monotonic() + seconds
    try:
      while todo and time.monotonic() < end:
        for i in range(0, len(todo), at_once):
          chunk = todo[i:i + at_once]
          for flow in chunk:
            self.wire.send_frame(self.wire.frame(self.template(flow)))
          wait = time.monotonic() + 0.1
          while not all(f in self.ports for f in chunk) and time.monotonic() < wait:
            time.sleep(0.001)
          refused = self.w.counters().drops_since(before).get("nat_no_port", 0)
          if refused:
            return refused
        todo = [f for f in todo if f not in self.ports]
      return 0
    finally:
      self.w.up.on_frame = None


def at_random(flow):
  """Sixteen addresses, their ports in no order: what a worker owns is uneven then, and some of it is lent."""
  return flow % 16, 1024 + (flow // 16 * 37 + flow % 16 * 1009) % 60000


def as_linux(flow):
  """connect() takes the even ports first: three addresses with nothing else."""
  return flow % 3, 1024 + 2 * (flow // 3)


@pytest.mark.parametrize("workers, endpoint, v", [
    (1, at_random, 4), (1, at_random, 6), (2, at_random, 4), (2, as_linux, 4), (3, at_random, 6), (5, at_random, 4),
    (5, as_linux, 4)])
def test_EXH_01_all_64512_ports_towards_one_destination(workers, endpoint, v):
  ip = pk.V4 if v == 4 else pk.V6
  config = changed(standard_config(queues=QUEUES, workers=workers),
                   egress(ports="1024-65535", reserved=[], timeouts={"udp": "3600s"}))
  with World(config) as w:
    fill = Fill(w, ip, endpoint=endpoint)
    refused = fill.run(range(64512))
    assert not refused, f"first refusal after {len(fill.ports)} of 64512"
    assert len(fill.ports) == 64512, f"{len(fill.ports)} of 64512 in time; drops {w.counters().dropped}"
    assert len(set(fill.ports.values())) == 64512, "a port twice towards one destination"
    assert (min(fill.ports.values()), max(fill.ports.values())) == (1024, 65535)
    with w.drops(1, "nat_no_port", silent=False):
      w.q["crawl0"].send(fill.template(64600))
    mapping(w, "crawl0", "udp", ip.I1, ip.S2, 53)
    w.check_standing()


def test_egress_show_counts_every_mapping():
  """More than 65,536 of them, of two families, on one worker."""
  config = changed(standard_config(queues=QUEUES), egress(ports="1024-65535", reserved=[]))
  wanted = {pk.V4.U: 35000, pk.V6.U: 34000}
  with World(config) as w:
    for family, n in ((pk.V4, wanted[pk.V4.U]), (pk.V6, wanted[pk.V6.U])):
      frames = [pk.udp(family.I1, family.S, 1024 + i, 53) for i in range(n)]
      total = w.ctl("flow", "count")["count"] + n
      for _ in range(20):    # what a full ring has lost comes again
        w.q["crawl0"].send_all(frames)
        if w.ctl("flow", "count")["count"] == total:
          break
    shown = {a["address"]: a["mappings"] for a in w.ctl("egress", "show")["addresses"]}
    assert shown == wanted
