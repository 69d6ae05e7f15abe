# SPDX-License-Identifier: BSD-3-Clause
"""ICMP errors in both directions: the quoted packet decides whose they are, and is translated with them."""

import struct

import pytest
from harness import packets as pk
from harness.reference import translate, translate_error
from harness.world import World, changed, standard_config
from test_originate import mapping

# (type, code, the four bytes behind the checksum); PTB is apart.
ERRORS = {4: [(3, 0), (3, 1), (3, 2), (3, 3), (3, 5), (3, 9), (3, 10), (3, 13), (11, 0), (11, 1), (12, 0)],
          6: [(1, 0), (1, 1), (1, 3), (1, 4), (3, 0), (3, 1), (4, 0), (4, 1), (4, 2)]}


def cases(table):
  return [pytest.param(family, *row, id=f"{family}-{'/'.join(map(str, row))}") for family in pk.FAMILIES
          for row in table[family.v]]


def unreachable(ip):
  return (3, 3) if ip.v == 4 else (1, 4)


def too_big(ip, src, dst, mtu, quote):
  if ip.v == 4:
    return pk.icmp(src, dst, 3, 4, struct.pack("!HH", 0, mtu), quote)
  return pk.icmp(src, dst, 2, 0, struct.pack("!I", mtu), quote)


def comes_in(w, ip, error, inner_src, inner_sport):
  """At the originator: addressed to it, quoting the packet as it sent it; the outer source stays (ICE-13)."""
  w.reset()
  w.up.send(error)
  p = w.one("crawl0")
  expected = translate_error(error, dst=inner_src, inner={"src": inner_src, "sport": inner_sport})
  assert p.raw == expected, f"expected\n{expected.hex()}\ngot\n{p.raw.hex()}"


@pytest.mark.parametrize("ip,kind,code", cases(ERRORS))
def test_ICE_06_errors_from_outside_reach_the_originator(wv, ip, kind, code):
  sport, p = mapping(wv, "crawl0", "udp", ip.I1, ip.S, 53)
  comes_in(wv, ip, pk.icmp(ip.R, ip.U, kind, code, body=pk.udp(ip.U, ip.S, p, 53)), ip.I1, sport)


@pytest.mark.parametrize("proto", ["udp", "tcp"])
def test_ICE_06_on_every_uplink(w, ip, proto):
  sport, p = mapping(w, "crawl0", proto, ip.I1, ip.S, 443)
  quote = pk.l4_packet(proto, ip.U, ip.S, p, 443, payload=b"q" * 30)
  comes_in(w, ip, pk.icmp(ip.R, ip.U, *unreachable(ip), body=quote), ip.I1, sport)
  comes_in(w, ip, too_big(ip, ip.R, ip.U, 1400, quote), ip.I1, sport)


def test_ICE_10_ANY_21_the_id_of_a_quoted_echo(w, ip):
  """Traceroute from the node works."""
  request = w.originate("crawl0", pk.echo(ip.I1, ip.S, 0xFEED, ttl=3))
  comes_in(w, ip, pk.icmp(ip.R, ip.U, *((11, 0) if ip.v == 4 else (3, 0)), body=request.raw), ip.I1, 0xFEED)


@pytest.mark.parametrize("proto", ["udp", "tcp"])
def test_ICE_07_quotes_of_every_length(wv, ip, proto):
  """8 to 40 bytes of L4: checksums only where they are quoted, never a byte beyond the quote."""
  sport, p = mapping(wv, "crawl0", proto, ip.I1, ip.S, 443)
  whole = pk.l4_packet(proto, ip.U, ip.S, p, 443, payload=b"0123456789" * 6)
  head = pk.parse(whole).l4_at
  for n in range(8, 41):
    comes_in(wv, ip, pk.icmp(ip.R, ip.U, *unreachable(ip), body=whole[:head + n]), ip.I1, sport)


def test_ICE_03_options_in_the_quoted_header(wv):
  from scapy.layers.inet import IPOption
  ip = pk.V4
  sport, p = mapping(wv, "crawl0", "udp", ip.I1, ip.S, 53)
  for words in range(1, 11):
    quote = pk.udp(ip.U, ip.S, p, 53, options=[IPOption(b"\x01" * (4 * words))])
    comes_in(wv, ip, pk.icmp(ip.R, ip.U, 3, 3, body=quote), ip.I1, sport)


def test_ICE_04_a_wrong_quoted_l4_checksum_is_no_reason_to_drop(wv, ip):
  sport, p = mapping(wv, "crawl0", "udp", ip.I1, ip.S, 53)
  quote = pk.udp(ip.U, ip.S, p, 53, l4={"chksum": 0xBEEF})
  comes_in(wv, ip, pk.icmp(ip.R, ip.U, *unreachable(ip), body=quote), ip.I1, sport)


def test_ICE_05_extensions_survive(wv):
  ip = pk.V4
  sport, p = mapping(wv, "crawl0", "udp", ip.I1, ip.S, 53)
  quote = pk.udp(ip.U, ip.S, p, 53, payload=b"x" * 100)
  extension = bytes.fromhex("20000000" "00080101" "0001f1ff")
  extension = extension[:2] + struct.pack("!H", pk.checksum(extension)) + extension[4:]
  body = quote.ljust(128, b"\0") + extension
  comes_in(wv, ip, pk.icmp(ip.R, ip.U, 11, 0, b"\0\x20\0\0", body), ip.I1, sport)


def test_FLT_08_errors_are_not_filtered_by_their_source(wv, ip):
  sport, p = mapping(wv, "crawl0", "udp", ip.I1, ip.S, 53)
  for source in (ip.S, ip.S2, ip.GW, ip.C):
    comes_in(wv, ip, pk.icmp(source, ip.U, *unreachable(ip), body=pk.udp(ip.U, ip.S, p, 53)), ip.I1, sport)


def test_ICE_08_ICE_23_no_session_no_error(wv, ip):
  _, p = mapping(wv, "crawl0", "udp", ip.I1, ip.S, 53)
  wrong = [pk.udp(ip.U, ip.S2, p, 53), pk.udp(ip.U, ip.S, p, 54), pk.udp(ip.U, ip.S, p ^ 1, 53)]
  with wv.drops(6, "icmp_unmatched"):
    for quote in wrong:
      wv.up.send(pk.icmp(ip.R, ip.U, *unreachable(ip), body=quote))
      wv.up.send(too_big(ip, ip.R, ip.U, 1400, quote))


def test_ICE_14_the_outer_destination_is_the_quoted_source(wv, ip):
  _, p = mapping(wv, "crawl0", "udp", ip.I1, ip.S, 53)
  with wv.drops(1, "icmp_inner_mismatch"):
    wv.up.send(pk.icmp(ip.R, ip.U, *unreachable(ip), body=pk.udp(ip.S2, ip.S, p, 53)))


def test_ICE_15_quench_and_redirect_are_dropped(wv, ip):
  _, p = mapping(wv, "crawl0", "udp", ip.I1, ip.S, 53)
  quote = pk.udp(ip.U, ip.S, p, 53)
  if ip.v == 4:
    with wv.drops(1, "icmp_type"):
      wv.up.send(pk.icmp(ip.R, ip.U, 4, 0, body=quote))
    with wv.drops(1, "icmp_redirect"):
      wv.up.send(pk.icmp(ip.GW, ip.U, 5, 1, pk.packed(ip.N2), quote))
  before = wv.counters()
  if ip.v == 6:
    wv.up.send(pk.icmp(ip.GW, ip.U, 137, 0, bytes(4), pk.packed(ip.N2) + pk.packed(ip.S)))
    assert not wv.collect(list(wv.q), 1, timeout=0.1)
  assert mapping(wv, "crawl0", "udp", ip.I1, ip.S, 53)[1]
  assert wv.up.frames()[0].dst == wv.up.mac, "the redirect moved the route"
  assert wv.counters()["delivered"] == before["delivered"]


def test_ICE_11_ICE_12_errors_change_no_session(wv, ip):
  sport, p = mapping(wv, "crawl0", "udp", ip.I1, ip.S, 53)
  before = wv.flow_count()
  for kind, code in ERRORS[ip.v]:
    comes_in(wv, ip, pk.icmp(ip.R, ip.U, kind, code, body=pk.udp(ip.U, ip.S, p, 53)), ip.I1, sport)
  assert wv.flow_count() == before
  assert mapping(wv, "crawl0", "udp", ip.I1, ip.S, 53, sport)[1] == p


def test_ICE_01_a_wrong_icmp_checksum(wv, ip):
  _, p = mapping(wv, "crawl0", "udp", ip.I1, ip.S, 53)
  error = bytearray(pk.icmp(ip.R, ip.U, *unreachable(ip), body=pk.udp(ip.U, ip.S, p, 53)))
  error[pk.parse(bytes(error)).l4_at + 2] ^= 1
  with wv.drops(1, "icmp_csum"):
    wv.up.send(bytes(error))


def test_ICE_02_a_wrong_quoted_header_checksum(wv):
  """Dropped, save for a PTB: some routers quote a header with its TTL changed, and losing PTBs is worse."""
  ip = pk.V4
  sport, p = mapping(wv, "crawl0", "udp", ip.I1, ip.S, 53)
  quote = bytearray(pk.udp(ip.U, ip.S, p, 53))
  quote[8] -= 3
  with wv.drops(1, "icmp_in_ipcsum"):
    wv.up.send(pk.icmp(ip.R, ip.U, 3, 3, body=bytes(quote)))
  wv.reset()
  wv.up.send(too_big(ip, ip.R, ip.U, 1400, bytes(quote)))
  p = wv.one("crawl0")
  assert (p.dst, p.quote.src, p.quote.sport) == (ip.I1, ip.I1, sport)


def test_ICE_21_absurd_mtus_stop_here(wv, ip):
  sport, p = mapping(wv, "crawl0", "udp", ip.I1, ip.S, 53)
  quote = pk.udp(ip.U, ip.S, p, 53)
  small = (1, 67) if ip.v == 4 else (0, 600, 1279)
  with wv.drops(len(small), "ptb_small"):
    for mtu in small:
      wv.up.send(too_big(ip, ip.R, ip.U, mtu, quote))
  for mtu in (0, 68, 576) if ip.v == 4 else (1280, 1500):
    comes_in(wv, ip, too_big(ip, ip.R, ip.U, mtu, quote), ip.I1, sport)


def test_ICE_26_a_quote_without_ports(wv, ip):
  _, p = mapping(wv, "crawl0", "udp", ip.I1, ip.S, 53)
  quote = pk.udp(ip.U, ip.S, p, 53)
  head = pk.parse(quote).l4_at
  with wv.drops(3, "icmp_short"):
    for n in (head + 3, head, head - 1):
      wv.up.send(pk.icmp(ip.R, ip.U, *unreachable(ip), body=quote[:n]))


def test_ICE_27_a_quoted_later_fragment(wv):
  ip = pk.V4
  _, p = mapping(wv, "crawl0", "udp", ip.I1, ip.S, 53)
  with wv.drops(1, "icmp_in_frag"):
    wv.up.send(pk.icmp(ip.R, ip.U, 3, 3, body=pk.udp(ip.U, ip.S, p, 53, frag=100)))


def test_ADV_59_an_error_about_an_error(wv, ip):
  _, p = mapping(wv, "crawl0", "udp", ip.I1, ip.S, 53)
  inner = pk.icmp(ip.U, ip.S, *unreachable(ip), body=pk.udp(ip.S, ip.U, 53, p))
  with wv.drops(1, "icmp_err_err"):
    wv.up.send(pk.icmp(ip.R, ip.U, *unreachable(ip), body=inner))


def test_ICE_09_an_error_sent_by_an_originator(w, ip):
  """The quoted destination is translated here, not the source."""
  sport, p = mapping(w, "crawl0", "udp", ip.I1, ip.S, 53)
  answer = pk.udp(ip.S, ip.U, 53, p, payload=b"too late")
  w.reset()
  w.up.send(answer)
  seen = w.one("crawl0")
  error = pk.icmp(ip.I1, ip.S, *unreachable(ip), body=seen.raw)
  expected = translate_error(error, src=ip.U, inner={"dst": ip.U, "dport": p})
  assert seen.raw == translate(answer, dst=ip.I1, dport=sport)
  w.reset()
  w.q["crawl0"].send(error)
  assert w.one("up").raw == expected


def test_ICE_29_an_echo_that_looks_like_an_error_is_an_echo(w, ip):
  data = pk.udp(ip.U, ip.S, 1, 2)
  w.up.send(pk.echo(ip.C, ip.VIP, 5, payload=data))
  p = w.one("up")
  assert p.src == ip.VIP and p.payload == data


def test_ICE_25_an_error_about_a_reply_goes_to_the_queue_of_the_flow(w, ip):
  """The anycast bug: hashed by its outer header, it would reach any queue."""
  base = w.l4port(24)
  for sport in range(base, base + 24):
    home = w.deliver(pk.udp(ip.C, ip.VIP, sport, 53), "dns0", "dns1")
    reply = pk.udp(ip.VIP, ip.C, 53, sport, payload=b"r" * 1200)
    for error in (too_big(ip, ip.R, ip.VIP, 1300, reply[:200]), pk.icmp(ip.S2, ip.VIP, *unreachable(ip), body=reply)):
      assert w.deliver(error, "dns0", "dns1") == home


def test_ICE_25_also_without_an_entry(w, ip):
  """A PTB may be the first packet here of a flow: the hash of the quoted flow, reversed, decides."""
  base = w.l4port(16)
  for sport in range(base, base + 16):
    home = w.deliver(too_big(ip, ip.R, ip.VIP, 1300, pk.udp(ip.VIP, ip.C, 53, sport)), "dns0", "dns1")
    assert w.deliver(pk.udp(ip.C, ip.VIP, sport, 53), "dns0", "dns1") == home


@pytest.fixture(scope="module")
def narrow():
  def edit(c):
    c["uplinks"][0]["device"] = "afpacket:wan0"
  with World(changed(standard_config("afpacket"), edit), kind="afpacket", mtu=1400) as node:
    yield node


def test_ICE_20_ANY_22_what_does_not_fit_the_uplink_is_answered(narrow, ip):
  """A PTB that carries the MTU and quotes the packet as its sender knows it (ICE-18), within the limits of size."""
  df = {"flags": "DF"} if ip.v == 4 else {}
  for l3 in (pk.udp(ip.I1, ip.S, narrow.l4port(), 53, payload=b"x" * 1450, **df),
             pk.udp(ip.VIP, ip.C, 53, narrow.l4port(), payload=b"x" * 1450, **df)):
    source = pk.parse(l3).src
    where = "crawl0" if source == ip.I1 else "dns0"
    with narrow.drops(1, silent=False):
      narrow.q[where].send(l3)
    p = narrow.one(where)
    assert (p.dst, p.kind, p.code) == (source, *((3, 4) if ip.v == 4 else (2, 0)))
    assert struct.unpack("!I", p.l4[4:8])[0] == 1400, "the MTU, upper bits zero"
    assert pk.l4_ok(p.raw) and l3.startswith(p.l4[8:]) and len(p.raw) <= (576 if ip.v == 4 else 1280)
    assert not narrow.up.packets()


def test_FRG_11_what_may_be_fragmented_is(narrow):
  """DF=0: two fragments in order that make the packet again; rule 7 counts what was cut as consumed."""
  ip = pk.V4
  l3 = pk.udp(ip.VIP, ip.C, 53, narrow.l4port(), payload=bytes(range(256)) * 5 + b"y" * 170, id=0x7777)
  before = narrow.counters()
  narrow.q["dns0"].send(l3)
  got = [p for _, p in narrow.arrives("up", n=2)]
  offsets = [struct.unpack("!H", p.raw[6:8])[0] for p in got]
  assert [o >> 13 & 1 for o in offsets] == [1, 0] and offsets[0] & 0x1FFF == 0
  assert (offsets[1] & 0x1FFF) * 8 == len(got[0].l4), "a gap between the fragments"
  assert got[0].l4 + got[1].l4 == pk.parse(l3).l4 and all(len(p.raw) <= 1400 and pk.ip_ok(p.raw) for p in got)
  moved = narrow.counters().since(before)
  assert (moved["generated"], moved["consumed"], moved["sent"]) == (2, 1, 2)


def test_FRG_11_translated_and_fragmented(narrow):
  ip = pk.V4
  l3 = pk.udp(ip.I1, ip.S, narrow.l4port(), 53, payload=b"z" * 1450)
  narrow.q["crawl0"].send(l3)
  got = [p for _, p in narrow.arrives("up", n=2)]
  whole = pk.header(ip.U, ip.S, proto=17) / (got[0].l4 + got[1].l4)
  assert all(p.src == ip.U for p in got) and pk.l4_ok(bytes(whole))
