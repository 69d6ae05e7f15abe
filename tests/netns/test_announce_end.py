# SPDX-License-Identifier: BSD-3-Clause
"""Announced routes when godwitd ends: by SIGTERM, by a kill, with a successor, with nobody left."""

import os
import signal
import subprocess
import time

import pytest
from harness import daemon as gw, packets as pk
from harness.announced import BGP, BOTH, BUSY, HOLD, LINGER, NODE_BIRD, PREFIXES, TABLE, Site, until
from harness.bgp import Bird, documented


@pytest.fixture(scope="module")
def site():
  with Site(lambda ns: Bird(ns, "n", documented("bird.conf") + NODE_BIRD)) as s:
    yield s


def test_a_stop_withdraws_first_and_serves_on(site):
  site.up()
  site.r.ip("route", "add", pk.V4.VIP, "via", pk.V4.U, "metric", 4000)
  begin = time.monotonic()
  site.daemon.process.send_signal(signal.SIGTERM)
  until(lambda: not site.table(), 1 + BUSY, "withdrawn")
  until(lambda: not site.heard(), LINGER, "withdrawn at the router while the daemon lives")
  assert site.daemon.alive() and site.reaches(pk.V4), "it is served for as long as it lingers"
  assert site.service() == (False, f"{pk.V4.VIP}: the daemon stops")
  assert site.daemon.process.wait(LINGER + 10) == 0
  assert time.monotonic() - begin >= LINGER
  assert not site.owners()
  site.r.ip("route", "del", pk.V4.VIP, "metric", 4000)


def test_who_asks_to_stop_twice_does_not_wait(site):
  site.up(linger="50s")
  site.daemon.process.send_signal(signal.SIGTERM)
  until(lambda: not site.table(), 1 + BUSY, "withdrawn")
  time.sleep(2)
  assert site.daemon.alive()
  site.daemon.process.send_signal(signal.SIGTERM)
  assert site.daemon.process.wait(10) == 0


def test_a_killed_daemon_is_withdrawn_after_hold(site):
  site.up()
  site.daemon.process.kill()
  site.daemon.process.wait()
  begin = time.monotonic()
  took = until(lambda: not site.table(), HOLD + 0.5 + BUSY, "withdrawn after a kill")
  assert took > HOLD - 0.5, f"a successor has {HOLD} s, not {took:.2f}"
  until(lambda: not site.heard(), BGP, f"withdrawn at the router, {time.monotonic() - begin:.2f} s after the kill")
  until(lambda: not site.owners(), BUSY, "the owner's end")
  assert site.router.session_is_up(), "the kernel's own traffic went on"


def test_a_successor_within_hold_takes_over_without_a_withdrawal(site):
  site.up(hold="50s")
  before = site.owners()
  with subprocess.Popen(["ip", "-n", site.n.name, "-ts", "monitor", "route"], stdout=subprocess.PIPE,
                        text=True) as monitor:
    old = site.daemon
    old.process.kill()
    old.process.wait()
    try:
      site.daemon = gw.Daemon(site.n, site.config(hold="50s"))
      until(lambda: site.service() == (True, ""), BUSY + 5, "announced by the successor")
      until(lambda: site.owners() and not set(before) & set(site.owners()), BUSY, "the predecessor's owner's end")
      time.sleep(1.5)    # what was kept for the start is decided
      assert site.table() == set(BOTH) and site.heard() >= PREFIXES
    finally:
      old.close()
      monitor.terminate()
    gone = [line for line in monitor.stdout.read().splitlines() if "Deleted" in line and f"table {TABLE}" in line]
  assert not gone, f"withdrawn in between: {gone}"


def test_what_nobody_withdrew_goes_before_the_next_start_is_ready(site):
  """Both were killed: the routes stay in the kernel, for nobody."""
  site.up()
  site.stop_serving("dns0")
  site.daemon.process.kill()
  for pid in site.owners():
    os.kill(pid, signal.SIGKILL)
  site.daemon.process.wait()
  until(lambda: not site.owners(), BUSY, "the owner's end")
  # Those of a service that the next one does not have, too; and not those of anybody else.
  site.n.ip("route", "add", "blackhole", pk.V4.VIPB, "table", TABLE, "proto", "74")
  site.n.ip("route", "add", "blackhole", pk.V4.VIPC, "table", TABLE, "proto", "static")
  site.daemon.close()
  site.daemon = gw.Daemon(site.n, site.config())
  assert site.table() == set() and "were left by a predecessor" in site.daemon.log()
  assert pk.V4.VIPC in site.n.ip("route", "show", "table", TABLE)
  site.serve("dns0")
  until(lambda: site.table() == set(BOTH), BUSY + 5, "announced")


def test_an_owner_that_is_killed_comes_back(site):
  site.up()
  for pid in site.owners():
    os.kill(pid, signal.SIGKILL)
  until(lambda: site.service() == (True, ""), BUSY + 5, "the owner is back")
  assert site.table() == set(BOTH)
  site.daemon.ctl("queue", "drain", "dns0")
  until(lambda: not site.table(), BUSY + 1, "withdrawn by the new one")
