# SPDX-License-Identifier: BSD-3-Clause
"""Configs at random, right and wrong ones, one after the other while packets flow: 60 of them, 1,000 with --full."""

import os
import pathlib
import random
import struct
import threading
import time

import pytest
from harness import packets as pk
from harness.leaks import Allowed
from harness.netns import veth
from harness.world import World, changed, queue, service, standard_config
from test_originate import comes_back, mapping

APPLIES = 1000 if os.environ.get("GODWIT_FULL") else 60
SEED = int(os.environ.get("GODWIT_SEED", "6"))
QUEUES = ("dns0", "dns1", "web0", "crawl0", "spare0")
# A probe meets two of a generation's tables, one after the other: its source is translated into `egress.ports`, then
# its destination, a service of this node, names a queue. Both differ between an even and an odd generation.
SIDES = ({"ports": "20000-29999", "queue": "web0"}, {"ports": "40000-49999", "queue": "spare0"})
RSS_MAY_GROW = 6 << 20    # a snapshot that is not freed has some 100 KiB


def on_side(config, side):
  def edit(c):
    c["egress"]["ports"] = SIDES[side]["ports"]
    service(c, "probe")["queues"] = [SIDES[side]["queue"]]
  return changed(config, edit)


def base(workers=1):
  def edit(c):
    c["services"] = [s for s in c["services"] if s["name"] not in ("own", "mute")]
    c["services"] += [{"name": "probe", "addresses": [pk.V4.VIPD, pk.V6.VIPD], "ports": ["udp/5000-5999"],
                       "queues": ["web0"]}, {"name": "spare", "queues": ["spare0"]}]
  return on_side(changed(standard_config(queues=QUEUES, workers=workers), edit,
                         lambda c: c["dataplane"].update(max_flows=1 << 20)), 0)


RIGHT = (
    lambda r: lambda c: service(c, "web").update(ports=["tcp/443", f"tcp/{r.randrange(9000, 9999)}"]),
    lambda r: lambda c: service(c, "web").update(unmatched=r.choice(["reject", "silent"])),
    lambda r: lambda c: service(c, "dns").update(affinity=r.choice(["flow", "client"])),
    lambda r: lambda c: service(c, "dns").update(queues=[{"queue": "dns0", "weight": r.randrange(1, 100)}, "dns1"]),
    lambda r: lambda c: service(c, "dns").update(queues=["dns0", "dns1", "spare0"]),
    lambda r: lambda c: queue(c, r.choice(["dns0", "dns1"])).update(drained=True),
    lambda r: lambda c: queue(c, "web0").update(limits={"flows": r.randrange(50000, 90000)}),
    lambda r: lambda c: c["egress"].update(reserved=r.sample(range(1024, 65536), 9)),
    lambda r: lambda c: c["egress"].update(timeouts={"udp": f"{r.randrange(200, 900)}s"}),
    lambda r: lambda c: c["egress"].update(direct=[f"203.0.{r.randrange(114, 200)}.0/24"]),
    lambda r: lambda c: c["services"].append({
        "name": f"s{r.randrange(99)}", "addresses": [f"192.0.2.{r.randrange(200, 250)}"],
        "ports": [f"udp/{r.randrange(1, 999)}"], "queues": ["web0", "dns1"]}))
WRONG = (
    lambda c: service(c, "dns").update(addresses=["192.0.2.300"]),
    lambda c: service(c, "dns").update(queues=["nowhere0"]),
    lambda c: service(c, "dns").update(portz=["udp/53"]),
    lambda c: service(c, "dns").update(addresses=[pk.V4.U]),
    lambda c: service(c, "web").update(addresses=[pk.V4.VIP], ports=["udp/1-100"]),
    lambda c: c["egress"].update(ports="9-1"),
    lambda c: c["dataplane"].update(max_flows=4096),
    lambda c: c["queues"].append({"name": "late0", "device": "veth:taken0"}),    # found out when it is opened
    lambda c: c["uplinks"].append({"name": "wan1", "device": "afpacket:nosuch0"}))


class Traffic(threading.Thread):
  """Flows that were there before, both ways, and probes that are a new flow each; judged as they arrive."""

  def __init__(self, w):
    super().__init__(daemon=True)
    self.w, self.sent, self.probes, self.stop = w, 0, 0, threading.Event()
    self.seen = {kind: set() for kind in (b"in", b"re", b"ou", b"ba")}
    self.probed = set()
    # Many probes are what meets the moment of a change: their frame is made once, without a checksum, and patched.
    self.probe = bytearray(w.q["crawl0"].frame(pk.udp(pk.V4.I1, pk.V4.VIPD, 1, 1, payload=b"pr" + bytes(4))))
    self.probe[40:42] = b"\0\0"
    self.wrong, self.mixed, self.flows = [], [], []
    for ip in pk.FAMILIES:
      sport, l4port = mapping(w, "crawl0", "udp", ip.I1, ip.S, 53)
      comes_back(w, "crawl0", pk.udp(ip.S, ip.U, 53, l4port), ip.I1, sport)
      clients = [w.l4port() for _ in range(20)]
      homes = [w.deliver(pk.udp(ip.C, ip.VIP, client, 53), "dns0", "dns1") for client in clients]
      self.flows.append((ip, sport, l4port, clients, homes))
    for where, wire in [("up", w.up), *w.q.items()]:
      wire.clear()
      wire.on_frame = lambda raw, where=where: self.take(where, raw)

  def take(self, where, raw):
    if raw[42:44] == b"pr":
      return self.take_probe(where, int.from_bytes(raw[34:36], "big"), int.from_bytes(raw[44:48], "big"))
    if raw[12:14] not in (b"\x08\x00", b"\x86\xdd") or len(raw) < 14 + 28:
      return False
    p = pk.parse(raw[14:])
    kind, n = p.payload[:2], int.from_bytes(p.payload[2:6], "big")
    if p.proto != pk.UDP_N or kind not in self.seen:
      return False
    _, sport, l4port, _, homes = self.flows[n % 2]
    expected = {b"in": (homes[n // 2 % 20], None), b"re": ("up", 53), b"ou": ("up", l4port), b"ba": ("crawl0", 53)}
    right = where == expected[kind][0] and p.sport == (expected[kind][1] or p.sport)
    if not right or n in self.seen[kind]:
      self.wrong.append((kind, n, where, p.sport))
    self.seen[kind].add(n)
    return True

  def take_probe(self, where, sport, n):
    side = next((s for s in SIDES if s["queue"] == where), None)
    low, high = map(int, side["ports"].split("-")) if side else (1, 0)
    if not low <= sport <= high:
      self.mixed.append((n, where, sport))
    if not side or n in self.probed:
      self.wrong.append(("probe", n, where, sport))
    self.probed.add(n)
    return True

  def send_probes(self):
    for _ in range(8):
      n = self.probes
      self.probe[34:38] = struct.pack("!HH", 2000 + n // 1000, 5000 + n % 1000)
      self.probe[44:48] = n.to_bytes(4, "big")
      self.w.q["crawl0"].send_frame(bytes(self.probe))
      self.probes += 1

  def turn(self):
    n = self.sent
    ip, sport, l4port, clients, homes = self.flows[n % 2]
    client, home, tag = clients[n // 2 % 20], homes[n // 2 % 20], n.to_bytes(4, "big")
    self.w.up.send(pk.udp(ip.C, ip.VIP, client, 53, payload=b"in" + tag))
    self.w.q[home].send(pk.udp(ip.VIP, ip.C, 53, client, payload=b"re" + tag))
    self.w.q["crawl0"].send(pk.udp(ip.I1, ip.S, sport, 53, payload=b"ou" + tag))
    self.w.up.send(pk.udp(ip.S, ip.U, 53, l4port, payload=b"ba" + tag))
    self.sent += 1

  def run(self):
    while not self.stop.is_set():
      self.turn()
      for _ in range(4):
        self.send_probes()
        time.sleep(0.002)

  def lost(self):
    end = time.monotonic() + 3
    while (any(len(tags) < self.sent for tags in self.seen.values()) or len(self.probed) < self.probes) and (
        time.monotonic() < end):
      time.sleep(0.02)
    missing = sorted(set(range(self.probes)) - self.probed)[:20]
    lost = {"probe": missing} if missing else {}
    for kind, tags in self.seen.items():
      if len(tags) < self.sent:
        lost[kind] = sorted(set(range(self.sent)) - tags)[:20]
    return lost


class Node:
  """What is asked of the daemon as a whole, and what an operator does to it."""

  def __init__(self, w, r):
    self.w, self.r, self.start, self.proc = w, r, w.config, pathlib.Path(f"/proc/{w.daemon.process.pid}")
    assert (self.proc / "comm").read_text().strip() == "godwitd"
    self.changes, self.refusals, self.rolled_back = 0, 0, 0

  def generation(self):
    return int(self.w.ctl("status")["generation"])

  def rss(self):
    line = next(x for x in (self.proc / "status").read_text().splitlines() if x.startswith("VmRSS:"))
    return int(line.split()[1]) << 10

  def files(self):
    return len(list((self.proc / "fd").iterdir()))

  def apply_right(self):
    config = on_side(self.start, self.r.randrange(2))
    for edit in self.r.sample(RIGHT, self.r.randrange(4)):
      config = changed(config, edit(self.r))
    self.w.allowed.widen(Allowed.of(config))
    path = self.w.daemon.write(config, "right.yaml")
    what = self.r.randrange(5)
    self.w.ctl("config", "apply", path, *(["--confirm-within=60s"] if what < 2 else []))
    self.changes += 1
    if what == 0:
      self.w.ctl("config", "confirm")
    elif what < 3:
      self.w.ctl("config", "rollback")
      self.changes, self.rolled_back = self.changes + 1, self.rolled_back + 1

  def apply_wrong(self):
    path = self.w.daemon.write(changed(on_side(self.start, self.r.randrange(2)), self.r.choice(WRONG)), "wrong.yaml")
    code, out, err = self.w.daemon.raw("config", "apply", path)
    assert code == 1 and err, f"exit {code}: {out}{err}"
    self.refusals += 1


@pytest.fixture(scope="module", params=[1, 2], ids=["one_worker", "two_workers"])
def node(request):
  start = base(request.param)
  with World(start) as w:
    veth(w.n, "taken0", w.n, "taken1")
    for side in (1, 0):    # each queue has been asked who has the probes' destination
      w.apply(on_side(start, side))
      for ip in pk.FAMILIES:
        w.q["crawl0"].send(pk.udp(ip.I1, ip.VIPD, 1999, 5000 + side))
        w.one(SIDES[side]["queue"], match=lambda p, ip=ip: p.dst == ip.VIPD)
        w.reset()
    yield w


def test_CFG_01_random_applies_under_load(node):
  """No flow that was there is lost, none changes queue or mapping, each packet meets one generation, nothing grows."""
  r = random.Random(SEED)
  n = Node(node, r)
  before = n.generation()
  # A packet that stays inside the node and is handed to another worker between its two decisions may meet the next
  # generation there (docs/architecture.md, Publication).
  judged = node.config["dataplane"]["workers"] == 1
  traffic = Traffic(node)
  traffic.start()
  warm = max(APPLIES // 4, 15)
  rss = files = 0
  try:
    for i in range(APPLIES):
      if i == warm:
        rss, files = n.rss(), n.files()
      n.apply_wrong() if r.random() < 0.3 else n.apply_right()
      assert not traffic.wrong, f"apply {i}: {traffic.wrong[:10]}"
      assert not judged or not traffic.mixed, f"apply {i}: {traffic.mixed[:10]}"
      if i % 10 == 0:
        node.check_standing()
  finally:
    traffic.stop.set()
    traffic.join()
  assert not traffic.lost(), f"of {traffic.sent} each: {traffic.lost()}; drops: {node.counters().dropped}"
  assert not traffic.wrong and not (judged and traffic.mixed), traffic.wrong[:10] + traffic.mixed[:10]
  assert n.generation() == before + n.changes
  assert min(n.changes, n.refusals, n.rolled_back) > APPLIES // 20 and traffic.sent > APPLIES
  assert traffic.probes > 20 * APPLIES
  assert n.rss() - rss < RSS_MAY_GROW, f"{(n.rss() - rss) >> 10} KiB in {APPLIES - warm} applies"
  assert n.files() <= files + 2, f"{n.files() - files} files are left open"
  for wire in node.wires():
    wire.on_frame = None
