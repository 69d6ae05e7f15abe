# SPDX-License-Identifier: BSD-3-Clause
"""What the log says of mappings: a line each when it is asked for, never more than so many a second."""

import re
import time

import pytest
from harness import packets as pk
from harness.world import World, changed, standard_config
from test_neighbours import until
from test_originate import mapping

LINE = re.compile(r"mapping (begins|ends) (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d)Z (udp|tcp|icmp) (\S+) (\S+) (\S+)$",
                  re.M)
RATE = 5


@pytest.fixture(scope="module")
def told():
  """Lines of mappings, few a second; 256 ports."""
  config = standard_config(queues=("dns0", "dns1", "crawl0"))
  log = {"mappings": True, "rate": RATE}
  with World(changed(config, lambda c: c["egress"].update(ports="50000-50255", reserved=[], log=log))) as w:
    yield w


def quiet(w):
  """Nothing is left to end, and all the lines of a second may be written."""
  w.flush()
  time.sleep(1.1)


def lines(w):
  return LINE.findall(w.daemon.log(100000))


def test_LOG_01_a_mapping_is_told(told, ip):
  quiet(told)
  before = time.time()
  sport, p = mapping(told, "crawl0", "udp", ip.I1, ip.S, 53)
  begins = ("udp", pk.at(ip.I1, sport), "crawl0", pk.at(ip.U, p))
  until(lambda: [1 for kind, _, *what in lines(told) if kind == "begins" and tuple(what) == begins])
  (when,) = [when for kind, when, *what in lines(told) if kind == "begins" and tuple(what) == begins]
  # Its own time, not that of who writes it down.
  stamp = time.mktime(time.strptime(when[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
  assert before - 2 <= stamp <= time.time() + 1
  told.flush()
  assert until(lambda: [1 for kind, _, *what in lines(told) if kind == "ends" and tuple(what) == begins])


def test_LOG_02_no_line_says_where_to(told, ip):
  quiet(told)
  mapping(told, "crawl0", "udp", ip.I1, ip.S, 53)
  until(lambda: lines(told))
  log = told.daemon.log(100000)
  of_mappings = [line for line in log.splitlines() if "mapping begins" in line or "mapping ends" in line]
  assert of_mappings and not [line for line in of_mappings if ip.S in line]


def test_LOG_06_lines_are_limited_and_what_is_left_out_is_counted(told, ip):
  quiet(told)
  before, lost = len(lines(told)), told.ctl("counters")["events"]["mapping_lines_lost"]
  begun = time.monotonic()
  told.q["crawl0"].send_all([pk.udp(ip.I1, ip.S, 3000 + i, 53) for i in range(200)])
  told.collect(["up"], 200)
  said = until(lambda: [1 for _ in range(1) if told.ctl("counters")["events"]["mapping_lines_lost"] > lost])
  assert said
  until(lambda: len(lines(told)) - before + told.ctl("counters")["events"]["mapping_lines_lost"] - lost == 200)
  seconds = int(time.monotonic() - begun) + 2
  written = len(lines(told)) - before
  assert 1 <= written <= RATE * seconds
  assert written + told.ctl("counters")["events"]["mapping_lines_lost"] - lost == 200
  assert until(lambda: "lines left out: egress.log.rate is 5 a second" in told.daemon.log(100000))


def test_LOG_01_off_unless_asked_for(w, ip):
  mapping(w, "crawl0", "udp", ip.I1, ip.S, 53)
  w.flush()
  assert not lines(w)


def test_LOG_01_switched_on_and_off_while_it_runs(w, ip):
  """Of a mapping that was there before, the end is told."""
  w.flush()
  before = len(lines(w))
  sport, p = mapping(w, "crawl0", "udp", ip.I1, ip.S, 53)
  w.ctl("egress", "set", "--log.mappings=true")
  try:
    assert w.ctl("egress", "show")["egress"]["log"]["mappings"] is True
    w.flush()
    assert until(lambda: len(lines(w)) > before)
    (kind, _, *what), = lines(w)[before:]
    assert (kind, *what) == ("ends", "udp", pk.at(ip.I1, sport), "crawl0", pk.at(ip.U, p))
  finally:
    w.ctl("egress", "set", "--log.mappings=false")
  mapping(w, "crawl0", "udp", ip.I1, ip.S, 53)
  w.flush()
  assert len(lines(w)) == before + 1
