# SPDX-License-Identifier: BSD-3-Clause
"""Rules 3 and 4: from a queue, anything else leaves with the unicast address and a port of `egress.ports`, as it is, or
not at all; what comes back to a live mapping is translated back and delivered to the queue that originated it."""

import pytest
from harness import packets as pk
from harness.reference import translate
from test_replies import leaves_translated, leaves_unchanged


def comes_back(w, queue_name, l3, to, l4port):
  """From the uplink to the unicast address, translated back to `to`:`l4port`, nothing else changed."""
  w.reset()
  w.up.send(l3)
  p = w.one(queue_name)
  assert p.raw == translate(l3, dst=to, dport=l4port), f"came back as\n{p.raw.hex()}"


def mapping(w, queue_name, proto, src, dst, dport, sport=None):
  """Opens a flow; returns (its own port, the port on the wire)."""
  sport = sport or w.l4port()
  ip = pk.V6 if ":" in dst else pk.V4
  return sport, leaves_translated(w, queue_name, pk.l4_packet(proto, src, dst, sport, dport), ip)


def test_ANY_07_a_service_address_as_source_of_a_request(w, ip):
  """The project's reason to exist: the answer would otherwise go to another node."""
  sport, p = mapping(w, "dns0", "tcp", ip.VIP, ip.S, 443)
  comes_back(w, "dns0", pk.tcp(ip.S, ip.U, 443, p, flags="SA", seq=5, ack=1001), ip.VIP, sport)
  assert leaves_translated(w, "dns0", pk.tcp(ip.VIP, ip.S, sport, 443, flags="A", seq=1001, ack=6), ip) == p
  assert leaves_translated(w, "dns0", pk.tcp(ip.VIP, ip.S, sport, 443, flags="PA", seq=1001, ack=6, payload=b"GET"),
                           ip) == p
  comes_back(w, "dns0", pk.tcp(ip.S, ip.U, 443, p, flags="PA", seq=6, ack=1004, payload=b"z" * 900), ip.VIP, sport)


@pytest.mark.parametrize("proto", ["udp", "tcp"])
def test_ANY_08_ANY_10_internal_sources_out_and_back(w, ip, proto):
  sport, p = mapping(w, "crawl0", proto, ip.I1, ip.S, 53)
  comes_back(w, "crawl0", pk.l4_packet(proto, ip.S, ip.U, 53, p, **({"flags": "SA"} if proto == "tcp" else {})),
             ip.I1, sport)


def test_ANY_08_the_unicast_address_itself_is_an_originators_too(w, ip):
  sport, p = mapping(w, "crawl0", "udp", ip.U, ip.S, 53)
  comes_back(w, "crawl0", pk.udp(ip.S, ip.U, 53, p), ip.U, sport)


def test_ANY_10_answers_come_to_the_queue_that_asked(w, ip):
  """Two queues use one address and port towards one remote."""
  sport = w.l4port()
  ports = {q: mapping(w, q, "udp", ip.I1, ip.S, 53, sport)[1] for q in ("dns0", "dns1", "web0", "crawl0")}
  assert len(set(ports.values())) == 4
  for q, p in ports.items():
    comes_back(w, q, pk.udp(ip.S, ip.U, 53, p), ip.I1, sport)


def test_MAP_02_no_overloading(w, ip):
  sport = w.l4port()
  a = mapping(w, "crawl0", "udp", ip.I1, ip.S, 53, sport)[1]
  b = mapping(w, "crawl0", "udp", ip.I2, ip.S, 53, sport)[1]
  assert a != b
  comes_back(w, "crawl0", pk.udp(ip.S, ip.U, 53, a), ip.I1, sport)
  comes_back(w, "crawl0", pk.udp(ip.S, ip.U, 53, b), ip.I2, sport)


def test_MAP_05_protocols_are_independent(w, ip):
  _, p = mapping(w, "crawl0", "tcp", ip.I1, ip.S, 53)
  with w.drops(1, "nat_filtered"):
    w.up.send(pk.udp(ip.S, ip.U, 53, p))


def test_MAP_07_ports_are_of_the_configured_range(w, ip):
  """`auto`: 1024-65535 less the kernel's ephemeral range (32768-60999 here)."""
  seen = set()
  for _ in range(4):
    base = w.l4port(100)
    w.reset()
    w.q["crawl0"].send_all([pk.udp(ip.I1, ip.S2, base + i, 53) for i in range(100)])
    seen |= {p.sport for _, p in w.arrives("up", n=100)}
  assert not {p for p in seen if p < 1024 or 32768 <= p <= 60999}, "ports outside the range"
  assert len(seen) == 400


def test_MAP_08_ports_are_no_sequence(w, ip):
  base = w.l4port(200)
  w.q["crawl0"].send_all([pk.udp(ip.I1, ip.S2, base + i, 54) for i in range(200)])
  ports = [p.sport for _, p in w.arrives("up", n=200)]
  steps = [b - a for a, b in zip(ports, ports[1:])]
  assert max(steps.count(s) for s in set(steps)) < 40, "the step from one port to the next is predictable"


def test_ICQ_01_echo_out_and_back(w, ip):
  request = pk.echo(ip.I1, ip.S, 0x77, payload=b"ping" * 20)
  p = w.originate("crawl0", request)
  assert p.src == ip.U and p.raw == translate(request, src=ip.U, sport=p.ident)
  comes_back(w, "crawl0", pk.echo(ip.S, ip.U, p.ident, payload=b"ping" * 20, reply=True), ip.I1, 0x77)


def test_ICQ_03_echo_ids_do_not_clash(w, ip):
  ids = {source: w.originate("crawl0", pk.echo(source, ip.S2, 0x78)).ident for source in (ip.I1, ip.I2)}
  assert len(set(ids.values())) == 2
  for source, ident in ids.items():
    comes_back(w, "crawl0", pk.echo(ip.S2, ip.U, ident, reply=True), source, 0x78)


def test_MAP_21_everything_else_is_kept(w, ip):
  fields = {"id": 0x1234, "ip_flags": "evil+DF"} if ip.v == 4 else {"flow_label": 0xABCDE}
  l3 = pk.tcp(ip.I1, ip.S, w.l4port(), 443, flags="SEC", seq=0xFFFFFFFF, tos=0xFF, ttl=1, payload=b"fast open",
              l4={"options": [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 0)), ("WScale", 7)], "urgptr": 9,
                  "reserved": 5}, **fields)
  leaves_translated(w, "crawl0", l3, ip)


def test_TCP_02_simultaneous_open(w, ip):
  sport, p = mapping(w, "crawl0", "tcp", ip.I1, ip.S, 7001)
  comes_back(w, "crawl0", pk.tcp(ip.S, ip.U, 7001, p, flags="S", seq=9), ip.I1, sport)
  assert leaves_translated(w, "crawl0", pk.tcp(ip.I1, ip.S, sport, 7001, flags="SA", seq=1000, ack=10), ip) == p
  comes_back(w, "crawl0", pk.tcp(ip.S, ip.U, 7001, p, flags="SA", seq=9, ack=1001), ip.I1, sport)


def test_TCP_03_a_repeated_syn_keeps_its_port(w, ip):
  sport = w.l4port()
  assert len({mapping(w, "crawl0", "tcp", ip.I1, ip.S, 443, sport)[1] for _ in range(5)}) == 1


def established(w, ip, queue_name="crawl0"):
  sport, p = mapping(w, queue_name, "tcp", ip.I1, ip.S, 443)
  comes_back(w, queue_name, pk.tcp(ip.S, ip.U, 443, p, flags="SA", seq=5, ack=1001), ip.I1, sport)
  assert leaves_translated(w, queue_name, pk.tcp(ip.I1, ip.S, sport, 443, flags="A", seq=1001, ack=6), ip) == p
  return sport, p


def test_TCP_05_no_window_is_enforced(w, ip):
  sport, p = established(w, ip)
  comes_back(w, "crawl0", pk.tcp(ip.S, ip.U, 443, p, flags="A", seq=6 + 2**30, ack=1, payload=b"far"), ip.I1, sport)
  assert leaves_translated(w, "crawl0", pk.tcp(ip.I1, ip.S, sport, 443, flags="A", seq=2**31, ack=6), ip) == p


def test_TCP_06_TCP_07_after_a_reset_both_ways_stay_open(w, ip):
  sport, p = established(w, ip)
  comes_back(w, "crawl0", pk.tcp(ip.S, ip.U, 443, p, flags="R", seq=99999), ip.I1, sport)
  assert leaves_translated(w, "crawl0", pk.tcp(ip.I1, ip.S, sport, 443, flags="A", seq=1001, ack=6), ip) == p
  comes_back(w, "crawl0", pk.tcp(ip.S, ip.U, 443, p, flags="PA", seq=6, ack=1001, payload=b"on"), ip.I1, sport)


def test_TCP_08_no_flow_without_a_syn(w, ip):
  with w.drops(3, "nat_tcp_nosyn", silent=False):
    for flags in ("A", "FA", "PA"):
      w.q["crawl0"].send(pk.tcp(ip.I1, ip.S, w.l4port(), 443, flags=flags, ack=1))
  assert not w.up.packets()


def test_TCP_12_impossible_flags_do_not_leave(w, ip):
  with w.drops(4, "tcp_flags", silent=False):
    for flags in ("", "SF", "SR", "FSRPAU"):
      w.q["crawl0"].send(pk.tcp(ip.I1, ip.S, w.l4port(), 443, flags=flags))
  assert not w.up.packets()


def test_TCP_14_a_closed_flow_can_be_opened_again(w, ip):
  sport, p = established(w, ip)
  leaves_translated(w, "crawl0", pk.tcp(ip.I1, ip.S, sport, 443, flags="FA", seq=1001, ack=6), ip)
  comes_back(w, "crawl0", pk.tcp(ip.S, ip.U, 443, p, flags="FA", seq=6, ack=1002), ip.I1, sport)
  leaves_translated(w, "crawl0", pk.tcp(ip.I1, ip.S, sport, 443, flags="A", seq=1002, ack=7), ip)
  again, q = mapping(w, "crawl0", "tcp", ip.I1, ip.S, 443, sport)
  comes_back(w, "crawl0", pk.tcp(ip.S, ip.U, 443, q, flags="SA", seq=50, ack=1001), ip.I1, again)


# -- policies ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("proto", ["udp", "tcp"])
def test_policy_vip_leaves_as_it_is_and_the_answer_comes_back(w, ip, proto):
  sport = w.l4port()
  leaves_unchanged(w, "vip0", pk.l4_packet(proto, ip.VIPC, ip.S, sport, 80))
  w.reset()
  answer = pk.l4_packet(proto, ip.S, ip.VIPC, 80, sport, **({"flags": "SA"} if proto == "tcp" else {}))
  w.up.send(answer)
  assert w.one("vip0").raw == answer


def test_policy_vip_echo(w, ip):
  leaves_unchanged(w, "vip0", pk.echo(ip.VIPC, ip.S, 0x4444))
  w.reset()
  answer = pk.echo(ip.S, ip.VIPC, 0x4444, reply=True)
  w.up.send(answer)
  assert w.one("vip0").raw == answer


def test_policy_vip_lets_out_its_own_service_addresses_and_nothing_else(w, ip):
  for source in (ip.VIP, ip.VIPB, ip.I1, ip.S2):
    with w.drops(1, silent=False):
      w.q["vip0"].send(pk.udp(source, ip.S, w.l4port(), 80))
    assert not w.up.packets(), f"{source} left"


def test_policy_deny_lets_nothing_out(w, ip):
  for source in (ip.VIPD, ip.I1, ip.U, ip.VIP):
    for l3 in (pk.udp(source, ip.S, w.l4port(), 80), pk.tcp(source, ip.S, w.l4port(), 80), pk.echo(source, ip.S, 5)):
      with w.drops(1, silent=False):
        w.q["deny0"].send(l3)
      assert not w.up.packets(), f"{source} left"
      for p in w.q["deny0"].packets():    # ICE-24: administratively prohibited, or nothing
        assert (p.kind, p.code) == ((3, 13) if ip.v == 4 else (1, 1))


@pytest.mark.parametrize("source", ["127.0.0.1", "169.254.1.1", "224.0.0.5", "0.0.0.0", "255.255.255.255", "::1", "::",
                                    "fe80::77", "ff02::1"])
def test_sources_that_are_never_translated(w, source):
  ip = pk.V6 if ":" in source else pk.V4
  for q in ("crawl0", "vip0"):
    with w.drops(1):
      w.q[q].send(pk.udp(source, ip.S, w.l4port(), 80))


# -- direct ------------------------------------------------------------------------------------------------------


def test_MAP_17_direct_is_never_translated(w, ip):
  leaves_unchanged(w, "crawl0", pk.udp(ip.U, ip.D, w.l4port(), 80))
  leaves_unchanged(w, "crawl0", pk.tcp(ip.U, ip.D, w.l4port(), 80))


def test_MAP_17_direct_only_from_the_unicast_address(w, ip):
  for source in (ip.I1, ip.VIP):
    with w.drops(1, silent=False):
      w.q["crawl0"].send(pk.udp(source, ip.D, w.l4port(), 80))
    assert not w.up.packets(), f"{source} left"


# -- filtering ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("proto", ["udp", "tcp"])
def test_FLT_01_only_the_remote_of_the_mapping_gets_in(w, ip, proto):
  sport, p = mapping(w, "crawl0", proto, ip.I1, ip.S, 53)
  flags = {"flags": "SA"} if proto == "tcp" else {}
  with w.drops(2, "nat_filtered"):
    w.up.send(pk.l4_packet(proto, ip.S, ip.U, 54, p, **flags))
    w.up.send(pk.l4_packet(proto, ip.S2, ip.U, 53, p, **flags))
  comes_back(w, "crawl0", pk.l4_packet(proto, ip.S, ip.U, 53, p, **flags), ip.I1, sport)


def test_FLT_04_FLT_06_unsolicited_to_the_egress_range_is_silence(w, ip):
  """Rule 4: TCP or UDP to a port of egress.ports without a mapping: dropped, silently, never to the kernel."""
  ports = (1024, 5000, 32767, 61000, 65535)
  with w.drops(4 * len(ports), "nat_filtered"):
    for p in ports:
      for l3 in (pk.udp(ip.S, ip.U, 1, p), *(pk.tcp(ip.S, ip.U, 1, p, flags=f) for f in ("S", "A", "R"))):
        w.up.send(l3)


def test_FLT_05_inbound_never_makes_a_mapping(w, ip):
  before = w.flow_count()
  n = 3000
  with w.drops(n, "nat_filtered"):
    w.up.send_all([pk.l4_packet("tcp" if i % 2 else "udp", ip.S, ip.U, 80, 1100 + i) for i in range(n)])
  assert w.flow_count() <= before


def test_FLT_01_live_mappings_survive_a_scan(w, ip):
  sport, p = mapping(w, "crawl0", "udp", ip.I1, ip.S, 53)
  w.up.send_all([pk.udp(ip.S2, ip.U, 80, 2000 + i) for i in range(1000)])
  comes_back(w, "crawl0", pk.udp(ip.S, ip.U, 53, p), ip.I1, sport)
  assert mapping(w, "crawl0", "udp", ip.I1, ip.S, 53, sport)[1] == p
