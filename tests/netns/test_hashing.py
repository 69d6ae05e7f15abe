# SPDX-License-Identifier: BSD-3-Clause
"""Weighted consistent hashing over a service's queues, with minimal disruption; drain; removal (ANY-13, ANY-26)."""

import struct
import time

import pytest
from harness import packets as pk
from harness.world import World, changed, service, standard_config

NAMES = tuple(f"q{i}" for i in range(4))
FLOWS = 3000


def group(queues):
  def edit(c):
    c["queues"] = [{"name": q, "device": f"veth:{q}"} for q in NAMES]
    c["services"] = [{"name": "s", "addresses": [pk.V4.VIP, pk.V6.VIP], "ports": ["udp/53", "tcp/53"],
                      "queues": queues}]
  return edit


@pytest.fixture(scope="module")
def node():
  with World(changed(standard_config(), group(list(NAMES)))) as w:
    yield w


def homes(w, ip, base, n=FLOWS, dport=53):
  """Where each of n flows is delivered: {flow: queue}. Sent again what a small machine's rings lost."""
  found, missing = {}, list(range(n))
  for _ in range(6):
    w.reset()
    w.up.send_all([pk.udp(ip.C, ip.VIP, 1024 + (base + f) % 60000, dport, payload=struct.pack("!I", f))
                   for f in missing])
    for where, p in w.collect(NAMES, len(missing), timeout=2):
      f = struct.unpack("!I", p.payload)[0]
      assert found.setdefault(f, where) == where
    missing = [f for f in range(n) if f not in found]
    if not missing:
      return found
  raise AssertionError(f"{len(missing)} of {n} flows reach no queue")


def shares(found):
  return {q: sum(1 for h in found.values() if h == q) / len(found) for q in NAMES}


def set_queues(w, queues, flush=True):
  w.apply(changed(w.config, lambda c: service(c, "s").update(queues=queues)))
  if flush:
    w.flush()


def test_ANY_26_even_weights_are_even(node, ip):
  set_queues(node, list(NAMES))
  for q, share in shares(homes(node, ip, 0)).items():
    assert 0.20 < share < 0.30, f"{q} has {share:.3f} of the flows"


def test_ANY_26_weights_hold(node, ip):
  set_queues(node, [{"queue": "q0", "weight": 10}, {"queue": "q1", "weight": 30}, {"queue": "q2", "weight": 60}])
  found = shares(homes(node, ip, 0))
  for q, expected in (("q0", 0.1), ("q1", 0.3), ("q2", 0.6), ("q3", 0)):
    assert abs(found[q] - expected) < 0.05, f"{q}: {found[q]:.3f} instead of {expected}"


def test_ANY_26_removing_a_queue_moves_few_flows_without_entry(node, ip):
  """At most 1/N + 2% of the flows without an entry move."""
  set_queues(node, list(NAMES))
  before = homes(node, ip, 0)
  set_queues(node, list(NAMES[:3]))
  after = homes(node, ip, 0)
  moved = sum(before[f] != after[f] for f in before)
  assert moved <= FLOWS * (1 / 4 + 0.02) * 1.05, f"{moved} of {FLOWS} moved"
  assert "q3" not in after.values()


def test_ANY_26_established_flows_of_surviving_queues_do_not_move(node, ip):
  set_queues(node, list(NAMES))
  before = homes(node, ip, 0)
  for queues in (list(NAMES[:3]), list(NAMES), [{"queue": "q0", "weight": 1}, {"queue": "q1", "weight": 50}, "q2"]):
    kept = {f for f, q in before.items() if q != "q3"}
    set_queues(node, queues, flush=False)
    after = homes(node, ip, 0)
    moved = {f for f in kept if before[f] != after[f]}
    assert not moved, f"{len(moved)} established flows moved"
    before = after


def test_ANY_13_drain_keeps_flows_and_takes_no_new_ones(node, ip):
  set_queues(node, list(NAMES))
  before = homes(node, ip, 0, 400)
  node.ctl("queue", "drain", "q1")
  try:
    assert homes(node, ip, 0, 400) == before, "an established flow moved"
    assert "q1" not in homes(node, ip, 30000, 400).values(), "a new flow on a draining queue"
    shown = node.ctl("queue", "show", "q1")
    assert (shown["state"], shown["reason"]) == ("drained", "")
  finally:
    node.ctl("queue", "undrain", "q1")
  node.flush()
  assert "q1" in homes(node, ip, 30000, 400).values()


def test_ANY_13_a_drain_ends_with_its_deadline(node, ip):
  """Until then its flows stay; then they go elsewhere, and nobody else's."""
  set_queues(node, list(NAMES))
  before = homes(node, ip, 0, 400)
  assert "q1" in before.values()
  try:
    node.ctl("queue", "drain", "q1", "--deadline=24h")
    assert homes(node, ip, 0, 400) == before, "an established flow moved"
    shown = node.ctl("queue", "show", "q1")
    assert shown["state"] == "drained" and shown["reason"] == "no flows after 86400s"
    node.ctl("queue", "drain", "q1", "--deadline=1s")    # the last word counts
    end = time.monotonic() + 10
    while node.ctl("queue", "show", "q1")["reason"] != "its deadline has come: no flows":
      assert time.monotonic() < end, "no end of the drain"
      time.sleep(0.02)
    after = homes(node, ip, 0, 400)
    assert "q1" not in after.values(), "flows stayed beyond the deadline"
    assert all(after[f] == q for f, q in before.items() if q != "q1"), "flows of other queues moved"
    code, _, err = node.daemon.raw("queue", "drain", "q1", "--deadline=25h")
    assert code == 1 and "24h" in err, err
  finally:
    node.ctl("queue", "undrain", "q1")
  node.flush()
  assert node.ctl("queue", "show", "q1")["state"] == "up"
  assert "q1" in homes(node, ip, 30000, 400).values()


def test_ANY_13_all_queues_draining_refuses_new_flows(node, ip):
  set_queues(node, ["q0"])
  before = homes(node, ip, 0, 20)
  node.ctl("queue", "drain", "q0")
  try:
    assert homes(node, ip, 0, 20) == before
    with node.drops(1, silent=False):
      node.up.send(pk.udp(ip.C, ip.VIP, 65000, 53))
    assert not node.q["q0"].packets()
  finally:
    node.ctl("queue", "undrain", "q0")


def test_ANY_26_a_dead_queue_is_avoided(node, ip):
  """Its link is down: new flows go to the others, its own are steered again."""
  set_queues(node, list(NAMES))
  before = homes(node, ip, 0, 400)
  node.n.ip("link", "set", "q2", "down")
  try:
    end = time.monotonic() + 5
    while time.monotonic() < end and "down" not in str(node.ctl("queue", "show", "q2")).lower():
      time.sleep(0.05)
    after = homes(node, ip, 0, 400)
    assert "q2" not in after.values()
    assert all(after[f] == q for f, q in before.items() if q != "q2"), "flows of living queues moved"
  finally:
    node.n.ip("link", "set", "q2", "up")
