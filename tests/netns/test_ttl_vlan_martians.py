# SPDX-License-Identifier: BSD-3-Clause
"""Settings of an uplink or a queue: `hop`, `vlan`, `martians`."""

import pytest
from harness import packets as pk
from harness.reference import translate
from harness.world import World, changed, queue, standard_config
from test_originate import comes_back, mapping
from test_replies import leaves_unchanged

QUEUES = ("dns0", "dns1", "web0", "crawl0")


@pytest.mark.parametrize("ttl", [1, 2, 64, 255])
def test_IPH_04_host_mode_does_not_decrement(wv, ip, ttl):
  wv.deliver(pk.udp(ip.C, ip.VIPB, wv.l4port(), 443, ttl=ttl), "web0")
  leaves_unchanged(wv, "web0", pk.udp(ip.VIPB, ip.C, 443, wv.l4port(), ttl=ttl))
  l3 = pk.udp(ip.I1, ip.S, wv.l4port(), 53, ttl=ttl)
  p = wv.originate("crawl0", l3)
  assert p.raw == translate(l3, src=ip.U, sport=p.sport)


@pytest.fixture(scope="module")
def router():
  """`hop: router` on the queue of an originator and on the uplink."""
  def edit(c):
    queue(c, "crawl0")["hop"] = "router"
    c["uplinks"][0]["hop"] = "router"
  with World(changed(standard_config(queues=QUEUES), edit)) as node:
    yield node


def test_IPH_05_router_mode_decrements(router, ip):
  l3 = pk.udp(ip.I1, ip.S, router.l4port(), 53, ttl=9)
  p = router.originate("crawl0", l3)
  assert p.ttl < 9, "not decremented"
  assert p.raw == translate(l3, src=ip.U, sport=p.sport, ttl=p.ttl)


def test_IPH_05_router_mode_answers_what_expires(router, ip):
  l3 = pk.udp(ip.I1, ip.S, router.l4port(), 53, ttl=1)
  with router.drops(1, silent=False):
    router.q["crawl0"].send(l3)
  p = router.one("crawl0")
  assert (p.dst, p.kind, p.code) == (ip.I1, *((11, 0) if ip.v == 4 else (3, 0)))
  assert l3.startswith(p.l4[8:]) and not router.up.packets(), "ICE-18: quoted as it was sent"


def test_IPH_05_an_uplink_that_is_a_router(router, ip):
  router.up.send(pk.udp(ip.C, ip.VIPB, router.l4port(), 443, ttl=9))
  assert router.one("web0").ttl == 8
  with router.drops(1, silent=False):
    router.up.send(pk.udp(ip.C, ip.VIPB, router.l4port(), 443, ttl=1))
  assert not router.q["web0"].packets()


# -- VLAN --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["veth", "afpacket"])
def tagged(request):
  def edit(c):
    c["uplinks"][0]["vlan"] = 100
  with World(changed(standard_config(request.param, QUEUES), edit), kind=request.param, vlan=100) as node:
    yield node


def vid(frame):
  return None if frame.vlan is None else frame.vlan & 0xFFF


def test_L2_03_tagged_in_and_out(tagged, ip):
  sport = tagged.l4port()
  tagged.deliver(pk.udp(ip.C, ip.VIPB, sport, 443), "web0")
  assert tagged.q["web0"].frames()[0].vlan is None, "the tag is the uplink's"
  leaves_unchanged(tagged, "web0", pk.udp(ip.VIPB, ip.C, 443, sport))
  assert vid(tagged.up.frames()[0]) == 100
  sport, p = mapping(tagged, "crawl0", "tcp", ip.I1, ip.S, 443)
  assert vid(tagged.up.frames()[0]) == 100
  comes_back(tagged, "crawl0", pk.tcp(ip.S, ip.U, 443, p, flags="SA"), ip.I1, sport)


def test_L2_03_the_kernel_lives_on_the_tag_too(tagged, ip):
  tagged.up.send(pk.echo(ip.S, ip.U, 5))
  assert tagged.one("up").src == ip.U
  assert vid(tagged.up.frames()[0]) == 100


@pytest.mark.parametrize("vlan", [None, 0, 99, 101, 4095])
def test_L2_03_other_tags_are_dropped(tagged, ip, vlan):
  l3 = pk.udp(ip.C, ip.VIPB, tagged.l4port(), 443)
  with tagged.drops(1):
    tagged.up.send_frame(pk.ethernet(l3, tagged.up.peer, tagged.up.mac, vlan=vlan))


def test_L2_04_ADV_73_more_tags_are_dropped(tagged, ip):
  l3 = pk.udp(ip.C, ip.VIPB, tagged.l4port(), 443)
  kind = b"\x08\x00" if ip.v == 4 else b"\x86\xdd"
  link = pk.mac_bytes(tagged.up.peer) + pk.mac_bytes(tagged.up.mac)
  for tags in ("8100006481000064", "8100006481000000", "88a8006481000064", "810000c881000064",
               "810000648100006481000064"):
    with tagged.drops(1):
      tagged.up.send_frame(link + bytes.fromhex(tags) + kind + l3)


def test_ADV_73_a_frame_cut_within_its_tag_is_dropped(tagged):
  cut = pk.mac_bytes(tagged.up.peer) + pk.mac_bytes(tagged.up.mac) + bytes.fromhex("81000064") + b"\x08"
  if tagged.kind == "veth":
    with tagged.drops(1):
      tagged.up.send_frame(cut)
    return
  # The kernel takes tags off before a packet socket sees the frame, and frees what it can't take one off.
  before = tagged.counters()
  tagged.reset()
  tagged.up.send_frame(cut)
  tagged.silence(settle=0.2)
  assert tagged.counters()["received"] == before["received"]


def test_L2_03_a_tag_on_a_link_without_one_is_dropped(wv, ip):
  with wv.drops(1):
    wv.up.send_frame(pk.ethernet(pk.udp(ip.C, ip.VIPB, wv.l4port(), 443), wv.up.peer, wv.up.mac, vlan=100))


def test_L2_03_a_priority_tag_is_no_tag(wv, ip):
  l3 = pk.udp(ip.C, ip.VIPB, wv.l4port(), 443)
  wv.up.send_frame(pk.ethernet(l3, wv.up.peer, wv.up.mac, vlan=5 << 13))
  assert wv.one("web0").raw == l3


# -- martians ----------------------------------------------------------------------------------------------------


def _martians(kind):
  def edit(c):
    c["uplinks"][0]["martians"] = kind
  return edit


STRICT = {4: ["10.1.1.1", "172.16.5.5", "192.168.3.3", "100.64.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.9",
              "203.0.113.200"], 6: ["2001:db8:c::1", "3fff::1", "fec0::1"]}
PUBLIC = {4: "8.8.8.8", 6: "2600::1"}


def test_L2_07_strict_drops_private_and_documentation_sources(ip):
  # The node itself lives on documentation addresses here: its own net and its service addresses are its own.
  config = changed(standard_config(queues=("dns0", "dns1", "web0")), _martians("strict"))
  with World(config, learn=False) as node:
    node.learn_macs()
    for source in STRICT[ip.v]:
      if source.startswith("203.0.113."):
        continue
      with node.drops(1, "martian_src"):
        node.up.send(pk.udp(source, ip.VIPB, 1000, 443))
    for _ in range(3):    # resolves the queue
      node.up.send(pk.udp(PUBLIC[ip.v], ip.VIPB, 999, 443))
    node.collect(["web0"], 1)
    node.deliver(pk.udp(PUBLIC[ip.v], ip.VIPB, 1000, 443), "web0")


def test_L2_07_off_drops_none_of_them(ip):
  config = changed(standard_config(queues=("dns0", "dns1", "web0")), _martians("off"))
  with World(config) as node:
    for source in STRICT[ip.v] + (["240.0.0.1", "169.254.9.9"] if ip.v == 4 else []):
      if source.startswith("203.0.113."):
        continue
      node.deliver(pk.udp(source, ip.VIPB, 1000, 443), "web0")
