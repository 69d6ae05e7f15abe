# SPDX-License-Identifier: BSD-3-Clause
"""Interfaces outlive the process: who is on the kernel's side of a TAP or a pair goes on with the one that he knows."""

import contextlib
import json
import os
import pathlib
import signal

from harness import packets as pk
from harness.netns import Netns
from harness.world import World, changed, queue, service, standard_config

QUEUES = ("dns0", "dns1", "web0", "crawl0")
HOLD = {"table": 7480, "hold": "60s", "linger": "0s"}
WORDS = ("ifindex", "ifname", "address", "mtu", "ifalias")


def config(web, crawl, announce):
  def edit(c):
    queue(c, "web0").update(device="tap:web0", netns=web.name)
    queue(c, "crawl0").update(netns=crawl.name)
    if announce:
      c["announce"] = HOLD
  return changed(standard_config("afpacket", QUEUES), edit)


@contextlib.contextmanager
def node(announce=True):
  """An uplink with its TAP, queues behind a TAP and a pair in namespaces of theirs, two pairs beside godwit."""
  with contextlib.ExitStack() as stack:
    web, crawl = Netns("web"), Netns("crawl")
    stack.callback(web.close)
    stack.callback(crawl.close)
    w = stack.enter_context(World(config(web, crawl, announce), kind="afpacket"))
    w.places = {"gw0": w.n, "dns0": w.n, "web0": web, "crawl0": crawl}
    # What is the operator's own goes with an interface, and so does a neighbour that is nowhere else.
    for name in ("gw0", "web0"):
      ns = w.places[name]
      ns.ip("addr", "add", "10.99.0.1/24", "dev", name)
      ns.ip("-6", "addr", "add", "2001:db8:99::1/64", "dev", name, "nodad")
      ns.ip("route", "add", "203.0.113.128/25", "via", "10.99.0.2", "dev", name)
      ns.ip("-6", "route", "add", "2001:db8:113:80::/60", "via", "2001:db8:99::2", "dev", name)
      ns.ip("neigh", "replace", "10.99.0.2", "lladdr", "02:00:00:00:99:02", "dev", name, "nud", "permanent")
      ns.ip("-6", "neigh", "replace", "2001:db8:99::2", "lladdr", "02:00:00:00:99:02", "dev", name, "nud", "permanent")
    yield w


def known(w):
  """All that the kernel has of the interfaces, but for what comes and goes."""
  found = {}
  for name, ns in w.places.items():
    link = json.loads(ns.ip("-j", "addr", "show", "dev", name))[0]
    found[name] = {word: link.get(word) for word in WORDS} | {
        "up": "UP" in link["flags"],
        "addresses": sorted(a["local"] for a in link["addr_info"]),
        "routes": sorted(line.replace(" linkdown", "").strip() for family in ("-4", "-6")
                         for line in ns.ip(family, "route", "show", "dev", name).splitlines()
                         if " expires " not in line),
        "neighbours": sorted(line for line in ns.ip("neigh", "show", "dev", name).splitlines() if "PERMANENT" in line)}
  return found


def carriers(w):
  """How often the carrier of a TAP has come or gone since it was made."""
  return {name: json.loads(w.places[name].ip("-s", "-s", "-j", "link", "show", "dev", name))[0]["stats64"]["tx"]
                ["carrier_changes"] for name in ("gw0", "web0")}


def is_as_before(w, before):
  now = known(w)
  for name, was in before.items():
    for what, value in was.items():
      assert now[name][what] == value, (name, what)


def descriptors(w):
  return sum(os.readlink(fd) == "/dev/net/tun" for fd in pathlib.Path(f"/proc/{w.daemon.process.pid}/fd").iterdir())


def goes_on(w):
  for ip in pk.FAMILIES:
    w.deliver(pk.udp(ip.C, ip.VIP, w.l4port(), 53), "dns0", "dns1")


def test_an_upgrade_keeps_interfaces_and_their_carrier():
  with node(announce=False) as w:
    before, changes, open_before = known(w), carriers(w), descriptors(w)
    assert open_before
    for _ in range(2):    # and what the second has inherited, the third does, too
      w.ctl("upgrade")
      is_as_before(w, before)
      assert carriers(w) == changes
    goes_on(w)
    assert descriptors(w) == open_before    # nothing but what it has opened itself


def test_a_successor_within_hold_finds_interfaces_with_their_carrier():
  with node() as w:
    before, changes = known(w), carriers(w)
    for _ in range(2):
      w.succeed(signal.SIGKILL)
      is_as_before(w, before)
      assert carriers(w) == changes
    goes_on(w)


def test_without_hold_a_crash_costs_the_carrier_and_nothing_else():
  with node(announce=False) as w:
    before, changes = known(w), carriers(w)
    w.succeed(signal.SIGKILL)
    is_as_before(w, before)
    assert carriers(w) == {name: count + 2 for name, count in changes.items()}
    goes_on(w)


def test_a_stop_takes_what_was_made():
  with node() as w:
    w.daemon.stop()
    assert {name for name, ns in w.places.items() if ns.has_link(name)} == set()


def test_what_the_next_file_no_longer_has_is_removed():
  with node() as w:
    def without(c):
      for name in ("web", "crawler"):
        c["services"].remove(service(c, name))
      for name in ("web0", "crawl0"):
        c["queues"].remove(queue(c, name))
      c["uplinks"][0]["kernel"] = "gw1"
    w.succeed(config=changed(w.config, without))
    assert {name for name, ns in w.places.items() if ns.has_link(name)} == {"dns0"}
    assert w.n.has_link("gw1")
    for name in ("web0", "crawl0"):
      assert not w.places[name].ip("addr", "show", "dev", "lo", "scope", "global").strip()
    assert "interface gw0: removed" in w.daemon.log(), w.daemon.log()
    goes_on(w)
