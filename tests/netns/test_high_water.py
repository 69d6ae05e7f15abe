# SPDX-License-Identifier: BSD-3-Clause
"""The log says that there is little room left before anybody is refused (EXH-03)."""

import time

import pytest
from harness import packets as pk
from harness.world import World, changed, standard_config
from test_neighbours import until

ENTRIES = 1024
FLOWS = f"of {ENTRIES} entries are in use, four fifths"
L4PORTS = "four fifths of a worker's l4ports towards"
# Longer than the daemon takes to look again.
LOOK = 2.5


@pytest.fixture(scope="module")
def small():
  """256 ports, 1024 entries."""
  config = standard_config(queues=("dns0", "dns1", "crawl0"))
  with World(changed(config, lambda c: c["egress"].update(ports="50000-50255", reserved=[]),
                     lambda c: c["dataplane"].update(max_flows=ENTRIES))) as w:
    yield w


def said(w, what):
  return [line for line in w.daemon.log(100000).splitlines() if what in line]


def test_EXH_03_four_fifths_of_the_ports_towards_one_destination(small):
  """Silence at three quarters of them, a line before the last is taken; none of it is refused."""
  ip = pk.V4
  before = small.counters()

  def fresh(n):
    small.reset()
    small.q["crawl0"].send_all([pk.udp(ip.I1, ip.S2, small.l4port(), 53) for _ in range(n)])
    assert len(small.collect(["up"], n)) == n

  fresh(192)
  time.sleep(LOOK)
  assert not said(small, L4PORTS)
  fresh(48)
  assert until(lambda: said(small, L4PORTS))
  assert said(small, L4PORTS)[0].endswith(f"towards {ip.S2} are in use")
  assert not small.counters().drops_since(before)
  small.flush()


def test_EXH_03_four_fifths_of_the_entries(small):
  """Said once, however long it lasts, and again after there was room."""
  ip = pk.V6

  def fresh(n):
    small.reset()
    small.up.send_all([pk.udp(ip.C, ip.VIP, small.l4port(), 53) for _ in range(n)])
    assert len(small.collect(["dns0", "dns1"], n)) == n

  for times in (1, 2):
    small.flush()
    time.sleep(LOOK)
    fresh(600)
    time.sleep(LOOK)
    assert len(said(small, FLOWS)) == times - 1
    fresh(260)
    assert until(lambda n=times: len(said(small, FLOWS)) == n)
    fresh(10)
    time.sleep(LOOK)
    assert len(said(small, FLOWS)) == times
