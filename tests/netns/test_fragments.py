# SPDX-License-Identifier: BSD-3-Clause
"""Fragments take the way of their first: in any order, to the same queue, under the same mapping (section 1.9)."""

import itertools
import struct

import pytest
from harness import packets as pk
from harness.reference import translate
from test_originate import mapping

_serial = itertools.count(0x1000)


def cut(l3, sizes, ident=None):
  """One packet -> its fragments; every size but the last is a multiple of 8."""
  p, ident = pk.parse(l3), next(_serial) if ident is None else ident
  parts, at = [], 0
  for i, size in enumerate(sizes):
    body, last = p.l4[at:at + size], i == len(sizes) - 1
    parts.append(piece(p, body, at, not last, ident))
    at += size
  assert at >= len(p.l4), "the sizes do not cover the packet"
  return parts


def piece(p, body, offset, more, ident, proto=None):
  """One fragment, whatever it says."""
  proto = p.proto if proto is None else proto
  if p.v == 4:
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), ident & 0xFFFF, (more << 13) | offset // 8, 64, proto, 0)
    return pk.set_v4_checksum(head + pk.packed(p.src) + pk.packed(p.dst) + body)
  frag = struct.pack("!BBHI", proto, 0, offset | more, ident)
  return (struct.pack("!IHBB", 6 << 28, 8 + len(body), 44, 64) + pk.packed(p.src) + pk.packed(p.dst) + frag + body)


def offset_of(p):
  if p.v == 4:
    return (struct.unpack("!H", p.raw[6:8])[0] & 0x1FFF) * 8
  return struct.unpack("!H", p.raw[42:44])[0] & 0xFFF8


def whole(packets):
  """The L4 bytes that a receiver puts together, and the identifications seen."""
  ordered = sorted(packets, key=offset_of)
  ids = {p.raw[4:6] if p.v == 4 else p.raw[44:48] for p in packets}
  return b"".join(p.l4 for p in ordered), ids


def ask(ip, w, n=200, dst=None, dport=53):
  return pk.udp(ip.C, dst or ip.VIP, w.l4port(), dport, payload=bytes(i & 255 for i in range(n)))


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=lambda o: "".join(map(str, o)))
def test_FRG_02_any_order_reaches_the_queue_of_the_flow(wv, ip, order):
  l3 = ask(ip, wv)
  home = wv.deliver(pk.udp(ip.C, ip.VIP, pk.parse(l3).sport, 53), "dns0", "dns1")
  parts = cut(l3, (64, 64, 64, 64))
  wv.reset()
  for i in order:
    wv.up.send(parts[i])
  got = wv.arrives(home, n=4)
  assert sorted(p.raw for _, p in got) == sorted(parts), "changed on the way"


@pytest.mark.parametrize("n", [2, 3, 40])
def test_FRG_01_in_order_out_translated(w, ip, n):
  sport, p = mapping(w, "crawl0", "udp", ip.I1, ip.S, 53)
  l3 = pk.udp(ip.I1, ip.S, sport, 53, payload=bytes(i & 255 for i in range(16 * n - 8)))
  w.reset()
  for part in cut(l3, (16,) * n):
    w.q["crawl0"].send(part)
  got = [q for _, q in w.arrives("up", n=n)]
  assert {q.src for q in got} == {ip.U} and all(pk.ip_ok(q.raw) for q in got)
  l4, ids = whole(got)
  assert l4 == pk.parse(translate(l3, src=ip.U, sport=p)).l4, "FRG-16: the first fragment's checksum alone changes"
  assert len(ids) == 1


@pytest.mark.parametrize("order", [(1, 0), (2, 1, 0), (1, 2, 0)], ids=lambda o: "".join(map(str, o)))
def test_FRG_02_out_of_order_out_and_in(w, ip, order):
  sport, p = mapping(w, "crawl0", "udp", ip.I1, ip.S, 53)
  n = len(order)
  l3 = pk.udp(ip.I1, ip.S, sport, 53, payload=b"abcdefgh" * (3 * n - 1))
  parts = cut(l3, (24,) * n)
  w.reset()
  for i in order:
    w.q["crawl0"].send(parts[i])
  l4, _ = whole([q for _, q in w.arrives("up", n=n)])
  assert l4 == pk.parse(translate(l3, src=ip.U, sport=p)).l4
  back = pk.udp(ip.S, ip.U, 53, p, payload=b"ijklmnop" * (3 * n - 1))
  parts = cut(back, (24,) * n)
  w.reset()
  for i in order:
    w.up.send(parts[i])
  l4, _ = whole([q for _, q in w.arrives("crawl0", n=n)])
  assert l4 == pk.parse(translate(back, dst=ip.I1, dport=sport)).l4


def test_FRG_01_a_reply_in_fragments_is_unchanged(wv, ip):
  parts = cut(pk.udp(ip.VIP, ip.C, 53, wv.l4port(), payload=b"r" * 120), (64, 64))
  for part in parts:
    wv.q["dns0"].send(part)
  assert [p.raw for _, p in wv.arrives("up", n=2)] == parts


def test_FRG_09_two_originators_with_one_id(wv):
  """They must not be spliced together at the remote."""
  ip, ids = pk.V4, []
  for source in (ip.I1, ip.I2):
    sport, _ = mapping(wv, "crawl0", "udp", source, ip.S, 53)
    wv.reset()
    for part in cut(pk.udp(source, ip.S, sport, 53, payload=b"z" * 40), (24, 24), ident=0x5555):
      wv.q["crawl0"].send(part)
    ids += whole([p for _, p in wv.arrives("up", n=2)])[1]
  assert len(set(ids)) == 2


def test_FRG_18_fragments_and_whole_packets_share_a_queue(wv, ip):
  for _ in range(20):
    l3 = ask(ip, wv, 56)
    wv.reset()
    for part in reversed(cut(l3, (32, 32))):
      wv.up.send(part)
    home = {where for where, _ in wv.arrives("dns0", "dns1", n=2)}
    assert home == {wv.deliver(pk.udp(ip.C, ip.VIP, pk.parse(l3).sport, 53), "dns0", "dns1")}


def test_FRG_12_an_atomic_fragment_is_a_packet(wv):
  ip = pk.V6
  part, = cut(ask(ip, wv, 56), (64,))
  wv.up.send(part)
  p = wv.one("dns0", "dns1")
  assert p.payload == pk.parse(part).payload


def test_FRG_21_a_fragmented_echo_is_translated(wv, ip):
  l3 = pk.echo(ip.I1, ip.S, 0x77, payload=b"p" * 120)
  for part in cut(l3, (64, 64)):
    wv.q["crawl0"].send(part)
  got = [p for _, p in wv.arrives("up", n=2)]
  l4, _ = whole(got)
  ident, = struct.unpack("!H", l4[4:6])
  assert l4 == pk.parse(translate(l3, src=ip.U, sport=ident)).l4 and {p.src for p in got} == {ip.U}


def only_drops(w, wire, parts, *reasons):
  """Sent one after the other: none comes out whole; what is not held for long is counted under these reasons."""
  before = w.counters()
  for part in parts:
    w.wire(wire).send(part)
  w.silence(0.1)
  after = w.counters()
  moved = after.drops_since(before)
  assert sum(moved.values()) + after["held"] - before["held"] == len(parts), moved
  assert moved and set(moved) <= set(reasons), f"expected {reasons}, moved {moved}"


@pytest.mark.parametrize("where", ["up", "crawl0"])
def test_FRG_08_ADV_29_tiny_first_fragments(wv, ip, where):
  src, dst = (ip.C, ip.VIPB) if where == "up" else (ip.I1, ip.S)
  p = pk.parse(pk.tcp(src, dst, wv.l4port(), 443))
  ident = next(_serial)
  only_drops(wv, where, [piece(p, p.l4[:8], 0, True, ident), piece(p, p.l4[8:], 8, False, ident)], "frag_tiny")


def test_FRG_08_a_udp_header_alone_is_enough(wv, ip):
  l3 = ask(ip, wv, 40)
  for part in cut(l3, (8, 40)):
    wv.up.send(part)
  wv.arrives("dns0", "dns1", n=2)


@pytest.mark.parametrize("where", ["up", "crawl0"])
def test_FRG_06_FRG_07_ADV_27_overlap(wv, ip, where):
  """The first comes last, so that nothing has left when the overlap is seen."""
  src, dst = (ip.C, ip.VIP) if where == "up" else (ip.I1, ip.S)
  p = pk.parse(pk.udp(src, dst, wv.l4port(), 53, payload=b"t" * 56))
  ident = next(_serial)
  parts = [piece(p, p.l4[32:], 32, False, ident), piece(p, p.l4[24:48], 24, True, ident),
           piece(p, p.l4[:32], 0, True, ident)]
  only_drops(wv, where, parts, "frag_overlap")


@pytest.mark.parametrize("where", ["up", "crawl0"])
def test_FRG_13_ADV_31_a_fragment_that_does_not_align(wv, ip, where):
  src, dst = (ip.C, ip.VIP) if where == "up" else (ip.I1, ip.S)
  p = pk.parse(pk.udp(src, dst, wv.l4port(), 53, payload=b"t" * 56))
  with wv.drops(1, "frag_align"):
    wv.wire(where).send(piece(p, p.l4[:33], 0, True, next(_serial)))


@pytest.mark.parametrize("where", ["up", "crawl0"])
def test_FRG_14_a_fragment_that_ends_beyond_64k(wv, ip, where):
  src, dst = (ip.C, ip.VIP) if where == "up" else (ip.I1, ip.S)
  p = pk.parse(pk.udp(src, dst, wv.l4port(), 53))
  with wv.drops(1):
    wv.wire(where).send(piece(p, b"e" * 64, 65528, False, next(_serial)))


def test_ADV_35_a_last_fragment_of_one_byte_and_of_none(wv, ip):
  l3 = ask(ip, wv, 57)
  for part in cut(l3, (64, 1)):
    wv.up.send(part)
  wv.arrives("dns0", "dns1", n=2)
  p = pk.parse(ask(ip, wv, 56))
  with wv.drops(1, "frag_len"):
    wv.up.send(piece(p, b"", 64, False, next(_serial)))


def test_FRG_15_a_first_fragment_without_upper_header(wv):
  ip = pk.V6
  p = pk.parse(ask(ip, wv))
  with wv.drops(1, "frag_tiny", silent=False):
    wv.up.send(piece(p, b"\x11\0\x01\x04\0\0\0\0", 0, True, next(_serial), proto=60))
  assert not wv.collect(list(wv.q), 1, timeout=0)


def test_FRG_03_ADV_33_a_flood_of_fragments_without_a_first_is_bounded(wv, ip):
  before = wv.counters()
  p = pk.parse(ask(ip, wv))
  wv.up.send_all([piece(p, b"f" * 64, 64, True, 0x8000 + i) for i in range(6000)])
  wv.deliver(pk.udp(ip.C, ip.VIP, wv.l4port(), 53), "dns0", "dns1")
  after = wv.counters()
  assert after["held"] - before["held"] < 6000, "no bound on what is held"
  assert sum(after.drops_since(before).values()) + after["held"] - before["held"] >= 5900
