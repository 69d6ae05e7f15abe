# SPDX-License-Identifier: BSD-3-Clause
"""Rule 3: nothing ever leaves with another source; what can't be translated is dropped and counted (ANY-12). conftest
checks every frame that any test captures; here are the packets that other systems let through."""

import struct

import pytest
from harness import packets as pk
from harness.world import UPLINKS

V6_ONLY, V4_ONLY = {6}, {4}


def _udp_cut(ip, sport, n):
  return pk.with_l4(ip.I1, ip.S, pk.UDP_N, pk.parse(pk.udp(ip.I1, ip.S, sport, 53)).l4[:n])


def _tcp_doff(ip, sport, words):
  l3 = bytearray(pk.tcp(ip.I1, ip.S, sport, 80))
  at = pk.parse(bytes(l3)).l4_at + 12
  l3[at] = words << 4 | l3[at] & 15
  return bytes(l3)


def _routing_header(ip, sport, kind, left=1):
  body = pk.parse(pk.udp(ip.I1, ip.S, sport, 53)).l4
  header = struct.pack("!BBBBI", pk.UDP_N, 2, kind, left, 0) + pk.packed(ip.S2)
  return pk.with_l4(ip.I1, ip.S, 43, header + body)


def _stray_error(ip, sport):
  """A port unreachable about a packet that never came."""
  return pk.icmp(ip.I1, ip.S, *((3, 3) if ip.v == 4 else (1, 4)), body=pk.udp(ip.S, ip.I1, 53, sport))


# name -> (packet from the originator, drop counters that may move, families)
KINDS = {
    "tcp-without-flags": (lambda ip, s: pk.tcp(ip.I1, ip.S, s, 80, flags=""), ["tcp_flags"], {4, 6}),
    "tcp-syn-fin": (lambda ip, s: pk.tcp(ip.I1, ip.S, s, 80, flags="SF"), ["tcp_flags"], {4, 6}),
    "rst-without-session": (lambda ip, s: pk.tcp(ip.I1, ip.S, s, 80, flags="R"), [], {4, 6}),
    "echo-reply-without-request": (lambda ip, s: pk.echo(ip.I1, ip.S, s, reply=True), [], {4, 6}),
    "icmp-error-without-session": (_stray_error, ["icmp_unmatched"], {4, 6}),
    "icmp-type-40": (lambda ip, s: pk.icmp(ip.I1, ip.S, 40 if ip.v == 4 else 200, 0, body=bytes(8)), [], {4, 6}),
    "icmp-timestamp": (lambda ip, s: pk.icmp(ip.I1, ip.S, 13, 0, body=bytes(12)), [], V4_ONLY),
    "udp-of-4-bytes": (lambda ip, s: _udp_cut(ip, s, 4), ["l4_short"], {4, 6}),
    "udp-of-7-bytes": (lambda ip, s: _udp_cut(ip, s, 7), ["l4_short"], {4, 6}),
    "udp-length-beyond-ip": (lambda ip, s: pk.udp(ip.I1, ip.S, s, 53, b"x" * 8, l4={"len": 400}), ["udp_len"], {4, 6}),
    "tcp-doff-2": (lambda ip, s: _tcp_doff(ip, s, 2), ["tcp_doff"], {4, 6}),
    "tcp-doff-15": (lambda ip, s: _tcp_doff(ip, s, 15), ["tcp_doff"], {4, 6}),
    "sctp": (lambda ip, s: pk.with_l4(ip.I1, ip.S, 132, struct.pack("!HHII", s, 80, 0, 0) + bytes(20)), [], {4, 6}),
    "dccp": (lambda ip, s: pk.with_l4(ip.I1, ip.S, 33, struct.pack("!HH", s, 80) + bytes(20)), [], {4, 6}),
    "udp-lite": (lambda ip, s: pk.with_l4(ip.I1, ip.S, 136, struct.pack("!HHHH", s, 53, 8, 1) + b"x"), [], {4, 6}),
    "gre": (lambda ip, s: pk.with_l4(ip.I1, ip.S, 47, bytes(24)), [], {4, 6}),
    "esp": (lambda ip, s: pk.with_l4(ip.I1, ip.S, 50, bytes(24)), [], {4, 6}),
    "ip-in-ip": (lambda ip, s: pk.with_l4(ip.I1, ip.S, 4, pk.udp("10.1.1.1", "10.1.1.2", 1, 2)), [], {4, 6}),
    "icmpv6-in-v4": (lambda ip, s: pk.with_l4(ip.I1, ip.S, 58, bytes(16)), [], V4_ONLY),
    "icmpv4-in-v6": (lambda ip, s: pk.with_l4(ip.I1, ip.S, 1, b"\x08\0\xf7\xff" + bytes(12)), [], V6_ONLY),
    "rh0": (lambda ip, s: _routing_header(ip, s, 0), [], V6_ONLY),
    "rh3": (lambda ip, s: _routing_header(ip, s, 3), [], V6_ONLY),
    "no-next-header": (lambda ip, s: pk.with_l4(ip.I1, ip.S, 59, bytes(40)), [], V6_ONLY),
    "ah": (lambda ip, s: pk.with_l4(ip.I1, ip.S, 51, struct.pack("!BBHIII", 17, 2, 0, 1, 1, 0)
                                    + pk.parse(pk.udp(ip.I1, ip.S, s, 53)).l4), [], V6_ONLY),
    "igmp": (lambda ip, s: pk.with_l4(ip.I1, ip.S, 2, bytes(8)), [], V4_ONLY),
}


def _cases():
  return [pytest.param(family, kind, id=f"{kind}-{family}") for kind, (_, _, families) in KINDS.items()
          for family in pk.FAMILIES if family.v in families]


@pytest.mark.parametrize("family,kind", _cases())
@pytest.mark.parametrize("queue_name", ["crawl0", "dns0", "vip0"])
def test_ANY_12_what_cannot_be_translated_does_not_leave(wv, queue_name, family, kind):
  make, reasons, _ = KINDS[kind]
  with wv.drops(1, *reasons, silent=False):
    wv.q[queue_name].send(make(family, wv.l4port()))
  assert not wv.up.packets(), "it left"


@pytest.mark.parametrize("w", [kind for kind in UPLINKS if kind != "veth"], indirect=True)
@pytest.mark.parametrize("family,kind", _cases())
def test_ANY_12_on_every_other_uplink(w, family, kind):
  """On `veth:` it is the test above, queue by queue."""
  make, reasons, _ = KINDS[kind]
  with w.drops(1, *reasons, silent=False):
    w.q["crawl0"].send(make(family, w.l4port()))
  assert not w.up.packets(), "it left"


def test_OTH_08_no_protocol_leaks_or_kills(wv, ip):
  """All 256, from a queue and from the uplink; what the protocol is, is 24 zero bytes."""
  for proto in range(256):
    wv.q["crawl0"].send(pk.with_l4(ip.I1, ip.S, proto, bytes(24)))
    wv.up.send(pk.with_l4(ip.S, ip.U, proto, bytes(24)))
    wv.up.send(pk.with_l4(ip.C, ip.VIP, proto, bytes(24)))
    if proto % 32 == 31:
      wv.check_standing()
  wv.collect(["up"], 1, lambda p: p.src == ip.I1, timeout=0.1)
  assert all(p.src != ip.I1 for p in wv.up.packets())


def test_IPH_12_ethertype_and_version_must_agree(wv):
  for ip, wrong in ((pk.V4, 0x86DD), (pk.V6, 0x0800)):
    with wv.drops(1):
      wv.q["crawl0"].send(pk.udp(ip.I1, ip.S, 1, 2), ethertype=wrong)
    with wv.drops(1):
      wv.up.send(pk.udp(ip.C, ip.VIP, 1000, 53), ethertype=wrong)


def test_other_ethertypes_from_a_queue_do_not_leave(wv):
  for ethertype in (0x0801, 0x88CC, 0x8847, 0x8864, 0x0600, 0x0040):
    with wv.drops(1):
      wv.q["crawl0"].send(bytes(60), ethertype=ethertype)


def test_arp_and_nd_of_a_queue_stay_on_the_queue(wv):
  from harness.wire import arp, solicitation
  wire = wv.q["crawl0"]
  before = len(wv.up.everything)
  wire.send_frame(arp(1, wire.mac, pk.packed(pk.V4.I1), "00:00:00:00:00:00", pk.packed(pk.V4.S), "ff:ff:ff:ff:ff:ff"))
  wire.send(solicitation(pk.packed(pk.V6.S), pk.packed(pk.V6.I1), wire.mac), dst="33:33:ff:00:02:00")
  wv.silence(0.1)
  mine = (pk.packed(pk.V4.I1), pk.packed(pk.V6.I1))
  assert not [f for f in wv.up.everything[before:] if any(m in f.raw for m in mine)]
