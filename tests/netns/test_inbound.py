# SPDX-License-Identifier: BSD-3-Clause
"""Rule 1: to a service address and port that is configured, delivered to one of the service's queues, unchanged from
the IP header up (TTL too); the same flow always to the same queue while that queue lives."""

import struct

import golden
import pytest
from harness import packets as pk
from harness.world import World, changed, service, standard_config

DNS = ("dns0", "dns1")


def test_ANY_01_udp_is_delivered_unchanged(w, ip):
  w.deliver(pk.udp(ip.C, ip.VIP, w.l4port(), 53, tos=0xB8, ttl=37), *DNS)


def test_ANY_01_tcp_is_delivered_unchanged(w, ip):
  w.deliver(pk.tcp(ip.C, ip.VIPB, w.l4port(), 443, l4={"options": [("MSS", 1460), ("WScale", 7)]}), "web0")


def test_ANY_01_ethernet_goes_to_the_local_program(w, ip):
  sport = w.l4port()
  w.up.send(pk.udp(ip.C, ip.VIP, sport, 53))
  where, _ = w.arrives(*DNS)[0]
  frame = w.q[where].frames()[0]
  assert frame.dst == w.q[where].mac and frame.src == w.q[where].peer


def test_ANY_01_several_addresses_and_ranges(w, ip):
  for l4port in (8000, 8005, 8009):
    w.deliver(pk.tcp(ip.C, ip.VIPB, w.l4port(), l4port), "web0")
  for l4port in (7999, 8010):
    sport = w.l4port()
    with w.drops(1, "svc_miss", silent=False):
      w.up.send(pk.tcp(ip.C, ip.VIPB, sport, l4port))


def test_ANY_02_udp_and_tcp_are_different_services(w, ip):
  sport = w.l4port()
  w.deliver(pk.udp(ip.C, ip.VIPB, sport, 443), "web0")
  with w.drops(1, "svc_miss", silent=False):
    w.up.send(pk.udp(ip.C, ip.VIPB, sport, 8001))
  w.deliver(pk.tcp(ip.C, ip.VIPB, sport, 8001), "web0")


def test_ANY_03_flows_keep_their_queue_and_order(w, ip):
  flows, rounds, base = 60, 12, w.l4port(60)
  w.up.send_all([pk.udp(ip.C, ip.VIP, base + f, 53, payload=struct.pack("!HH", f, r))
                 for r in range(rounds) for f in range(flows)])
  got = w.collect(DNS, flows * rounds)
  assert len(got) == flows * rounds
  homes, order = {}, {}
  for where, p in got:
    f, r = struct.unpack("!HH", p.payload)
    homes.setdefault(f, set()).add(where)
    order.setdefault(f, []).append(r)
  assert all(len(h) == 1 for h in homes.values()), "a flow on two queues"
  assert all(o == sorted(o) for o in order.values()), "a flow out of order"
  assert {q for h in homes.values() for q in h} == set(DNS), "60 flows on one queue of two"


def test_ANY_04_flow_label_is_no_affinity_input(w):
  ip, sport = pk.V6, w.l4port()
  homes = {w.deliver(pk.udp(ip.C, ip.VIP, sport, 53, flow_label=label), *DNS) for label in range(0, 0xFFFFF, 0x11111)}
  assert len(homes) == 1


def test_ANY_14_mid_stream_is_delivered(w, ip):
  w.deliver(pk.tcp(ip.C, ip.VIPB, w.l4port(), 443, flags="A", seq=77, ack=88, payload=b"x"), "web0")
  w.deliver(pk.tcp(ip.C, ip.VIPB, w.l4port(), 443, flags="R", seq=77), "web0")
  w.deliver(pk.tcp(ip.C, ip.VIPB, w.l4port(), 443, flags="FA", seq=77, ack=2), "web0")


@pytest.mark.parametrize("ttl", [0, 1, 2, 255])
def test_IPH_03_ttl_is_ignored_and_kept(w, ip, ttl):
  w.deliver(pk.udp(ip.C, ip.VIP, w.l4port(), 53, ttl=ttl), *DNS)


def test_ANY_20_traceroute_ends_here(w, ip):
  sport = w.l4port()
  with w.drops(1, "svc_miss", silent=False):
    w.up.send(pk.udp(ip.C, ip.VIP, sport, 33434, ttl=1))
  p = w.one("up")
  assert (p.src, p.dst, p.kind, p.code) == (ip.VIP, ip.C, *((3, 3) if ip.v == 4 else (1, 4)))
  w.reset()
  w.up.send(pk.echo(ip.C, ip.VIP, 9, ttl=1))
  assert w.one("up").kind == (0 if ip.v == 4 else 129)
  w.deliver(pk.tcp(ip.C, ip.VIPB, w.l4port(), 443, ttl=1), "web0")


def test_IPH_07_dscp_and_ecn_are_kept(w, ip):
  sport = w.l4port()
  w.up.send_all([pk.udp(ip.C, ip.VIP, sport, 53, tos=tos) for tos in range(256)])
  got = w.collect(DNS, 256)
  assert [p.tos for _, p in got] == list(range(256))


def test_IPH_06_reserved_bit_and_ID_are_kept(w):
  ip = pk.V4
  w.deliver(pk.udp(ip.C, ip.VIP, w.l4port(), 53, flags="evil+DF", id=0x7777), *DNS)


def test_IPH_09_l4_is_found_by_ihl(w):
  ip = pk.V4
  from scapy.layers.inet import IPOption
  w.deliver(pk.udp(ip.C, ip.VIP, w.l4port(), 53, options=[IPOption(b"\x01" * 40)]), *DNS)


def test_IPH_02_a_trailer_of_the_frame_is_no_payload(w, ip):
  l3 = pk.udp(ip.C, ip.VIP, w.l4port(), 53, payload=b"q")
  w.up.send_frame(w.up.frame(l3) + b"\xee" * 18)
  where, p = w.arrives(*DNS)[0]
  assert p.raw == l3
  assert b"\xee" not in w.q[where].frames()[0].raw[14 + len(l3):]


def test_UDP_05_empty_payload_is_valid(w, ip):
  w.deliver(pk.udp(ip.C, ip.VIP, w.l4port(), 53, payload=b""), *DNS)


def test_UDP_06_udp_length_below_the_ip_payload_keeps_the_surplus(w, ip):
  w.deliver(pk.udp(ip.C, ip.VIP, w.l4port(), 53, payload=b"x" * 32, l4={"len": 12}), *DNS)


def test_UDP_06_udp_length_beyond_the_ip_payload_is_dropped(w, ip):
  l3 = pk.udp(ip.C, ip.VIP, w.l4port(), 53, payload=b"x" * 32, l4={"len": 400})
  with w.drops(1, "udp_len"):
    w.up.send(l3)


def test_UDP_03_v6_zero_checksum_is_dropped_at_a_service(w):
  ip = pk.V6
  with w.drops(1, "udp6_zero"):
    w.up.send(pk.udp(ip.C, ip.VIP, w.l4port(), 53, l4={"chksum": 0}))


def test_UDP_01_v4_zero_checksum_is_delivered_as_zero(w):
  ip = pk.V4
  w.deliver(pk.udp(ip.C, ip.VIP, w.l4port(), 53, l4={"chksum": 0}), *DNS)


def test_UDP_03_a_flow_that_exists_makes_no_difference(w):
  ip, sport = pk.V6, w.l4port()
  w.deliver(pk.udp(ip.C, ip.VIP, sport, 53), *DNS)
  with w.drops(1, "udp6_zero"):
    w.up.send(pk.udp(ip.C, ip.VIP, sport, 53, l4={"chksum": 0}))


def test_UDP_09_port_zero_is_dropped(w, ip):
  with w.drops(2, "port_zero"):
    w.up.send(pk.udp(ip.C, ip.VIP, 0, 53))
    w.up.send(pk.udp(ip.C, ip.VIP, w.l4port(), 0))


def test_ANY_17_other_udp_port_is_rejected_as_a_host_would(w, ip):
  l3 = pk.udp(ip.C, ip.VIP, w.l4port(), 9, payload=b"z" * 30)
  with w.drops(1, "svc_miss", silent=False):
    before = w.counters()
    w.up.send(l3)
  assert w.counters()["generated"] == before["generated"] + 1
  p = w.one("up")
  assert (p.src, p.dst, p.kind, p.code) == (ip.VIP, ip.C, *((3, 3) if ip.v == 4 else (1, 4)))
  assert pk.l4_ok(p.raw) and pk.ip_ok(p.raw) and l3.startswith(p.l4[8:][:len(l3)])
  assert len(p.l4) - 8 >= 28


def test_ANY_17_other_tcp_port_is_reset(w, ip):
  sport = w.l4port()
  with w.drops(1, "svc_miss", silent=False):
    w.up.send(pk.tcp(ip.C, ip.VIP, sport, 81, seq=0x01020304))
  p = w.one("up")
  assert (p.src, p.sport, p.dst, p.dport, set(p.flags)) == (ip.VIP, 81, ip.C, sport, set("RA"))
  assert struct.unpack("!II", p.l4[4:12]) == (0, 0x01020305) and pk.l4_ok(p.raw) and pk.ip_ok(p.raw)


def test_ANY_17_an_ack_is_answered_by_a_reset_without_ack(w, ip):
  """RFC 9293, 3.10.7.1: <SEQ=SEG.ACK><CTL=RST>; a reset is never answered."""
  sport = w.l4port()
  with w.drops(1, "svc_miss", silent=False):
    w.up.send(pk.tcp(ip.C, ip.VIP, sport, 81, flags="A", seq=5, ack=0x0A0B0C0D))
  p = w.one("up")
  assert p.flags == "R" and struct.unpack("!I", p.l4[4:8])[0] == 0x0A0B0C0D
  with w.drops(1, "svc_miss"):
    w.up.send(pk.tcp(ip.C, ip.VIP, sport, 82, flags="R", seq=5))


def test_ANY_17_silent_service_says_nothing(w, ip):
  with w.drops(2, "svc_miss"):
    w.up.send(pk.udp(ip.C, ip.VIPD, w.l4port(), 9))
    w.up.send(pk.tcp(ip.C, ip.VIPD, w.l4port(), 81))


def test_ANY_17_answers_are_rate_limited_the_counter_is_not(w, ip):
  n, base = 1500, w.l4port(1500)
  with w.drops(n, "svc_miss", silent=False):
    w.up.send_all([pk.udp(ip.C, ip.VIP, base + i, 9) for i in range(n)])
  answers = len(w.up.packets())
  assert 1 <= answers < n, f"{answers} answers to {n} packets: no limit"


def test_ANY_18_echo_is_answered_from_the_service_address(w, ip):
  request = pk.echo(ip.C, ip.VIP, 0x77, 3, payload=bytes(range(256)) * 5 + b"x" * 120)
  w.up.send(request)
  p = w.one("up")
  assert (p.src, p.dst, p.ttl) == (ip.VIP, ip.C, 64) and pk.l4_ok(p.raw) and pk.ip_ok(p.raw)
  assert p.kind == (0 if ip.v == 4 else 129) and p.l4[4:] == pk.parse(request).l4[4:]


def test_ANY_18_golden_G13(w):
  w.up.send(golden.ECHO_TO_SERVICE.into)
  assert w.one("up").raw == golden.ECHO_TO_SERVICE.out


def test_ANY_18_echo_is_accounted_as_consumed_and_generated(w, ip):
  before = w.counters()
  w.up.send(pk.echo(ip.C, ip.VIP, 0x78))
  w.one("up")
  moved = w.counters().since(before)
  assert moved["generated"] == 1 and moved["consumed"] == 1


def test_ANY_18_icmp_in_ports_sends_echo_to_the_service(w, ip):
  request = pk.echo(ip.C, ip.VIPC, 0x99, payload=b"to the program")
  w.deliver(request, "vip0")
  answer = pk.echo(ip.VIPC, ip.C, 0x99, payload=b"to the program", reply=True)
  w.reset()
  w.q["vip0"].send(answer)
  assert w.one("up").raw == answer


def test_ANY_28_other_icmp_to_a_service_address_is_dropped(w, ip):
  kinds = (13, 15, 17, 10) if ip.v == 4 else (200, 139, 140, 144)
  with w.drops(len(kinds), "icmp_type"):
    for kind in kinds:
      w.up.send(pk.icmp(ip.C, ip.VIP, kind, 0, body=b"x" * 12))


def test_ANY_25_service_addresses_are_not_answered_for_on_the_link(w, ip):
  assert w.up.ask(ip.VIP, ip.GW, timeout=0.6, tries=2) is None


def test_ANY_25_nor_are_those_that_the_kernel_has_on_its_loopback(w, ip):
  w.n.ip("addr", "add", f"{ip.VIPC}/{ip.full}", "dev", "lo", *(["nodad"] if ip.v == 6 else []))
  try:
    assert w.up.ask(ip.VIPC, ip.GW, timeout=0.6, tries=2) is None
    assert w.up.ask(ip.U, ip.GW) is not None
  finally:
    w.n.ip("addr", "del", f"{ip.VIPC}/{ip.full}", "dev", "lo")


def test_ANY_16_own_sources_from_the_wire_are_dropped(w, ip):
  for source in (ip.VIPC, ip.VIPB, ip.U):
    with w.drops(1, "spoof_own_src"):
      w.up.send(pk.udp(source, ip.VIP, 1053, 53))
  with w.drops(1, "spoof_own_src"):
    w.up.send(pk.udp(ip.VIPB, ip.U, 443, 5000))


def test_OTH_05_other_protocols_to_a_service_address(w, ip):
  """A protocol-unreachable (v6: parameter problem, next header) from the service address, or silence; counted once."""
  with w.drops(1, silent=False):
    w.up.send(pk.with_l4(ip.C, ip.VIP, 253, b"\0" * 24))
  for p in w.up.packets():
    assert (p.src, p.kind, p.code) == (ip.VIP, *((3, 2) if ip.v == 4 else (4, 1)))


@pytest.fixture(scope="module")
def client_affinity():
  def edit(c):
    service(c, "dns").update(affinity="client", ports=["udp/53", "tcp/53", "udp/5300-5309"])
  with World(changed(standard_config(queues=("dns0", "dns1")), edit)) as node:
    yield node


def test_affinity_client_keeps_a_client_on_one_queue(client_affinity, ip):
  w, used = client_affinity, set()
  prefix = "192.0.2." if ip.v == 4 else "2001:db8:c::"
  for host in range(1, 41):
    client = prefix + str(host)
    w.reset()
    for i in range(5):
      w.up.send(pk.l4_packet("tcp" if i % 2 else "udp", client, ip.VIP, w.l4port(), 53))
    w.up.send(pk.udp(client, ip.VIP, w.l4port(), 5304))
    homes = {where for where, _ in w.arrives(*DNS, n=6)}
    assert len(homes) == 1, f"{client} on {homes}"
    used |= homes
  assert used == set(DNS), "40 clients on one queue of two"
