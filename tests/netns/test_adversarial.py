# SPDX-License-Identifier: BSD-3-Clause
"""Packets made to hurt (conformance.md, section 2): each moves exactly one drop counter and brings nothing out. While
they run, background flows lose nothing and keep their mappings (the last test of the file)."""

import random
import struct

import pytest
from harness import packets as pk
from harness.wire import solicitation
from test_originate import comes_back, mapping

BOTH = ("up", "crawl0")    # each case from the uplink (to a service) and from a queue (to a remote)


def ends(ip, where):
  return (ip.C, ip.VIPB) if where == "up" else (ip.I1, ip.S)


def good(wv, ip, where, make=pk.udp, **fields):
  src, dst = ends(ip, where)
  return make(src, dst, wv.l4port(), 443, **fields)


def patched(l3, **at):
  """patched(l3, b8=3): byte 8 becomes 3; an IPv4 header checksum is made right again."""
  out = bytearray(l3)
  for where, value in at.items():
    out[int(where[1:])] = value
  return pk.set_v4_checksum(bytes(out)) if out[0] >> 4 == 4 else bytes(out)


@pytest.mark.parametrize("where", BOTH)
@pytest.mark.parametrize("n", [14, 17])
def test_ADV_01_runts(wv, where, n):
  """Shorter frames than an Ethernet header cannot be sent from here: the kernel refuses them."""
  wire = wv.wire(where)
  with wv.drops(1, "l2_short", "ip4_short"):
    wire.send_frame(wire.frame(bytes(n - 14), ethertype=0x0800))


@pytest.mark.parametrize("where", BOTH)
def test_ADV_02_ADV_03_headers_cut(wv, ip, where):
  l3, wire = good(wv, ip, where), wv.wire(where)
  size = 20 if ip.v == 4 else 40
  cuts = [n for n in (1, size // 2, size - 1)]
  with wv.drops(len(cuts), f"ip{ip.v}_short"):
    for n in cuts:
      wire.send(l3[:n])


@pytest.mark.parametrize("where", BOTH)
def test_IPH_01_version_and_ihl(wv, where):
  ip, wire = pk.V4, wv.wire(where)
  for first in (0x05, 0x15, 0x35, 0x55, 0x65, 0xF5):
    with wv.drops(1):
      wire.send(patched(good(wv, ip, where), b0=first), ethertype=0x0800)
  for ihl in (0, 1, 4):
    with wv.drops(1):
      wire.send(patched(good(wv, ip, where), b0=0x40 | ihl), ethertype=0x0800)
  for first in (0x00, 0x40, 0x70):
    with wv.drops(1):
      wire.send(patched(good(wv, pk.V6, where), b0=first), ethertype=0x86DD)


@pytest.mark.parametrize("where", BOTH)
def test_ADV_05_ADV_07_length_beyond_the_frame(wv, where):
  ip, wire = pk.V4, wv.wire(where)
  with wv.drops(2, "ip4_trunc"):
    wire.send(patched(good(wv, ip, where), b2=1500 >> 8, b3=1500 & 255))
    wire.send(patched(good(wv, ip, where, payload=b""), b0=0x4F, b2=0, b3=60))
  with wv.drops(1):
    wire.send(patched(good(wv, ip, where), b2=0, b3=19))    # total < header
  with wv.drops(1, "ip6_trunc", "ip6_len"):
    wire.send(patched(good(wv, pk.V6, where), b4=1400 >> 8, b5=1400 & 255))


@pytest.mark.parametrize("where", BOTH)
def test_ADV_09_v6_payload_length_zero(wv, where):
  with wv.drops(1, "ip6_len"):
    wv.wire(where).send(patched(good(wv, pk.V6, where), b4=0, b5=0))


@pytest.mark.parametrize("where", BOTH)
@pytest.mark.parametrize("proto,sizes", [(pk.UDP_N, (1, 4, 7)), (pk.TCP_N, (1, 12, 19)), (0, (1, 4, 7))],
                         ids=["udp", "tcp", "icmp"])
def test_ADV_11_l4_headers_cut(wv, ip, where, proto, sizes):
  src, dst = ends(ip, where)
  body = pk.parse(pk.tcp(src, dst, wv.l4port(), 443)).l4 if proto else pk.parse(pk.echo(src, dst, 5)).l4
  with wv.drops(len(sizes), "l4_short"):
    for n in sizes:
      wv.wire(where).send(pk.with_l4(src, dst, proto or ip.icmp, body[:n]))


@pytest.mark.parametrize("where", BOTH)
def test_ADV_13_tcp_data_offset(wv, ip, where):
  with wv.drops(6, "tcp_doff"):
    for words in (0, 1, 2, 3, 4, 15):
      l3 = bytearray(good(wv, ip, where, pk.tcp))
      l3[pk.parse(bytes(l3)).l4_at + 12] = words << 4
      wv.wire(where).send(bytes(l3))


def _options(wv, where, option):
  """A v4 packet with these option bytes, put in by hand: nobody mends them."""
  base = good(wv, pk.V4, where)
  option = option.ljust(-(-len(option) // 4) * 4, b"\0")
  l3 = bytearray(base[:20] + option + base[20:])
  l3[0] = 0x40 | 5 + len(option) // 4
  l3[2:4] = struct.pack("!H", len(l3))
  return pk.set_v4_checksum(bytes(l3))


@pytest.mark.parametrize("where", BOTH)
def test_ADV_15_broken_options(wv, where):
  bad = [b"\x82\x00\x01\x01", b"\x82\x01\x01\x01", b"\x82\x28\x01\x01", b"\x01\x01\x01\x82"]
  with wv.drops(len(bad), "ipopt_bad"):
    for option in bad:
      wv.wire(where).send(_options(wv, where, option))


@pytest.mark.parametrize("option", ["83070400000000", "89070400000000", "070704000000", "440c0500000000000000"],
                         ids=["LSRR", "SSRR", "RR", "TS"])
@pytest.mark.parametrize("where", BOTH)
def test_IPH_08_routed_options_are_dropped(wv, where, option):
  raw = bytearray(bytes.fromhex(option).ljust(12, b"\0"))
  with wv.drops(1, f"ipopt_{raw[0]}"):
    wv.wire(where).send(_options(wv, where, bytes(raw[:raw[1]])))


def test_IPH_08_harmless_options_pass(wv):
  """NOPs, router alert (ADV-17), an unknown one."""
  for option in (b"\x01" * 40, b"\x94\x04\0\0" * 10, b"\x9e\x04\x01\x02"[:0] + b"\x5f\x04\0\0"):
    wv.deliver(_options(wv, "up", option), "web0")


@pytest.mark.parametrize("where", BOTH)
def test_ADV_19_extension_header_beyond_the_frame(wv, where):
  src, dst = ends(pk.V6, where)
  for header in (0, 60):
    with wv.drops(1, "v6_eh_trunc"):
      wv.wire(where).send(pk.with_l4(src, dst, header, bytes([17, 255]) + bytes(40)))


@pytest.mark.parametrize("where", BOTH)
def test_ADV_21_extension_headers_out_of_order(wv, where):
  src, dst = ends(pk.V6, where)
  l4 = pk.parse(good(wv, pk.V6, where)).l4
  pad = b"\0\x01\x04\0\0\0\0"    # length 0, PadN of 4
  chains = [(60, b"\0" + pad + b"\x11" + pad), (0, b"\0" + pad + b"\x11" + pad)]
  with wv.drops(len(chains), "v6_eh_order"):
    for first, chain in chains:
      wv.wire(where).send(pk.with_l4(src, dst, first, chain + l4))


def test_V6_01_legal_extension_headers_pass(wv):
  ip = pk.V6
  pad = b"\0\x01\x04\0\0\0\0"
  for first, chain in ((0, b"\x11" + pad), (60, b"\x11" + pad), (0, b"\x3c" + pad + b"\x11" + pad)):
    l4 = pk.parse(pk.udp(ip.C, ip.VIPB, wv.l4port(), 443)).l4
    wv.deliver(pk.with_l4(ip.C, ip.VIPB, first, chain + l4), "web0")


@pytest.mark.parametrize("where", BOTH)
def test_V6_01_too_many_extension_headers(wv, where):
  src, dst = ends(pk.V6, where)
  l4 = pk.parse(good(wv, pk.V6, where)).l4
  pad = b"\0\x01\x04\0\0\0\0"
  with wv.drops(1, "v6_eh_limit"):
    wv.wire(where).send(pk.with_l4(src, dst, 60, (b"\x3c" + pad) * 8 + b"\x11" + pad + l4))


@pytest.mark.parametrize("where", BOTH)
def test_ADV_23_jumbo(wv, where):
  src, dst = ends(pk.V6, where)
  l3 = pk.with_l4(src, dst, 0, b"\x11\0\xc2\x04\0\x01\0\0" + pk.parse(good(wv, pk.V6, where)).l4)
  with wv.drops(2, "v6_jumbo"):
    wv.wire(where).send(l3)
    wv.wire(where).send(patched(l3, b4=0, b5=0))


# -- addresses ---------------------------------------------------------------------------------------------------

MARTIANS = {4: ["0.0.0.0", "0.1.2.3", "127.0.0.1", "127.9.9.9", "169.254.3.4", "224.0.0.1", "239.1.1.1", "240.0.0.1",
                "255.255.255.255"],
            6: ["::", "::1", "ff02::1", "ff0e::1", "::ffff:192.0.2.1"]}


def test_L2_07_martian_sources(wv, ip):
  for source in MARTIANS[ip.v]:
    for target in ((ip.VIPB, 443), (ip.U, 5000), (ip.U, 179)):
      with wv.drops(1, "martian_src"):
        wv.up.send(pk.udp(source, target[0], 1000, target[1]))


def test_ADV_45_martian_destinations(wv, ip):
  """From the uplink: never delivered, never answered. From a queue: never on the wire."""
  for target in (a for a in MARTIANS[ip.v] if not a.startswith(("224", "239", "255", "ff"))):
    with wv.drops(1, "martian_dst"):
      wv.up.send(pk.udp(ip.C, target, 1000, 443))
    with wv.drops(1, silent=False):
      wv.q["crawl0"].send(pk.udp(ip.I1, target, 1000, 443))
    assert not wv.up.packets()


def test_ADV_47_broadcast_and_multicast_from_a_queue_do_not_leave(wv, ip):
  for target in ("255.255.255.255", "224.0.0.1", "239.1.1.1") if ip.v == 4 else ("ff02::1", "ff02::fb", "ff0e::1"):
    with wv.drops(1):
      wv.q["crawl0"].send(pk.udp(ip.I1, target, 1000, 443))


def test_ADV_41_land(wv, ip):
  for address, l4port in ((ip.VIPB, 443), (ip.U, 5000)):
    packets = [pk.tcp(address, address, l4port, l4port), pk.udp(address, address, l4port, l4port),
               pk.echo(address, address, 5)]
    with wv.drops(len(packets), "land"):
      for l3 in packets:
        wv.up.send(l3)


def test_L2_02_link_broadcast_with_unicast_ip(wv, ip):
  for mac in ("ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "33:33:00:00:00:01"):
    with wv.drops(2):
      wv.up.send(pk.udp(ip.C, ip.VIPB, wv.l4port(), 443), dst=mac)
      wv.up.send(pk.udp(ip.C, ip.VIPB, wv.l4port(), 9), dst=mac)


def test_L2_01_another_mac(wv, ip):
  with wv.drops(1, "l2_not_mine"):
    wv.up.send(pk.udp(ip.C, ip.VIPB, wv.l4port(), 443), dst="02:00:00:00:99:99")


@pytest.mark.parametrize("where", BOTH)
def test_ADV_69_broken_arp(wv, where):
  wire = wv.wire(where)
  head = b"\0\x01\x08\0\x06\x04\0\x01"
  body = pk.mac_bytes(wire.mac) + pk.packed(pk.V4.I1) + bytes(6) + pk.packed(pk.V4.S)
  broken = [head[:4] + b"\0\x04" + head[6:] + body, head[:4] + b"\xff\x04" + head[6:] + body,
            head[:4] + b"\x06\x10" + head[6:] + body, head[:6] + b"\0\0" + body, head + body[:10],
            head + b"\x01" + body[1:]]
  if where == "up":
    wv.check_standing()    # the kernel's to judge: godwit only must not trip over it
    for l3 in broken:
      wire.send(l3, dst="ff:ff:ff:ff:ff:ff", ethertype=0x0806)
    assert wire.ask(pk.V4.U, pk.V4.GW)
    return
  for l3 in broken:
    with wv.drops(1, "arp_bad"):
      wire.send(l3, dst="ff:ff:ff:ff:ff:ff", ethertype=0x0806)


def test_V6_08_broken_nd_on_a_queue(wv):
  ip, wire = pk.V6, wv.q["crawl0"]
  l3 = solicitation(pk.packed(ip.S), pk.packed(ip.I1), wire.mac)
  with wv.drops(1, "nd_hl"):
    wire.send(patched(l3, b7=254))
  with wv.drops(1):
    body = bytearray(l3)
    body[65] = 0    # an option of length zero
    body[42:44] = b"\0\0"
    body[42:44] = struct.pack("!H", pk.checksum(pk.pseudo(bytes(body[8:24]), bytes(body[24:40]), 58, len(body) - 40)
                                               + bytes(body[40:])))
    wire.send(bytes(body))
  assert wire.ask(ip.S, ip.I1)


def test_ADV_43_L2_13_an_advertisement_out_of_nothing_moves_no_gateway(wv):
  """Unsolicited ARP replies for the gateway from another MAC: the kernel's cache rules decide, not godwit's."""
  from harness.wire import arp
  for _ in range(3):
    wv.up.send_frame(arp(2, "02:00:00:00:66:66", pk.packed(pk.V4.R), wv.up.peer, pk.packed(pk.V4.U), wv.up.peer))
  mapping(wv, "crawl0", "udp", pk.V4.I1, pk.V4.S, 53)
  assert wv.up.frames()[0].dst == wv.up.mac


def test_mutations_do_not_kill_or_unbalance(wv, ip):
  """4,000 packets with random bytes changed, from both sides; the balance and the leak check are conftest's."""
  rng = random.Random(20 + ip.v)
  for where in BOTH:
    src, dst = ends(ip, where)
    seeds = [pk.udp(src, dst, 1000, 443, payload=b"x" * 60), pk.tcp(src, dst, 1000, 443, payload=b"y" * 60),
             pk.echo(src, dst, 77), pk.icmp(src, dst, *((3, 3) if ip.v == 4 else (1, 4)), body=pk.udp(dst, src, 443, 9))]
    for i in range(2000):
      l3 = bytearray(rng.choice(seeds))
      for _ in range(rng.randint(1, 4)):
        l3[rng.randrange(len(l3))] = rng.randrange(256)
      l3 = l3[:rng.randint(1, len(l3))] if rng.random() < 0.2 else l3
      if l3[0] >> 4 == 4 and len(l3) >= 20 and rng.random() < 0.7:
        l3 = pk.set_v4_checksum(bytes(l3))
      wv.wire(where).send(bytes(l3), ethertype=0x0800 if ip.v == 4 else 0x86DD)
      if i % 64 == 0:
        wv.check_standing()
  leaked = [p for p in map(_safe_parse, wv.up.frames()) if p and p.src == ip.I1]
  assert not leaked


def _safe_parse(frame):
  try:
    return pk.parse(frame.l3)
  except (IndexError, struct.error, ValueError):
    return None


def test_background_flows_lose_nothing_under_abuse(wv, ip):
  """50 flows in and 50 out, before, between and after floods of what must be dropped."""
  out = [mapping(wv, "crawl0", "udp", ip.I1, ip.S, 53) for _ in range(50)]
  into = [wv.l4port() for _ in range(50)]
  homes = [wv.deliver(pk.udp(ip.C, ip.VIP, s, 53), "dns0", "dns1") for s in into]
  for _ in range(2):
    wv.up.send_all([pk.udp(ip.S2, ip.U, 80, 1100 + i) for i in range(1500)])
    wv.q["crawl0"].send_all([pk.tcp(ip.I1, ip.S, 9, 443, flags="") for _ in range(1500)])
    for sport, p in out:
      comes_back(wv, "crawl0", pk.udp(ip.S, ip.U, 53, p), ip.I1, sport)
      assert mapping(wv, "crawl0", "udp", ip.I1, ip.S, 53, sport)[1] == p
    assert [wv.deliver(pk.udp(ip.C, ip.VIP, s, 53), "dns0", "dns1") for s in into] == homes
