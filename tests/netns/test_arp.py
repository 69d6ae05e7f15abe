# SPDX-License-Identifier: BSD-3-Clause
"""Who has an address on the uplink, when two say so: the neighbour that answers, and this node."""

import time

import pytest
from harness import packets as pk
from harness.netns import PATIENCE
from harness.wire import arp
from scapy.layers.inet6 import IPv6, in6_chksum
from scapy.packet import Raw
from test_neighbours import until

EVIL = "02:00:00:00:66:66"
NOBODY = "00:00:00:00:00:00"
ALL = "ff:ff:ff:ff:ff:ff"
# The kernel takes an answer that comes this soon after another for a second opinion, and leaves it.
LOCKTIME = 1.1


def known(w, address=pk.V4.GW):
  return {n["address"]: n.get("mac") for n in w.ctl("neighbor", "list")["neighbors"]}.get(address)


def next_hop(w):
  """The link address that originated packets leave to."""
  w.originate("crawl0", pk.udp(pk.V4.I1, pk.V4.S, w.l4port(), 53))
  return w.up.frames()[0].dst


def events(w, name):
  return w.ctl("counters")["events"][name]


def lies(w):
  """As somebody on the link would put himself in the gateway's place: {what: frame}."""
  gw, u = pk.packed(pk.V4.GW), pk.packed(pk.V4.U)
  return {
      "an answer that nobody asked for": arp(2, EVIL, gw, w.up.peer, u, w.up.peer),
      "the same to all": arp(2, EVIL, gw, EVIL, gw, ALL),
      "an announcement": arp(1, EVIL, gw, NOBODY, gw, ALL),
      "a question to us": arp(1, EVIL, gw, NOBODY, u, ALL),
      "a question straight to us": arp(1, EVIL, gw, w.up.peer, u, w.up.peer),
  }


@pytest.mark.parametrize("kind", range(5))
def test_L2_05_nobody_takes_the_gateways_place(w, kind):
  what, frame = list(lies(w).items())[kind]
  assert known(w) == w.up.mac
  time.sleep(LOCKTIME)
  before = events(w, "arp_refused")
  for _ in range(3):
    w.up.send_frame(frame)
  assert until(lambda: events(w, "arp_refused") >= before + 3), what
  assert known(w) == w.up.mac, what
  assert next_hop(w) == w.up.mac, what
  assert "says that it has " + pk.V4.GW in w.daemon.log()


def test_L2_05_arp_is_answered_for_own_addresses_only(w):
  assert w.up.ask(pk.V4.U, pk.V4.GW) == w.up.peer
  for address in (pk.V4.VIP, pk.V4.VIPB, pk.V4.I1, pk.V4.S, pk.V4.C, "127.103.119.1"):
    assert w.up.ask(address, pk.V4.GW, timeout=0.3, tries=3) is None, address


def announce(w, mac, family=pk.V4):
  """As a router that takes over does; and it answers there from now on."""
  w.up.hosts[family.GW] = mac
  if family.v == 4:
    gw = pk.packed(family.GW)
    w.up.send_frame(arp(1, mac, gw, NOBODY, gw, ALL))
  else:
    w.up.send_frame(advertisement(mac, family.GW))


def advertisement(mac, address):
  """An unsolicited neighbour advertisement to all nodes, with the override flag (RFC 4861 7.2.6)."""
  body = bytes([136, 0, 0, 0, 0xa0, 0, 0, 0]) + pk.packed(address) + bytes([2, 1]) + pk.mac_bytes(mac)
  l3 = bytes(IPv6(src=address, dst="ff02::1", hlim=255, nh=58) / Raw(body))
  checksum = in6_chksum(58, IPv6(l3), body)
  l3 = l3[:42] + checksum.to_bytes(2, "big") + l3[44:]
  return pk.mac_bytes("33:33:00:00:00:01") + pk.mac_bytes(mac) + b"\x86\xdd" + l3


@pytest.mark.parametrize("family", pk.FAMILIES, ids=str)
def test_L2_05_a_gateway_that_has_moved_is_followed_within_a_second(w, family):
  """Its announcement is not believed (IPv4), and has the kernel ask where it was; nobody is there, so all are asked."""
  old, moved = w.up.mac, "02:00:00:00:00:02"
  assert until(lambda: known(w, family.GW) == old)
  took = []
  try:
    # The best of some: this machine has other things to do.
    while not took or (min(took) > 1 and len(took) < 6):
      there = moved if known(w, family.GW) == old else old
      time.sleep(LOCKTIME)
      announced = time.monotonic()
      announce(w, there, family)
      found = until(lambda there=there: known(w, family.GW) == there, 3 * PATIENCE)
      took.append(time.monotonic() - announced)
      assert found, f"still {known(w, family.GW)} after {took} s"
      if family.v == 4:
        assert until(lambda there=there: next_hop(w) == there)
    assert min(took) <= 1, took
  finally:
    if known(w, family.GW) != old:
      time.sleep(LOCKTIME)
      announce(w, old, family)
      assert until(lambda: known(w, family.GW) == old, 3 * PATIENCE)
  assert family.v == 6 or f"{family.GW} no longer answers at {old}; all on the link are asked" in w.daemon.log(500)


def test_L2_05_who_claims_again_and_again_moves_nothing_that_answers(w):
  """And has the neighbour asked no more often than once a second, and twice more when it is slow."""
  assert until(lambda: known(w) == w.up.mac)
  time.sleep(LOCKTIME)
  w.reset()
  w.up.chatter.clear()
  claims = list(lies(w).values())
  begun = time.monotonic()
  while time.monotonic() - begun < 3:
    for frame in claims:
      w.up.send_frame(frame)
    assert known(w) == w.up.mac
    time.sleep(0.05)
  lasted = time.monotonic() - begun
  gw = pk.packed(pk.V4.GW)
  asked = [f for f in w.up.chatter if f.ethertype == 0x0806 and f.l3[7] == 1 and f.l3[24:28] == gw]
  assert 2 <= len(asked) <= 3 * (lasted + 2), f"{len(asked)} questions in {lasted:.1f} s"
  assert not [f for f in asked if f.dst == ALL], "all were asked, though it answers"
  assert next_hop(w) == w.up.mac


def announcements(w):
  u = pk.packed(pk.V4.U)
  return [f for f in w.up.chatter if f.ethertype == 0x0806 and f.dst == ALL and f.l3[14:18] == f.l3[24:28] == u]


def test_L2_06_a_conflict_is_answered_once_in_ten_seconds(w):
  before = events(w, "arp_conflict")
  w.reset()
  begun = time.monotonic()
  u = pk.packed(pk.V4.U)
  w.up.send_frame(arp(1, EVIL, u, NOBODY, u, ALL))
  assert until(lambda: announcements(w)), "the address is not defended"
  w.up.send_frame(arp(2, EVIL, u, w.up.mac, pk.packed(pk.V4.GW), ALL))
  assert until(lambda: events(w, "arp_conflict") == before + 2)
  said = announcements(w)
  for f in said:
    assert f.src == w.up.peer and f.l3[8:14].hex(":") == w.up.peer
  # Traffic goes on, with the address.
  assert next_hop(w) == w.up.mac    # begins the capture anew
  assert w.up.ask(pk.V4.U, pk.V4.GW) == w.up.peer
  said += announcements(w)
  assert len(said) == 1 or time.monotonic() - begun > 9
  assert w.daemon.log(500).count("address conflict") == 1 or time.monotonic() - begun > 9


def test_L2_06_who_claims_a_service_address_is_told_of(w):
  """It is on no link, so it isn't announced there, and goes on being served."""
  before = events(w, "arp_conflict")
  w.reset()
  vip = pk.packed(pk.V4.VIP)
  w.up.send_frame(arp(1, EVIL, vip, NOBODY, vip, ALL))
  assert until(lambda: events(w, "arp_conflict") == before + 1)
  assert until(lambda: f"says that it has {pk.V4.VIP}, which is a service's" in w.daemon.log(500))
  assert not [f for f in w.up.chatter if f.ethertype == 0x0806 and f.l3[14:18] == vip]
  w.deliver(pk.udp(pk.V4.C, pk.V4.VIP, w.l4port(), 53), "dns0", "dns1")
