# SPDX-License-Identifier: BSD-3-Clause
"""Rule 2: from a queue, a reply leaves with the service address as source, unchanged from the IP header up. What a
reply is: `replies: tuple` (its own endpoint as source, unless a bare SYN) or `tracked` (inside a tracked flow)."""

import pytest
from harness import packets as pk
from harness.reference import translate
from harness.world import World, changed, service, standard_config


def leaves_unchanged(w, queue_name, l3):
  w.reset()
  w.q[queue_name].send(l3)
  p = w.one("up")
  assert p.raw == l3, f"changed on the way out:\n{l3.hex()}\n{p.raw.hex()}"
  return p


def leaves_translated(w, queue_name, l3, ip):
  """The source is the unicast address and a port of the egress range; nothing else changed."""
  before = pk.parse(l3)
  p = w.originate(queue_name, l3)
  assert p.src == ip.U and 1024 <= p.sport <= 65535, p
  assert p.raw == translate(l3, src=ip.U, sport=p.sport), f"{before!r} left as\n{p.raw.hex()}"
  return p.sport


def test_ANY_05_a_reply_is_byte_identical(w, ip):
  sport = w.l4port()
  home = w.deliver(pk.udp(ip.C, ip.VIP, sport, 53), "dns0", "dns1")
  fields = {"id": 0x7777, "flags": "DF"} if ip.v == 4 else {"flow_label": 0xABCDE}
  leaves_unchanged(w, home, pk.udp(ip.VIP, ip.C, 53, sport, payload=b"answer", tos=0x2E, ttl=64, **fields))


def test_ANY_05_the_link_header_is_the_gateways(w, ip):
  w.q["web0"].send(pk.tcp(ip.VIPB, ip.C, 443, w.l4port(), flags="SA"))
  w.one("up")
  frame = w.up.frames()[0]
  assert (frame.dst, frame.src) == (w.up.mac, w.up.peer)


def test_ANY_06_a_reply_needs_no_state(w, ip):
  for flags in ("A", "PA", "SA", "FA", "R", "RA"):
    leaves_unchanged(w, "web0", pk.tcp(ip.VIPB, ip.C, 443, w.l4port(), flags=flags, ack=1))
  leaves_unchanged(w, "dns0", pk.udp(ip.VIP, ip.C, 53, w.l4port()))


def test_ANY_06_a_bare_syn_from_a_service_endpoint_follows_originate(w, ip):
  leaves_translated(w, "web0", pk.tcp(ip.VIPB, ip.S, 443, w.l4port(), flags="S"), ip)
  leaves_unchanged(w, "vip0", pk.tcp(ip.VIPC, ip.S, 443, w.l4port(), flags="S"))
  with w.drops(1, silent=False):
    w.q["deny0"].send(pk.tcp(ip.VIPD, ip.S, 443, w.l4port(), flags="S"))
  assert not w.up.packets()


def test_ANY_05_a_handshake_and_data(w, ip):
  sport = w.l4port()
  w.deliver(pk.tcp(ip.C, ip.VIPB, sport, 443, seq=9), "web0")
  leaves_unchanged(w, "web0", pk.tcp(ip.VIPB, ip.C, 443, sport, flags="SA", seq=70, ack=10))
  w.deliver(pk.tcp(ip.C, ip.VIPB, sport, 443, flags="A", seq=10, ack=71), "web0")
  w.deliver(pk.tcp(ip.C, ip.VIPB, sport, 443, flags="PA", seq=10, ack=71, payload=b"GET"), "web0")
  leaves_unchanged(w, "web0", pk.tcp(ip.VIPB, ip.C, 443, sport, flags="PA", seq=71, ack=13, payload=b"200" * 400))
  leaves_unchanged(w, "web0", pk.tcp(ip.VIPB, ip.C, 443, sport, flags="FA", seq=1271, ack=13))


def test_ANY_05_deny_does_not_touch_replies(w, ip):
  sport = w.l4port()
  w.deliver(pk.udp(ip.C, ip.VIPD, sport, 53), "deny0")
  leaves_unchanged(w, "deny0", pk.udp(ip.VIPD, ip.C, 53, sport))


def test_ANY_05_another_queue_of_the_service_may_answer(w, ip):
  sport = w.l4port()
  home = w.deliver(pk.udp(ip.C, ip.VIP, sport, 53), "dns0", "dns1")
  leaves_unchanged(w, "dns1" if home == "dns0" else "dns0", pk.udp(ip.VIP, ip.C, 53, sport))


def test_ANY_06_anothers_endpoint_is_no_reply(w, ip):
  """Any source that a queue uses, its services' or not, is an originator's."""
  leaves_translated(w, "crawl0", pk.udp(ip.VIP, ip.S, 53, w.l4port()), ip)
  leaves_translated(w, "dns0", pk.udp(ip.VIPB, ip.S, 443, w.l4port()), ip)


def test_ANY_05_replies_with_options_and_bad_checksums_stay_as_they_are(w, ip):
  good = pk.udp(ip.VIP, ip.C, 53, w.l4port(), payload=b"x" * 33)
  leaves_unchanged(w, "dns0", good[:-1] + b"y")
  leaves_unchanged(w, "dns0", pk.udp(ip.VIP, ip.C, 53, w.l4port(), payload=b"x" * 32, l4={"len": 12}))
  leaves_unchanged(w, "dns0", pk.udp(ip.VIP, ip.C, 53, w.l4port(), payload=b""))


def test_ANY_05_an_error_about_an_inbound_packet_leaves_from_the_service_address(w, ip):
  request = pk.udp(ip.C, ip.VIPB, w.l4port(), 443)
  w.deliver(request, "web0")
  error = pk.icmp(ip.VIPB, ip.C, *((3, 3) if ip.v == 4 else (1, 4)), body=request)
  leaves_unchanged(w, "web0", error)


@pytest.fixture(scope="module")
def tracked():
  def edit(c):
    service(c, "dns").update(replies="tracked")
    c["services"].append({"name": "dns2", "addresses": [pk.V4.VIPD, pk.V6.VIPD], "ports": ["udp/53"],
                          "queues": ["dns0", "dns1"]})
  with World(changed(standard_config(queues=("dns0", "dns1")), edit)) as node:
    yield node


def test_tracked_inside_a_flow_is_a_reply(tracked, ip):
  sport = tracked.l4port()
  home = tracked.deliver(pk.udp(ip.C, ip.VIP, sport, 53), "dns0", "dns1")
  leaves_unchanged(tracked, home, pk.udp(ip.VIP, ip.C, 53, sport))


def test_tracked_outside_a_flow_is_originated(tracked, ip):
  sport = tracked.l4port()
  leaves_translated(tracked, "dns0", pk.udp(ip.VIP, ip.C, 53, sport), ip)
  tracked.deliver(pk.udp(ip.C, ip.VIP, sport + 1, 53), "dns0", "dns1")
  leaves_translated(tracked, "dns0", pk.udp(ip.VIP, ip.S, 53, tracked.l4port(2)), ip)


def test_UDP_08_the_source_of_a_reply_is_the_address_that_was_asked(tracked, ip):
  sport = tracked.l4port()
  home = tracked.deliver(pk.udp(ip.C, ip.VIPD, sport, 53), "dns0", "dns1")
  leaves_unchanged(tracked, home, pk.udp(ip.VIPD, ip.C, 53, sport))
