# SPDX-License-Identifier: BSD-3-Clause
"""Announced routes: in the kernel's table where the times are tight, and at a router across BGP, which BIRD and FRR
speak with the configuration that docs/operations.md gives."""

import contextlib
import time
import urllib.request

import pytest
from harness import daemon as gw, packets as pk
from harness.announced import BGP, BOTH, BUSY, HOLD, NODE_BIRD, NODE_FRR, PREFIXES, TABLE, Site, until
from harness.bgp import Bird, Frr, documented


@pytest.fixture(scope="module")
def site():
  with Site(lambda ns: Bird(ns, "n", documented("bird.conf") + NODE_BIRD)) as s:
    yield s


def test_what_is_alive_is_heard_across_bgp_and_reached(site):
  """And the kernel's own tables are as they were: no rule, no route of these in the main one."""
  rules = site.n.ip("rule")
  site.up()
  assert site.service() == (True, "")
  assert pk.V4.VIP not in site.n.ip("route") and pk.V6.VIP not in site.n.ip("-6", "route")
  assert site.n.ip("rule") == rules
  for ip in pk.FAMILIES:
    until(lambda ip=ip: site.reaches(ip), BGP, f"{ip.VIP} from the router")
  with site.n.inside():
    page = urllib.request.urlopen("http://127.0.0.1:9467/metrics", timeout=10).read().decode()
  assert 'godwit_service_announced{service="dns"} 1' in page
  assert 'godwit_events_total{event="routes_announced"} 2' in page
  log = site.daemon.log()
  assert log.count("routes announced: ") == 1 and all(address in log for address in BOTH)


def test_only_the_last_server_takes_the_address_with_it(site):
  site.up(queues=("dns0", "dns1"))
  site.stop_serving("dns0")
  until(lambda: site.daemon.ctl("queue", "show", "dns0")["state"] == "down", BUSY + 2, "dns0 down")
  time.sleep(1)
  assert site.table() == set(BOTH) and site.heard() >= PREFIXES
  site.stop_serving("dns1")
  took = until(lambda: not site.table(), 2 * 0.2 + 0.15 + 0.1 + 1 + BUSY, "withdrawn: the server is dead")
  until(lambda: not site.heard(), BGP, f"withdrawn at the router, {took:.2f} s after the table")
  announced, reason = site.service()
  assert not announced and "queue dns0: " in reason and "refused" in reason
  assert "routes withdrawn (queue dns0: " in site.daemon.log()
  site.serve("dns1")
  until(lambda: site.heard() >= PREFIXES, BGP, "it is back")
  assert site.service() == (True, "")


def test_a_link_that_goes_takes_the_address_with_it(site):
  site.up(health=False)
  site.link("dns0", "down")
  until(lambda: not site.table(), 1 + BUSY, "withdrawn: the link is down")
  until(lambda: not site.heard(), BGP, "withdrawn at the router")
  assert site.service() == (False, f"{pk.V4.VIP}: queue dns0: no link: nobody is at the far end")
  site.link("dns0", "up")
  until(lambda: site.heard() >= PREFIXES, BGP, "it is back")


def test_a_drain_of_all_queues_withdraws(site):
  site.up(queues=("dns0", "dns1"))
  site.daemon.ctl("queue", "drain", "dns0")
  assert site.table() == set(BOTH) and site.service() == (True, "")
  site.daemon.ctl("queue", "drain", "dns1")
  assert site.service() == (False, f"{pk.V4.VIP}: queue dns0: drained")
  assert site.table() == set(), "in effect when the reply comes"
  site.daemon.ctl("queue", "undrain", "dns0")
  assert site.table() == set(BOTH)


def test_changes_are_in_the_table_when_the_reply_comes(site):
  site.up(health=False)
  site.daemon.ctl("service", "set", "web", f"--addresses={pk.V4.VIPB}", "--ports=tcp/80", "--queues=dns0")
  assert site.table() == {*BOTH, pk.V4.VIPB}
  site.daemon.ctl("service", "remove", "web")
  assert site.table() == set(BOTH)
  moved = site.config(health=False, table=7481, metric=77)
  site.daemon.apply(moved)
  assert site.table() == set() and site.table(7481) == set(BOTH)
  assert "metric 77" in site.n.ip("route", "show", "table", 7481)
  del moved["announce"]
  site.daemon.apply(moved)
  assert site.table(7481) == set()
  assert site.service() == (False, f"{pk.V4.VIP}: announce is not configured")
  site.daemon.apply(site.config(health=False))
  assert site.table() == set(BOTH)
  site.n.ip("route", "del", "blackhole", pk.V4.VIP, "table", TABLE)
  until(lambda: site.table() == set(BOTH), 1 + BUSY, "put back what somebody else has deleted")


def test_what_comes_and_goes_is_held_back(site):
  site.up(health=False, damping="60s")
  for _ in range(5):
    until(lambda: site.table() == set(BOTH), BUSY + 5, "announced")
    site.link("dns0", "down")
    until(lambda: not site.table(), BUSY + 1, "withdrawn")
    site.link("dns0", "up")
  until(lambda: site.daemon.ctl("service", "show", "dns")["state"] == "up", BUSY + 5, "the service is up")
  time.sleep(1)
  announced, reason = site.service()
  assert not announced and "withdrawn too often: held back for " in reason
  assert site.table() == set()
  site.daemon.apply(site.config(health=False, damping="0s"))
  assert site.table() == set(BOTH)


def test_a_second_daemon_keeps_off_the_table(site):
  site.up()
  other = site.config(health=False)
  other["uplinks"] = [{"name": "up0", "device": "veth:gwsecond"}]
  other["queues"] = [{"name": "q0", "device": "veth:gwqueue"}]
  other["services"] = [{"name": "web", "addresses": [pk.V4.VIPB], "ports": ["tcp/80"], "queues": ["q0"]}]
  other["node"]["unicast"] = [pk.V4.N2]
  other["metrics"] = {"listen": "127.0.0.1:9469"}
  with contextlib.closing(gw.Daemon(site.n, other, wait=False)) as second:
    assert second.process.wait(60) == 1
    assert 'announce.table: "7480" has the routes of another godwitd' in second.log(), second.log()
  other["announce"]["table"] = 7482
  with contextlib.closing(gw.Daemon(site.n, other)) as second:
    with pytest.raises(gw.Refused, match="announce.table"):
      second.apply({**other, "announce": {"table": TABLE}})
    second.process.kill()
  assert site.table() == set(BOTH) and site.service() == (True, "")


# -- FRR -----------------------------------------------------------------------------------------------------------------


def test_frr_exports_a_table_of_its_own_and_the_main_one():
  """FRR 8.4 reads tables up to 252, of IPv4 alone; of IPv6 it reads the main one."""
  with Site(lambda ns: Frr(ns, "n", documented("frr.conf, IPv4 alone") + documented("frr.conf, both families") +
                           NODE_FRR)) as s:
    s.serve("dns0")
    s.begin(s.config(table=100, metric=7480))
    until(lambda: f"{pk.V4.VIP}/32" in s.heard(), BGP, f"IPv4 by a table of its own; {s.speaker.log()}")
    s.stop_serving("dns0")
    until(lambda: not s.heard(), BGP, "withdrawn")
    s.serve("dns0")
    s.daemon.apply(s.config(table=254, metric=7480))
    until(lambda: s.heard() == PREFIXES, BGP, f"both by the main table; {s.speaker.show('show bgp ipv6')}")
    assert s.table(100) == set() and s.table(254) == set(BOTH)
    for ip in pk.FAMILIES:
      until(lambda ip=ip: s.reaches(ip), BGP, f"{ip.VIP} from the router")
    s.daemon.process.kill()
    s.daemon.process.wait()
    until(lambda: not s.table(254), HOLD + 0.5 + BUSY, "withdrawn after a kill")
    until(lambda: not s.heard(), BGP, "withdrawn at the router")
