# SPDX-License-Identifier: BSD-3-Clause
"""With several workers another mapping, range, `direct` or policy says where flows begin: those that live stay where
they are, and what they are."""

import pytest
from harness import packets as pk
from harness.world import World, changed, standard_config
from test_changes import edit_service
from test_originate import comes_back
from test_replies import leaves_translated, leaves_unchanged

QUEUES = ("dns0", "dns1", "web0", "crawl0", "vip0")
FLOWS = 4    # of each kind: with two workers half of them move


@pytest.fixture(scope="module", params=[2, 3, 5])
def node(request):
  with World(standard_config("veth", QUEUES, workers=request.param)) as w:
    yield w


def packet(proto, src, dst, sport, dport, back=False):
  if proto == "icmp":
    return pk.echo(src, dst, sport or dport, reply=back)
  flags = {"flags": "SA" if back else "A"} if proto == "tcp" else {}
  return pk.l4_packet(proto, src, dst, sport, dport, **flags)


class Mapping:
  """One that `queue` has opened."""

  def __init__(self, w, ip, proto, queue, src, dst):
    self.w, self.ip, self.proto, self.queue, self.src, self.dst = w, ip, proto, queue, src, dst
    self.sport = w.l4port()
    opener = pk.tcp(src, dst, self.sport, 443) if proto == "tcp" else packet(proto, src, dst, self.sport, 443)
    left = w.originate(queue, opener)
    assert left.src == ip.U, left
    self.given = left.ident if proto == "icmp" else left.sport
    self.answered()

  def answered(self):
    dport = 0 if self.proto == "icmp" else 443
    comes_back(self.w, self.queue, packet(self.proto, self.dst, self.ip.U, dport, self.given, back=True), self.src,
               self.sport)

  def goes_on(self):
    sent = packet(self.proto, self.src, self.dst, self.sport, 443)
    left = self.w.originate(self.queue, sent)
    given = left.ident if self.proto == "icmp" else left.sport
    assert (left.src, given) == (self.ip.U, self.given), f"{self.proto} {self.sport} has moved: {left}"
    self.answered()


def open_all(w, ip):
  flows = [Mapping(w, ip, proto, "crawl0", src, dst) for _ in range(FLOWS) for proto in ("udp", "tcp", "icmp")
           for src, dst in ((ip.I1, ip.S), (ip.U, ip.S2))]
  return flows + [Mapping(w, ip, "tcp", "web0", ip.VIPB, ip.S) for _ in range(FLOWS)]


def egress(**values):
  return lambda c: c["egress"].update(values)


def test_another_mapping_to_and_fro_leaves_flows(node, ip):
  flows = []
  for mapping in ("endpoint-independent", "per-destination", "endpoint-independent", "per-destination"):
    flows += open_all(node, ip)
    count = node.flow_count()
    node.apply(changed(node.config, egress(mapping=mapping)))
    for flow in flows:
      flow.goes_on()
    assert node.flow_count() == count


def test_everything_at_once_leaves_flows(node, ip):
  flows = open_all(node, ip)
  clients = {}
  for _ in range(FLOWS):
    for proto in ("udp", "tcp"):
      sport = node.l4port()
      clients[proto, sport] = node.deliver(pk.l4_packet(proto, ip.C, ip.VIP, sport, 53), "dns0", "dns1")
  direct = [f"{ip.S}/{32 if ip.v == 4 else 128}"]
  node.apply(changed(
      node.config, egress(mapping="endpoint-independent", ports="20000-29999", direct=direct),
      edit_service("dns", replies="tracked", affinity="client"), edit_service("web", originate="vip")))
  for flow in flows:
    flow.goes_on()
  for (proto, sport), home in clients.items():
    answer = pk.l4_packet(proto, ip.VIP, ip.C, 53, sport, **({"flags": "SA"} if proto == "tcp" else {}))
    leaves_unchanged(node, home, answer)
    assert node.deliver(pk.l4_packet(proto, ip.C, ip.VIP, sport, 53), "dns0", "dns1") == home
  node.apply(standard_config("veth", QUEUES, workers=node.config["dataplane"]["workers"]))
  for flow in flows:
    flow.goes_on()


def test_explain_finds_what_moved(node, ip):
  flows = open_all(node, ip)
  node.apply(changed(node.config, egress(mapping="endpoint-independent")))
  for flow in flows:
    dport = 0 if flow.proto == "icmp" else 443
    told = node.ctl("explain", flow.proto, pk.at(flow.src, flow.sport), pk.at(flow.dst, dport), f"--from={flow.queue}")
    assert told["translated"] == pk.at(ip.U, flow.given), told


def test_vip_and_tracked_work_with_endpoint_independent_mapping(node, ip):
  node.apply(changed(node.config, egress(mapping="endpoint-independent"), edit_service("dns", replies="tracked")))
  for _ in range(FLOWS):
    sport = node.l4port()
    leaves_unchanged(node, "vip0", pk.tcp(ip.VIPC, ip.S, sport, 25))
    assert node.deliver(pk.tcp(ip.S, ip.VIPC, 25, sport, flags="SA"), "vip0")
    home = node.deliver(pk.udp(ip.C, ip.VIP, sport, 53), "dns0", "dns1")
    leaves_unchanged(node, home, pk.udp(ip.VIP, ip.C, 53, sport))
    leaves_translated(node, home, pk.udp(ip.VIP, ip.S2, 53, sport), ip)


@pytest.fixture(autouse=True)
def back_to_base(node):
  yield
  base = standard_config("veth", QUEUES, workers=node.config["dataplane"]["workers"])
  if node.daemon.alive() and node.config != base:
    node.apply(base)
    node.flush()
