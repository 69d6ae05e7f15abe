# SPDX-License-Identifier: BSD-3-Clause
"""godwit beside Linux's nf_nat: the same packets through both, verdict by verdict and byte by byte. Where the two differ it
is written down, with the reason, and with what either does: a difference that is not in the list fails, and so does one
in the list that is none any more."""

import contextlib
import struct

import pytest
from harness import packets as pk
from harness.daemon import ROOT
from harness.nfnat import Linux, Node, View, brief
from harness.world import World, changed, standard_config

# What is meant: (what Linux does that we don't, and why we don't). Rows of docs/rfc-compliance.md.
DIVERGENCES = {
    "D3": ("keeps the IP ID of fragments, so that two originators' meet: RFC 6864 5.3.1", "FRG-09"),
    "D4": ("does not look at a quoted header's checksum: RFC 5508 REQ-3b", "ICE-02"),
    "D5": ("translates source quench: RFC 6633", "ICE-15"),
    "D6": ("forwards a PTB below 1280: RFC 8201 4", "ICE-21"),
    "D7": ("answers for closed l4ports of the NAT's own address: RFC 4787 REQ-8 wants silence", "FLT-04"),
    "D8": ("preserves l4ports: RFC 6056", "MAP-08"),
    "D9": ("one l4port for several remotes, when it can: RFC 4787 REQ-1 wants one rule", "MAP-01"),
    "D12": ("lets l4port 0 pass: RFC 768, 6056 3.2", "MAP-22"),
    "D13": ("translates the address of what has no l4ports, for the first to come: RFC 3022 4.1", "OTH-01"),
    "D14": ("counts as a hop: RFC 1812 5.3.1 is for routers, and this is a host's translator", "IPH-04"),
    "D15": ("puts fragments together before it looks: RFC 6146 3.4 lets them pass one by one", "FRG-02"),
    "D16": ("lets RH0 out: RFC 5095 3", "V6-03"),
    "D17": ("drops what has a wrong l4 checksum; we leave that to the receiver, and never mend it: RFC 1624", "CHK-01"),
    "D18": ("lets record route pass: RFC 7126 4.6", "IPH-08"),
    "D19": ("takes the header of an atomic fragment off: RFC 8200 4.5 leaves it to the receiver", "FRG-12"),
}


class Step:
  def __init__(self, name, side, make, learn=None, diverges=None, linux=None, godwit=None):
    self.name, self.side, self.make, self.learn = name, side, make, learn
    self.diverges, self.expected = diverges, {"linux": linux, "godwit": godwit}


def errors(ip):
  """(name, type, code, rest of the header, divergence) of those that are about a flow."""
  if ip.v == 4:
    mtu = struct.pack("!HH", 0, 1300)
    return [("net", 3, 0, bytes(4)), ("host", 3, 1, bytes(4)), ("port", 3, 3, bytes(4)), ("too big", 3, 4, mtu),
            ("hops", 11, 0, bytes(4)), ("pieces", 11, 1, bytes(4)), ("header", 12, 0, bytes(4))]
  return [("route", 1, 0, bytes(4)), ("prohibited", 1, 1, bytes(4)), ("address", 1, 3, bytes(4)),
          ("port", 1, 4, bytes(4)), ("too big", 2, 0, struct.pack("!I", 1300)), ("hops", 3, 0, bytes(4)),
          ("header", 4, 0, bytes(4))]


def datagrams(ip):
  """UDP, and ICMP's echo."""
  yield Step("a datagram", "in", lambda g: pk.udp(ip.I1, ip.S, 5000, 53), learn="a")
  yield Step("its answer", "out", lambda g: pk.udp(ip.S, ip.U, 53, g["a"]))
  yield Step("another originator's, from the same l4port", "in", lambda g: pk.udp(ip.I2, ip.S, 5000, 53), learn="b")
  yield Step("its answer too", "out", lambda g: pk.udp(ip.S, ip.U, 53, g["b"], payload=b"for the other"))
  yield Step("an empty one", "in", lambda g: pk.udp(ip.I1, ip.S, 5000, 53, payload=b""))
  yield Step("a long one", "in", lambda g: pk.udp(ip.I1, ip.S, 5000, 53, payload=bytes(range(256)) * 5))
  yield Step("with a class and DF", "in", lambda g: pk.udp(ip.I1, ip.S, 5000, 53, tos=0xB8,
                                                          **({"ip_flags": "DF"} if ip.v == 4 else {})))
  yield Step("from another remote", "out", lambda g: pk.udp(ip.S2, ip.U, 53, g["a"]), diverges="D7",
             linux=f"out icmp {'3/3' if ip.v == 4 else '1/4'}", godwit="-")
  yield Step("an echo", "in", lambda g: pk.echo(ip.I1, ip.S, 77), learn="e")
  yield Step("its reply", "out", lambda g: pk.echo(ip.S, ip.U, g["e"], reply=True))
  yield Step("another's, of the same identifier", "in", lambda g: pk.echo(ip.I2, ip.S, 77), learn="f")
  yield Step("its reply too", "out", lambda g: pk.echo(ip.S, ip.U, g["f"], reply=True))
  yield Step("a reply that nobody asked for, out", "in", lambda g: pk.echo(ip.I1, ip.S, 99, reply=True))
  yield Step("a reply that nobody asked for, in", "out", lambda g: pk.echo(ip.S, ip.U, 99, reply=True))
  if ip.v == 4:
    yield Step("without a checksum", "in", lambda g: pk.udp(ip.I1, ip.S, 5000, 53, l4={"chksum": 0}))


def connections(ip):
  def out(flags, seq, ack=0, sport=6000, **more):
    return lambda g: pk.tcp(ip.I1, ip.S, sport, 80, flags=flags, seq=seq, ack=ack, **more)

  def back(flags, seq, ack, to="t", **more):
    return lambda g: pk.tcp(ip.S, ip.U, 80, g[to], flags=flags, seq=seq, ack=ack, **more)

  yield Step("SYN", "in", out("S", 100), learn="t")
  yield Step("SYN, ACK", "out", back("SA", 500, 101))
  yield Step("ACK", "in", out("A", 101, 501))
  yield Step("data", "in", out("PA", 101, 501, payload=b"GET /"))
  yield Step("data back", "out", back("PA", 501, 106, payload=b"x" * 900))
  yield Step("far out of the window", "out", back("A", 501 + (1 << 30), 106))
  yield Step("a reset far out of the window", "out", back("R", 501 + (1 << 30), 0))
  yield Step("data after it", "in", out("PA", 106, 1401, payload=b"more"))
  yield Step("FIN", "in", out("FA", 110, 1401))
  yield Step("FIN back", "out", back("FA", 1401, 111))
  yield Step("the last ACK", "in", out("A", 111, 1402))
  yield Step("SYN to open at the same time", "in", out("S", 100, sport=6001), learn="o")
  yield Step("SYN from there", "out", back("S", 900, 0, to="o"))
  yield Step("SYN, ACK from here", "in", out("SA", 100, 901, sport=6001))
  yield Step("ACK from there", "out", back("A", 901, 101, to="o"))
  yield Step("a reset ends it", "in", out("R", 101, sport=6001))
  yield Step("ACK that no SYN was before", "in", out("A", 1, 1, sport=6002))
  yield Step("RST that no SYN was before", "in", out("R", 1, sport=6003))
  yield Step("no flags", "in", out("", 1, sport=6004))
  yield Step("SYN and FIN", "in", out("SF", 1, sport=6005))
  yield Step("to a closed l4port of ours", "out", lambda g: pk.tcp(ip.S, ip.U, 80, 20001, flags="S"), diverges="D7",
             linux="out tcp RA", godwit="-")


def broken(ip):
  def segment(**at):
    l3 = bytearray(pk.tcp(ip.I1, ip.S, 6100, 80))
    where = pk.parse(bytes(l3)).l4_at
    for key, value in at.items():
      l3[where + int(key[1:])] = value
    return bytes(l3)

  def datagram(n):
    return pk.with_l4(ip.I1, ip.S, pk.UDP_N, pk.parse(pk.udp(ip.I1, ip.S, 6101, 53)).l4[:n])

  yield Step("a TCP header of 8 bytes", "in", lambda g: segment(b12=0x20))
  yield Step("a TCP header beyond the packet", "in", lambda g: segment(b12=0xF0))
  yield Step("UDP of 4 bytes", "in", lambda g: datagram(4))
  yield Step("UDP of 7 bytes", "in", lambda g: datagram(7))
  yield Step("a UDP length beyond the packet", "in", lambda g: pk.udp(ip.I1, ip.S, 6102, 53, l4={"len": 400}))
  yield Step("ICMP of no known type", "in",
             lambda g: pk.icmp(ip.I1, ip.S, 40 if ip.v == 4 else 200, 0, body=bytes(8)))
  if ip.v == 4:
    yield Step("a wrong header checksum", "in", lambda g: _wrong_header(pk.udp(ip.I1, ip.S, 5000, 53)))


def _wrong_header(l3):
  return l3[:10] + bytes([l3[10] ^ 1]) + l3[11:]


def about_flows(ip):
  """Errors from a router on the way, about a datagram and about a segment of a flow."""
  def left(g, size=64):
    return pk.udp(ip.U, ip.S, g["a"], 53, payload=b"q" * size)

  def told(kind, code, rest=bytes(4), body=left, src=ip.R, spoil=False):
    def make(g):
      l3 = pk.icmp(src, ip.U, kind, code, rest, body(g))
      return _spoilt(l3) if spoil else l3
    return make

  head = 20 if ip.v == 4 else 40
  unreachable = (3, 3) if ip.v == 4 else (1, 4)
  for name, kind, code, rest in errors(ip):
    yield Step(f"error: {name}", "out", told(kind, code, rest))
  yield Step("error from the remote itself", "out", told(*unreachable, src=ip.S))
  yield Step("error with 8 bytes of l4", "out", told(*unreachable, body=lambda g: left(g)[:head + 8]))
  yield Step("error about a segment", "out", told(*unreachable, body=lambda g: pk.tcp(ip.U, ip.S, g["t"], 80)))
  yield Step("error about an echo", "out", told(*unreachable, body=lambda g: pk.echo(ip.U, ip.S, g["e"])))
  yield Step("its checksum wrong", "out", told(*unreachable, spoil=True))
  yield Step("4 bytes of l4", "out", told(*unreachable, body=lambda g: left(g)[:head + 4]))
  yield Step("about nothing", "out", told(*unreachable, body=lambda g: pk.udp(ip.U, ip.S, 20002, 53)))
  yield Step("about another source", "out", told(*unreachable, body=lambda g: pk.udp(ip.GW, ip.S, g["a"], 53)))
  yield Step("about an error", "out",
             told(*unreachable, body=lambda g: pk.icmp(ip.U, ip.S, *unreachable, body=left(g))))
  yield Step("of the originator, about an answer", "in",
             lambda g: pk.icmp(ip.I1, ip.S, *unreachable, body=pk.udp(ip.S, ip.I1, 53, 5000, payload=b"answer")))
  yield Step("of the originator, about nothing", "in",
             lambda g: pk.icmp(ip.I1, ip.S, *unreachable, body=pk.udp(ip.S, ip.I1, 53, 5999)))
  if ip.v == 4:
    yield Step("redirect", "out", told(5, 1, rest=pk.packed(ip.GW)))
    yield Step("source quench", "out", told(4, 0), diverges="D5", linux="in icmp 4/0", godwit="-")
    yield Step("a quoted header's checksum wrong", "out", told(3, 3, body=lambda g: _wrong_header(left(g))),
               diverges="D4", linux="in icmp 3/3", godwit="-")
  else:
    yield Step("too big for 600", "out", told(2, 0, rest=struct.pack("!I", 600)), diverges="D6", linux="in icmp 2/0",
               godwit="-")


def _spoilt(l3):
  where = pk.parse(l3).l4_at + 2
  return l3[:where] + bytes([l3[where] ^ 1]) + l3[where + 1:]


def others(ip):
  yield Step("from l4port 0", "in", lambda g: pk.udp(ip.I1, ip.S, 0, 53), diverges="D12", linux="out udp", godwit="-")
  unreachable = "in icmp 3/13" if ip.v == 4 else "in icmp 1/1"
  yield Step("ESP", "in", lambda g: pk.with_l4(ip.I1, ip.S, 50, bytes(24)), diverges="D13", linux="out 50",
             godwit=unreachable)
  yield Step("ESP of another", "in", lambda g: pk.with_l4(ip.I2, ip.S, 50, bytes(24)), diverges="D13", linux="-",
             godwit=unreachable)
  if ip.v == 6:
    routing = struct.pack("!BBBBI", pk.UDP_N, 2, 0, 1, 0) + pk.packed(ip.S2)
    yield Step("RH0", "in",
               lambda g: pk.with_l4(ip.I1, ip.S, 43, routing + pk.parse(pk.udp(ip.I1, ip.S, 5000, 53)).l4),
               diverges="D16", linux="out udp", godwit="-")
    yield Step("no next header", "in", lambda g: pk.with_l4(ip.I1, ip.S, 59, bytes(40)))
    yield Step("UDP without a checksum", "in", lambda g: pk.udp(ip.I1, ip.S, 5000, 53, l4={"chksum": 0}))
    yield Step("a flow label", "in", lambda g: pk.udp(ip.I1, ip.S, 5000, 53, flow_label=0xABCDE))
    yield Step("an atomic fragment", "in",
               lambda g: pk.with_l4(ip.I1, ip.S, 44, struct.pack("!BBHI", pk.UDP_N, 0, 0, 7) +
                                    pk.parse(pk.udp(ip.I1, ip.S, 5000, 53)).l4),
               diverges="D19", linux="out udp", godwit="out udp")
  else:
    yield Step("loose source route", "in", lambda g: _with_options(ip, b"\x83\x07\x04" + pk.packed(ip.S2) + b"\0"))
    yield Step("record route", "in", lambda g: _with_options(ip, b"\x07\x07\x04" + bytes(5)),
               diverges="D18", linux="out udp", godwit="-")
    yield Step("router alert", "in", lambda g: _with_options(ip, b"\x94\x04\0\0"))
  for name, make, left in (("UDP", pk.udp, "udp"), ("a SYN", pk.tcp, "tcp S")):
    yield Step(f"{name} with a wrong checksum", "in", lambda g, make=make: make(ip.I1, ip.S, 5600, 80, l4={"chksum": 1}),
               diverges="D17", linux="-", godwit=f"out {left}")
  yield Step("an echo with a wrong checksum", "in", lambda g: _spoilt(pk.echo(ip.I1, ip.S, 78)), diverges="D17",
             linux="-", godwit=f"out icmp {8 if ip.v == 4 else 128}/0")
  yield Step("an answer with a wrong checksum", "out", lambda g: pk.udp(ip.S, ip.U, 53, g["a"], l4={"chksum": 1}),
             diverges="D17", linux="-", godwit="in udp")


PARTS = (datagrams, connections, broken, about_flows, others)


def pieces(ip, src, dst, sport, dport, name, size=48):
  """A datagram in three, each with `size` bytes or what is left."""
  whole = pk.parse(pk.udp(src, dst, sport, dport, payload=bytes(range(100)))).l4
  cut = []
  for at in range(0, len(whole), size):
    more = at + size < len(whole)
    part = whole[at:at + size]
    if ":" in src:
      header = struct.pack("!BBHI", pk.UDP_N, 0, at | more, name)
      cut.append(pk.with_l4(src, dst, 44, header + part))
    else:
      l3 = bytearray(pk.with_l4(src, dst, pk.UDP_N, part, id=name))
      l3[6:8] = struct.pack("!H", at // 8 | (0x2000 if more else 0))
      cut.append(pk.set_v4_checksum(bytes(l3)))
  return cut


def _with_options(ip, options):
  l3 = bytearray(pk.udp(ip.I1, ip.S, 5000, 53))
  l3[20:20] = options
  l3[0] += len(options) // 4
  l3[2:4] = struct.pack("!H", len(l3))
  return pk.set_v4_checksum(bytes(l3))


class Both:
  """The two, each with what it has given out."""

  def __init__(self, ip, translators):
    self.ip, self.all = ip, translators
    self.views = {t.name: View(ip) for t in translators}
    self.given = {t.name: {} for t in translators}
    for t in translators:
      t.open_fence(ip)

  def run(self, step, number):
    """{name: (outcome as it came, outcome in names that both have)}"""
    seen = {}
    for t in self.all:
      outcome = t.send(step.side, step.make(self.given[t.name]))
      view = self.views[t.name]
      if step.learn:
        left = [l3 for side, l3 in outcome if side == "out"]
        assert len(left) == 1, f"{t.name}: {step.name}: {brief(outcome)}"
        self.given[t.name][step.learn] = view.learn(left[0], number)
      seen[t.name] = outcome, [view.of(*one) for one in outcome]
    return seen


def verdict_on(step, seen):
  """'' or what is wrong with it."""
  briefs = {name: brief(raw) for name, (raw, _) in seen.items()}
  same = seen["linux"][1] == seen["godwit"][1]
  if not step.diverges:
    return "" if same else f"an unlisted divergence: {briefs}" + "".join(
        f"\n    {name}: {o}" for name, (_, outcome) in seen.items() for o in outcome)
  if same:
    return f"{step.diverges} is no divergence any more: both {briefs['linux']}"
  if briefs != step.expected:
    return f"{step.diverges}: expected {step.expected}, seen {briefs}"
  return ""


@pytest.fixture(scope="module")
def linux():
  with contextlib.ExitStack() as stack:
    yield Linux(stack)


@pytest.fixture(scope="module")
def node():
  config = changed(standard_config(queues=("dns0", "dns1", "crawl0")),
                   lambda c: c["egress"].update(ports="20000-29999", reserved=[]))
  with World(config) as w:
    yield Node(w)


@pytest.fixture
def both(ip, linux, node):
  node.world.flush()
  return Both(ip, [linux, node])


def test_the_same_packets_meet_the_same_verdicts(both, ip):
  """One trace: what a later packet meets depends on those before it."""
  steps = [step for part in PARTS for step in part(ip)]
  wrong = [f"{step.name}: {why}" for number, step in enumerate(steps, 1)
           if (why := verdict_on(step, both.run(step, number)))]
  assert not wrong, f"{len(wrong)} of {len(steps)}:\n" + "\n".join(wrong)


def test_every_divergence_is_looked_for_and_has_its_row():
  asked = {step.diverges for ip in pk.FAMILIES for part in PARTS for step in part(ip)} - {None}
  own_test = {name.split("_")[1] for name in globals() if name.startswith("test_D")}
  assert asked | own_test == set(DIVERGENCES) and not asked & own_test
  table = (ROOT / "docs" / "rfc-compliance.md").read_text(encoding="utf-8")
  for reason, row in DIVERGENCES.values():
    assert f"\n| {row} " in table, (row, reason)


def test_D14_a_host_is_no_hop(both, ip):
  ttls = {t.name: [pk.parse(l3).ttl for _, l3 in t.send("in", pk.udp(ip.I1, ip.S, 5100, 53, ttl=9))] for t in both.all}
  assert ttls == {"linux": [8], "godwit": [9]}, DIVERGENCES["D14"]
  last = {t.name: brief(t.send("in", pk.udp(ip.I1, ip.S, 5100, 53, ttl=1))) for t in both.all}
  assert last == {"linux": f"in icmp {'11/0' if ip.v == 4 else '3/0'}", "godwit": "out udp"}, DIVERGENCES["D14"]


def test_D8_l4ports_are_not_preserved(both, ip):
  sports = range(21000, 21016)
  kept = {t.name: sum(pk.parse(t.send("in", pk.udp(ip.I1, ip.S2, s, 53))[0][1]).sport == s for s in sports)
          for t in both.all}
  assert kept["linux"] == len(sports) and kept["godwit"] <= 2, (kept, DIVERGENCES["D8"])


def test_D9_each_destination_has_its_own(both, ip):
  remotes = [(ip.S, 1000 + i) for i in range(8)]
  used = {t.name: len({pk.parse(t.send("in", pk.udp(ip.I1, *to[:1], 5200, to[1]))[0][1]).sport for to in remotes})
          for t in both.all}
  assert used["linux"] == 1 and used["godwit"] >= 7, (used, DIVERGENCES["D9"])


def test_D15_fragments_pass_one_by_one(both, ip):
  counts = {t.name: [len(t.send("in", piece)) for piece in pieces(ip, ip.I1, ip.S, 5300, 53, 0x1111)]
            for t in both.all}
  assert counts == {"linux": [0, 0, 3], "godwit": [1, 1, 1]}, DIVERGENCES["D15"]


def test_fragments_in_any_order_arrive_as_they_would(both, ip):
  """What is agreed on: the same bytes of the same datagram, translated."""
  for name, order in ((0x2222, (0, 1, 2)), (0x2223, (2, 1, 0)), (0x2224, (1, 2, 0))):
    cut = pieces(ip, ip.I1, ip.S, 5400, 53, name)
    wholes = set()
    for t in both.all:
      seen = t.send("in", *[cut[i] for i in order], wait=3)
      assert all(side == "out" for side, _ in seen), (t.name, brief(seen))
      wholes.add(whole_of(l3 for _, l3 in seen))
    assert len(wholes) == 1, order


def whole_of(fragments):
  """What they carry, without the l4ports and the checksum that depends on them."""
  body = {}
  for l3 in fragments:
    p = pk.parse(l3)
    if p.v == 4:
      at = (struct.unpack("!H", l3[6:8])[0] & 0x1FFF) * 8
    else:
      at = struct.unpack("!H", l3[42:44])[0] & 0xFFF8
    body[at] = p.raw[p.l4_at:]
  whole = b"".join(body[at] for at in sorted(body))
  return whole[2:6] + whole[8:]


def test_D3_fragments_of_two_originators_have_two_names(both, ip):
  names = {}
  for t in both.all:
    seen = [l3 for src in (ip.I1, ip.I2) for _, l3 in t.send("in", *pieces(ip, src, ip.S, 5500, 53, 0x5555), wait=3)]
    at = (4, 6) if ip.v == 4 else (44, 48)
    names[t.name] = len({l3[at[0]:at[1]] for l3 in seen})
  # In IPv6 both give fresh ones.
  assert names == {"linux": 1 if ip.v == 4 else 2, "godwit": 2}, DIVERGENCES["D3"]
