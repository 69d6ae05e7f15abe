# SPDX-License-Identifier: BSD-3-Clause
"""Changes are transactions between two packets: established flows keep their decision until they end, unless their
service, queue or unicast address is removed or their policy becomes `deny`: then they end in that generation."""

import threading
import time

import pytest
from harness import packets as pk
from harness.daemon import Refused
from harness.netns import PATIENCE
from harness.world import World, changed, service, standard_config
from test_originate import comes_back, mapping
from test_replies import leaves_translated, leaves_unchanged

QUEUES = ("dns0", "dns1", "web0", "crawl0", "spare0")


def base():
  return changed(standard_config(queues=QUEUES), lambda c: c["services"].append(
      {"name": "spare", "queues": ["spare0"]}))


@pytest.fixture(scope="module")
def node():
  with World(base()) as w:
    yield w


@pytest.fixture(autouse=True)
def back_to_base(node):
  yield
  if node.daemon.alive() and node.config != base():
    node.apply(base())
    node.flush()


def generation(w):
  return int(w.ctl("status")["generation"])


def edit_service(name, **values):
  return lambda c: service(c, name).update(values)


def test_a_change_names_its_generation(node):
  before = generation(node)
  reply = node.ctl("service", "set", "extra", f"--addresses={pk.V4.VIPD},{pk.V6.VIPD}", "--ports=udp/53,tcp/53",
                   "--queues=dns0,dns1")
  assert str(generation(node)) in str(reply) and generation(node) > before
  try:
    for ip in pk.FAMILIES:
      node.deliver(pk.udp(ip.C, ip.VIPD, node.l4port(), 53), "dns0", "dns1")
    assert "extra" in {s["name"] for s in node.ctl("status")["services"]}
    assert "extra" in str(node.ctl("config", "show"))
  finally:
    node.ctl("service", "remove", "extra")
  assert "extra" not in {s["name"] for s in node.ctl("status")["services"]}
  node.reset()
  node.up.send(pk.udp(pk.V4.C, pk.V4.VIPD, node.l4port(), 53))
  assert not node.collect(list(node.q), 1, timeout=0.1), "delivered to a service that is gone"


def test_CFG_03_the_same_config_changes_nothing(node, ip):
  sport, p = mapping(node, "crawl0", "udp", ip.I1, ip.S, 53)
  flows = node.flow_count()
  for _ in range(3):
    node.apply(node.config)
  assert node.flow_count() == flows
  comes_back(node, "crawl0", pk.udp(ip.S, ip.U, 53, p), ip.I1, sport)


def test_established_flows_keep_their_decision(node, ip):
  """The range, the mapping kind, the policy (not deny), the queue group: none touches what lives."""
  sport, p = mapping(node, "web0", "tcp", ip.VIPB, ip.S, 443)
  client = node.l4port()
  home = node.deliver(pk.udp(ip.C, ip.VIP, client, 53), "dns0", "dns1")
  other = "dns1" if home == "dns0" else "dns0"
  node.apply(changed(node.config, lambda c: c["egress"].update(ports="20000-20063", mapping="endpoint-independent"),
                     edit_service("web", originate="vip"),
                     edit_service("dns", queues=[{"queue": home, "weight": 1}, {"queue": other, "weight": 1000}])))
  comes_back(node, "web0", pk.tcp(ip.S, ip.U, 443, p, flags="SA"), ip.VIPB, sport)
  assert leaves_translated(node, "web0", pk.tcp(ip.VIPB, ip.S, sport, 443, flags="A"), ip) == p
  assert node.deliver(pk.udp(ip.C, ip.VIP, client, 53), "dns0", "dns1") == home
  leaves_unchanged(node, "web0", pk.tcp(ip.VIPB, ip.S, node.l4port(), 444))    # a new one follows the new policy
  assert 20000 <= mapping(node, "crawl0", "udp", ip.I1, ip.S, 53)[1] <= 20063


def test_a_policy_that_becomes_deny_ends_flows(node, ip):
  sport, p = mapping(node, "web0", "udp", ip.I1, ip.S, 53)
  kept, q = mapping(node, "crawl0", "udp", ip.I1, ip.S, 53)
  node.apply(changed(node.config, edit_service("web", originate="deny")))
  with node.drops(1, silent=False):
    node.q["web0"].send(pk.udp(ip.I1, ip.S, sport, 53))
  assert not node.up.packets()
  with node.drops(1, "nat_filtered"):
    node.up.send(pk.udp(ip.S, ip.U, 53, p))
  comes_back(node, "crawl0", pk.udp(ip.S, ip.U, 53, q), ip.I1, kept)


def test_a_removed_service_ends_its_flows(node, ip):
  client = node.l4port()
  node.deliver(pk.udp(ip.C, ip.VIPB, client, 443), "web0")
  def remove(c):
    c["services"] = [s for s in c["services"] if s["name"] != "web"] + [{"name": "rest", "queues": ["web0"]}]
  node.apply(changed(node.config, remove))
  node.reset()
  node.up.send(pk.udp(ip.C, ip.VIPB, client, 443))
  assert not node.collect(["web0"], 1, timeout=0.15)
  assert not [f for f in node.flows(limit=100000) if f["service"] == "web"]


def test_a_removed_queue_ends_its_flows(node, ip):
  _, p = mapping(node, "spare0", "udp", ip.I1, ip.S, 53)
  def remove(c):
    c["services"] = [s for s in c["services"] if s["name"] != "spare"]
    c["queues"] = [q for q in c["queues"] if q["name"] != "spare0"]
  wire = node.q.pop("spare0")
  node.apply(changed(node.config, remove))
  try:
    with node.drops(1, "nat_filtered"):
      node.up.send(pk.udp(ip.S, ip.U, 53, p))
    assert not node.n.has_link("spare0"), "the link of a removed queue is still there"
  finally:
    wire.close()
    node.apply(base())
    node.attach_queue("spare0", "spare0", 9)
    node.q["spare0"].peer = node.q["spare0"].ask("10.64.0.1", pk.V4.I1)
  mapping(node, "spare0", "udp", ip.I1, ip.S, 53)


def test_a_removed_unicast_address_ends_its_mappings(node):
  ip = pk.V4
  second = "203.0.113.8"
  node.n.ip("addr", "add", f"{second}/32", "dev", "lo")
  _, p = mapping(node, "crawl0", "udp", ip.I1, ip.S, 53)
  node.apply(changed(node.config, lambda c: c["node"].update(unicast=[second, pk.V6.U])))
  q = node.originate("crawl0", pk.udp(ip.I1, ip.S, node.l4port(), 53))
  assert q.src == second
  node.up.send(pk.udp(ip.S, ip.U, 53, p))
  assert not node.collect(["crawl0"], 1, timeout=0.15)


def test_MAP_06_several_unicast_addresses(node):
  """With several of a family an originator stays on one of them."""
  ip = pk.V4
  node.apply(changed(node.config, lambda c: c["node"].update(unicast=[ip.U, "203.0.113.8", pk.V6.U])))
  node.flush()
  for source in [f"10.64.1.{i}" for i in range(1, 9)]:
    used = set()
    for remote in (ip.S, ip.S2, ip.C):
      used.add(node.originate("crawl0", pk.udp(source, remote, node.l4port(), 53)).src)
      used.add(node.originate("crawl0", pk.tcp(source, remote, node.l4port(), 53)).src)
      used.add(node.originate("crawl0", pk.echo(source, remote, 5)).src)
    assert len(used) == 1, f"{source} uses {used}"
    assert used <= {ip.U, "203.0.113.8"}


def test_a_refused_change_changes_nothing(node, ip):
  before, shown = generation(node), node.ctl("config", "show")
  bad = changed(node.config, lambda c: c["services"][0].update(addresses=["198.51.100.300"]))
  with pytest.raises(Refused) as refused:
    node.daemon.apply(bad)
  assert refused.value.code == 1 and "198.51.100.300" in refused.value.err
  node.daemon.config = node.config
  assert generation(node) == before and node.ctl("config", "show") == shown
  node.deliver(pk.udp(ip.C, ip.VIP, node.l4port(), 53), "dns0", "dns1")


def test_config_diff_changes_nothing_and_names_the_change(node):
  before = generation(node)
  path = node.daemon.write(changed(node.config, edit_service("web", ports=["tcp/4443"])), "diff.yaml")
  code, out, err = node.daemon.raw("config", "diff", path, json_output=False)
  assert code == 0, err
  assert "4443" in out and "web" in out
  assert generation(node) == before


def test_config_show_can_be_applied_again(node):
  code, out, _ = node.daemon.raw("config", "show", json_output=False)
  assert code == 0
  code, _, err = node.daemon.raw("config", "check", node.daemon.write(out, "shown.yaml"))
  assert code == 0, err


def test_config_save_writes_the_running_config(node):
  node.ctl("service", "set", "saved", f"--addresses={pk.V4.VIPD}", "--ports=udp/5353", "--queues=dns0")
  try:
    node.ctl("config", "save")
    assert "saved" in node.daemon.file.read_text()
    code, _, err = node.daemon.raw("config", "check", node.daemon.file)
    assert code == 0, err
  finally:
    node.ctl("service", "remove", "saved")


class Load(threading.Thread):
  """Requests to a service and answers from it, and one mapping used both ways, at a steady pace; counts what is lost."""

  def __init__(self, w, ip, seconds, pace=0.001):
    super().__init__(daemon=True)
    self.w, self.ip, self.seconds, self.pace, self.sent = w, ip, seconds, pace, 0
    self.base = w.l4port(300)
    self.sport, self.p = mapping(w, "crawl0", "udp", ip.I1, ip.S, 53)
    for wire in w.wires():
      wire.clear()

  def run(self):
    end = time.monotonic() + self.seconds
    while time.monotonic() < end:
      n, ip = self.sent, self.ip
      tag = n.to_bytes(4, "big")
      self.w.up.send(pk.udp(ip.C, ip.VIP, self.base + n % 200, 53, payload=b"in" + tag))
      self.w.q["dns0"].send(pk.udp(ip.VIP, ip.C, 53, self.base + n % 200, payload=b"re" + tag))
      self.w.q["crawl0"].send(pk.udp(ip.I1, ip.S, self.sport, 53, payload=b"ou" + tag))
      self.w.up.send(pk.udp(ip.S, ip.U, 53, self.p, payload=b"ba" + tag))
      self.sent += 1
      time.sleep(self.pace)

  def lost(self):
    """{kind: how many of what was sent did not arrive}, and every mapping still the same."""
    end = time.monotonic() + PATIENCE
    while (missing := self._missing()) and time.monotonic() < end:
      time.sleep(0.1)
    return missing

  def _missing(self):
    seen = {kind: set() for kind in (b"in", b"re", b"ou", b"ba")}
    for wire in self.w.wires():
      for p in wire.packets():
        if p.proto == pk.UDP_N and p.payload[:2] in seen:
          seen[p.payload[:2]].add(p.payload[2:6])
          assert p.payload[:2] != b"ou" or p.sport == self.p, "the mapping changed"
    return {kind: self.sent - len(tags) for kind, tags in seen.items() if len(tags) != self.sent}


def test_CFG_01_apply_under_traffic_loses_nothing(node, ip):
  load = Load(node, ip, 5)
  load.start()
  before, changes = generation(node), 0
  edits = [edit_service("web", ports=["tcp/443", "udp/443", "tcp/9000"]), edit_service("web", unmatched="silent"),
           lambda c: c["egress"].update(ports="30000-31000"),
           lambda c: c["services"].append({"name": "more", "addresses": [ip.VIPD], "ports": ["udp/1-9"],
                                           "queues": ["web0"]})]
  while load.is_alive():
    node.apply(changed(base(), edits[changes % len(edits)]))
    node.check_standing()    # rule 7 through reconfiguration, under load
    changes += 1
  load.join()
  assert changes >= 5 and generation(node) >= before + changes
  assert not load.lost(), f"lost of {load.sent}: {load.lost()}"


def test_CFG_01_services_come_and_go_under_traffic(node, ip):
  load = Load(node, ip, 4)
  load.start()
  n = 0
  while load.is_alive():
    node.ctl("service", "set", f"s{n % 3}", f"--addresses={ip.VIPD}", f"--ports=udp/{100 + n}", "--queues=dns0,dns1")
    node.ctl("service", "remove", f"s{n % 3}")
    n += 1
  load.join()
  assert not load.lost(), f"lost of {load.sent}: {load.lost()}"


def test_rule_7_at_every_moment_under_load(node, ip):
  load = Load(node, ip, 3, pace=0.0002)
  load.start()
  asked = 0
  while load.is_alive():
    assert node.counters().imbalance() == 0
    asked += 1
  load.join()
  assert asked > 5
