# SPDX-License-Identifier: BSD-3-Clause
"""Who has an address on the uplink, when two say so: the neighbour that answers, and this node."""

import time

import pytest
from harness import packets as pk
from harness.netns import PATIENCE
from harness.wire import arp
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


def test_L2_05_a_gateway_that_has_moved_is_found_by_asking(w):
  """Its announcement is not believed, and has the kernel ask where it was; nobody is there, so all are asked."""
  old, moved = w.up.mac, "02:00:00:00:00:02"
  assert known(w) == old
  w.up.hosts[pk.V4.GW] = moved
  try:
    announced = time.monotonic()
    w.up.send_frame(arp(1, moved, pk.packed(pk.V4.GW), NOBODY, pk.packed(pk.V4.GW), ALL))
    found = until(lambda: known(w) == moved, 3 * PATIENCE)
    assert found, f"still {known(w)} after {time.monotonic() - announced:.1f} s"
    assert until(lambda: next_hop(w) == moved)
  finally:
    w.up.hosts[pk.V4.GW] = old
    w.up.send_frame(arp(1, old, pk.packed(pk.V4.GW), NOBODY, pk.packed(pk.V4.GW), ALL))
    assert until(lambda: known(w) == old, 3 * PATIENCE)


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
