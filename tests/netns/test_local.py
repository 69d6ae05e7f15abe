# SPDX-License-Identifier: BSD-3-Clause
"""Rule 6: from a queue to a service address served here: delivered here, translated as in rule 3, so that the reply
finds its way back; nothing on the wire. And what godwit is to a local program: its router."""

import time

import pytest
from harness import packets as pk
from harness.netns import PATIENCE
from harness.reference import translate
from harness.wire import Wire


def short_circuit(w, source_queue, l3, target_queue, ip):
  """Sends from one queue, sees it at the other as from U:p, answers, and sees the answer come home. Returns p."""
  before = pk.parse(l3)
  w.reset()
  w.q[source_queue].send(l3)
  p = w.one(target_queue)
  assert p.src == ip.U and p.raw == translate(l3, src=ip.U, sport=p.sport)
  proto = "udp" if p.proto == pk.UDP_N else "tcp"
  answer = pk.l4_packet(proto, before.dst, ip.U, before.dport, p.sport, payload=b"here",
                        **({"flags": "SA"} if proto == "tcp" else {}))
  w.reset()
  w.q[target_queue].send(answer)
  home = w.one(source_queue)
  assert home.raw == translate(answer, dst=before.src, dport=before.sport)
  assert not w.up.packets()
  return p.sport


@pytest.mark.parametrize("proto", ["udp", "tcp"])
def test_ANY_15_short_circuit(w, ip, proto):
  short_circuit(w, "crawl0", pk.l4_packet(proto, ip.I1, ip.VIPB, w.l4port(), 443), "web0", ip)


def test_ANY_15_from_a_service_address(w, ip):
  short_circuit(w, "dns0", pk.tcp(ip.VIP, ip.VIPB, w.l4port(), 443), "web0", ip)


def test_ANY_15_a_whole_connection_keeps_its_port(w, ip):
  sport = w.l4port()
  p = short_circuit(w, "crawl0", pk.tcp(ip.I1, ip.VIPB, sport, 443), "web0", ip)
  for _ in range(3):
    l3 = pk.tcp(ip.I1, ip.VIPB, sport, 443, flags="PA", seq=1001, ack=1, payload=b"GET")
    w.reset()
    w.q["crawl0"].send(l3)
    assert w.one("web0").raw == translate(l3, src=ip.U, sport=p)


def test_ANY_15_its_own_service(w, ip):
  """The only queue of a service talks to that service: it gets its own packet, translated, and answers itself."""
  sport = w.l4port()
  w.q["web0"].send(pk.udp(ip.VIPB, ip.VIPB, sport, 443))
  p = w.one("web0")
  assert (p.src, p.dst, p.dport) == (ip.U, ip.VIPB, 443)


def test_ADV_43_the_same_endpoint_to_itself_is_delivered_once(w, ip):
  before = w.counters()
  w.q["web0"].send(pk.udp(ip.VIPB, ip.VIPB, 443, 443))
  w.collect(["web0"], 2, timeout=0.2)
  assert len(w.q["web0"].packets()) <= 1 and not w.up.packets()
  assert w.counters()["received"] - before["received"] <= 5, "it goes round"


def test_ANY_15_deny_does_not_touch_local_delivery(w, ip):
  short_circuit(w, "deny0", pk.udp(ip.VIPD, ip.VIPB, w.l4port(), 443), "web0", ip)


def test_ANY_15_vip_queues_too(w, ip):
  short_circuit(w, "vip0", pk.udp(ip.VIPC, ip.VIPB, w.l4port(), 443), "web0", ip)


def test_ANY_15_echo_to_a_service_address_served_here(w, ip):
  w.q["crawl0"].send(pk.echo(ip.I1, ip.VIP, 0x66))
  p = w.one("crawl0")
  assert (p.src, p.dst, p.ident) == (ip.VIP, ip.I1, 0x66) and p.kind == (0 if ip.v == 4 else 129)


def test_ANY_17_an_unmatched_port_is_rejected_to_the_queue(w, ip):
  l3 = pk.udp(ip.I1, ip.VIP, w.l4port(), 9)
  with w.drops(1, "svc_miss", silent=False):
    w.q["crawl0"].send(l3)
  p = w.one("crawl0")
  assert (p.src, p.dst, p.kind, p.code) == (ip.VIP, ip.I1, *((3, 3) if ip.v == 4 else (1, 4)))
  assert p.quote.src == ip.I1, "ICE-18: the quote is the packet as its sender knows it"


def test_ICE_09_an_error_of_the_short_circuited_server_comes_home(w, ip):
  l3 = pk.udp(ip.I1, ip.VIPB, w.l4port(), 443)
  w.q["crawl0"].send(l3)
  seen = w.one("web0")
  w.reset()
  w.q["web0"].send(pk.icmp(ip.VIPB, ip.U, *((3, 3) if ip.v == 4 else (1, 4)), body=seen.raw))
  p = w.one("crawl0")
  assert p.dst == ip.I1 and (p.quote.src, p.quote.sport) == (ip.I1, pk.parse(l3).sport) and pk.l4_ok(p.raw)


def test_HPN_01_from_a_queue_to_the_unicast_address(w, ip):
  """A mapping towards one remote is no way in for a local originator either."""
  sport = w.l4port()
  w.q["crawl0"].send(pk.udp(ip.I1, ip.S, sport, 53))
  p = w.one("up")
  w.reset()
  before = w.counters()
  w.q["dns0"].send(pk.udp(ip.I2, ip.U, sport, p.sport))
  assert not w.collect(["crawl0", "up"], 1, timeout=0.2)
  assert w.counters()["received"] - before["received"] <= 5, "it goes round"


# -- neighbours towards queues -----------------------------------------------------------------------------------


def test_rule_6_arp_and_nd_are_answered_for_any_address(w, ip):
  wire = w.q["crawl0"]
  known = {wire.ask(address, ip.I1) for address in (ip.S, ip.GW, ip.VIPB, ip.U, ip.R, ip.C)}
  assert known == {wire.peer}


def test_rule_6_the_far_end_is_asked_for(wv, ip):
  """Since the start: nobody told godwit where a local program is, it has asked."""
  wv.restart()
  wv.deliver(pk.udp(ip.C, ip.VIPB, wv.l4port(), 443), "web0")


def test_rule_6_a_new_mac_behind_a_queue_is_learned(wv, ip):
  wire = wv.q["web0"]
  old = wire.mac
  wv.deliver(pk.udp(ip.C, ip.VIPB, wv.l4port(), 443), "web0")
  try:
    wire.mac = "02:00:00:00:77:01"
    for address in (ip.VIPB, ip.I1):
      wire.ask(ip.S, address)    # as a restarted program does: its requests come from the new address
    sport = wv.l4port()
    for _ in range(40):
      wv.reset()
      wv.up.send(pk.udp(ip.C, ip.VIPB, sport, 443))
      wv.one("web0")
      if wire.frames()[0].dst == wire.mac:
        return
    raise AssertionError(f"still sent to {wire.frames()[0].dst}")
  finally:
    wire.mac = old
    wire.ask(ip.S, ip.VIPB)
    wire.ask(ip.S, ip.I1)


def test_rule_6_an_unresolved_program_costs_its_own_packets_only(wv, ip):
  wv.learn = False    # nothing is said on the queues: what godwit knows, it has asked for
  wv.restart()
  wv.learn = True
  mute = wv.q["web0"]
  mute.hosts = {}
  wv.up.peer = wv.up.ask(pk.V4.U, pk.V4.GW)
  wv.up.send_all([pk.udp(ip.C, ip.VIPB, wv.l4port(), 443) for _ in range(100)])
  sport = wv.l4port()
  for _ in range(30):
    wv.up.send(pk.udp(ip.C, ip.VIP, sport, 53))
    if wv.collect(["dns0", "dns1"], 1, timeout=0.1):
      break
  assert wv.q["dns0"].packets() or wv.q["dns1"].packets(), "the other queues suffer"
  assert not mute.packets(), "sent to whom?"
  mute.hosts = Wire.ANY
  got, end = [], time.monotonic() + 2 * PATIENCE
  while not got and time.monotonic() < end:    # it may ask once a second only (L2-14)
    wv.up.send(pk.udp(ip.C, ip.VIPB, wv.l4port(), 443))
    got = wv.collect(["web0"], 1, timeout=0.1)
  wv.learn_macs()
  assert got, f"still unresolved after {2 * PATIENCE} s"
