# SPDX-License-Identifier: BSD-3-Clause
"""Checksums: golden vectors byte for byte, the UDP zero, and what is wrong stays wrong."""

import golden
import pytest
from harness import packets as pk
from harness.reference import translate
from harness.world import World, changed, standard_config
from test_originate import comes_back, mapping


@pytest.fixture(scope="module")
def pinned():
  with World(standard_config(queues=("dns0", "dns1", "crawl0"))) as node:
    yield node


@pytest.mark.parametrize("vector", golden.ORIGINATED, ids=lambda v: v.name)
def test_CHK_02_golden(pinned, vector):
  """`ports: P-P` leaves the allocator no choice, so that the whole packet is known before."""
  out = pk.parse(vector.out)
  p = out.ident if out.sport < 0 else out.sport
  pinned.flush()
  pinned.apply(changed(pinned.config, lambda c: c["egress"].update(ports=f"{p}-{p}")))
  assert pinned.originate("crawl0", vector.into).raw == vector.out
  back = pk.parse(vector.into)
  family = pk.V4 if back.v == 4 else pk.V6
  if out.sport < 0:
    answer, to = pk.echo(out.dst, family.U, p, reply=True), back.ident
  else:
    answer, to = pk.l4_packet("udp" if out.proto == pk.UDP_N else "tcp", out.dst, out.src, out.dport, p,
                              **({} if out.proto == pk.UDP_N else {"flags": "SA"})), back.sport
  comes_back(pinned, "crawl0", answer, back.src, to)


def test_UDP_01_v4_zero_stays_zero_both_ways(wv):
  ip = pk.V4
  sport = wv.l4port()
  l3 = pk.udp(ip.I1, ip.S, sport, 53, l4={"chksum": 0})
  p = wv.originate("crawl0", l3)
  assert p.src == ip.U and p.raw == translate(l3, src=ip.U, sport=p.sport) and p.l4[6:8] == b"\0\0"
  comes_back(wv, "crawl0", pk.udp(ip.S, ip.U, 53, p.sport, l4={"chksum": 0}), ip.I1, sport)


def test_UDP_04_v6_zero_is_forwarded_on_the_translated_plane(wv):
  ip = pk.V6
  sport = wv.l4port()
  l3 = pk.udp(ip.I1, ip.S, sport, 53, l4={"chksum": 0})
  p = wv.originate("crawl0", l3)
  assert p.src == ip.U and p.l4[6:8] == b"\0\0"
  assert mapping(wv, "crawl0", "udp", ip.I1, ip.S, 53, sport)[1] == p.sport, "a session of its own without checksum"
  comes_back(wv, "crawl0", pk.udp(ip.S, ip.U, 53, p.sport, l4={"chksum": 0}), ip.I1, sport)


@pytest.mark.parametrize("proto", ["udp", "tcp", "echo"])
def test_CHK_01_a_wrong_checksum_is_never_repaired(wv, ip, proto):
  """Out: wrong by the same amount, or dropped and counted; never right, never untranslated."""
  sport = wv.l4port()
  good = (pk.echo(ip.I1, ip.S, sport, payload=b"0123456789") if proto == "echo" else
          pk.l4_packet(proto, ip.I1, ip.S, sport, 53, payload=b"0123456789"))
  bad = good[:-1] + bytes([good[-1] ^ 0x40])
  opened = wv.originate("crawl0", good)
  before = wv.counters()
  wv.reset()
  wv.q["crawl0"].send(bad)
  if wv.passes("up", before):
    p = wv.one("up")
    l4port = p.ident if proto == "echo" else p.sport
    assert p.raw == translate(bad, src=ip.U, sport=l4port) and not pk.l4_ok(p.raw)
    assert l4port == (opened.ident if proto == "echo" else opened.sport)


@pytest.mark.parametrize("proto", ["udp", "tcp"])
def test_CHK_01_a_wrong_checksum_from_outside_is_never_repaired(wv, ip, proto):
  sport, p = mapping(wv, "crawl0", proto, ip.I1, ip.S, 53)
  flags = {"flags": "SA"} if proto == "tcp" else {}
  good = pk.l4_packet(proto, ip.S, ip.U, 53, p, payload=b"0123456789", **flags)
  bad = good[:-1] + bytes([good[-1] ^ 0x40])
  before = wv.counters()
  wv.reset()
  wv.up.send(bad)
  if wv.passes("crawl0", before):
    assert wv.one("crawl0").raw == translate(bad, dst=ip.I1, dport=sport)


def test_CHK_01_a_wrong_checksum_to_a_service_is_kept_or_dropped(wv, ip):
  good = pk.udp(ip.C, ip.VIPB, wv.l4port(), 443)
  bad = good[:-1] + b"?"
  before = wv.counters()
  wv.up.send(bad)
  if wv.passes("web0", before):
    assert wv.one("web0").raw == bad


def test_IPH_11_a_wrong_header_checksum_is_dropped(wv):
  ip = pk.V4
  good = pk.udp(ip.C, ip.VIPB, wv.l4port(), 443)
  bad = good[:10] + bytes([good[10] ^ 1]) + good[11:]
  with wv.drops(1, "ip4_csum"):
    wv.up.send(bad)
  good = pk.udp(ip.I1, ip.S, wv.l4port(), 443)
  with wv.drops(1, "ip4_csum"):
    wv.q["crawl0"].send(good[:10] + bytes([good[10] ^ 1]) + good[11:])


def test_CHK_02_every_sum_of_a_payload_word(wv, ip):
  """One flow, 2,000 payloads around the carries: each translated exactly."""
  sport = wv.l4port()
  words = [*range(0, 0x10000, 67), *range(0xFF00, 0x10000), *range(0, 256)]
  packets = [pk.udp(ip.I1, ip.S, sport, 53, payload=x.to_bytes(2, "big") + i.to_bytes(4, "big"))
             for i, x in enumerate(words)]
  wv.q["crawl0"].send_all(packets)
  got = {p.payload[2:]: p for _, p in wv.arrives("up", n=len(packets))}
  for i, l3 in enumerate(packets):
    p = got[i.to_bytes(4, "big")]
    assert p.raw == translate(l3, src=ip.U, sport=p.sport), f"payload word {words[i]:#06x}"
