# SPDX-License-Identifier: BSD-3-Clause
"""One node under test and all that is around it: a gateway on the uplink, local programs on the queues."""

import contextlib
import copy
import os
import signal
import time

from harness import packets as pk
from harness.counters import Counters
from harness.daemon import Daemon
from harness.leaks import Allowed
from harness.netns import PATIENCE, Netns, veth
from harness.wire import Wire

GATEWAY_MAC = "02:00:00:00:00:01"
GATEWAY = {pk.V4.GW: GATEWAY_MAC, pk.V6.GW: GATEWAY_MAC}
UPLINKS = ("veth", "afpacket", "xdp")
QUEUES = ("dns0", "dns1", "web0", "crawl0", "vip0", "deny0")
# The second of the CPUs that we may use, as `dataplane.cpus` has it by default; the one that there is, else.
WORKER_CPU = sorted(os.sched_getaffinity(0))[:2][-1]
live = []    # the worlds that conftest checks after each test


def addresses(*names):
  return [getattr(family, name) for name in names for family in pk.FAMILIES]


def standard_config(kind="veth", queues=QUEUES, workers=1):
  """Every plane and policy at once; tests change a copy of it."""
  uplink = {
      "name": "wan0", "device": f"{kind}:wan0",
      "addresses": [f"{pk.V4.U}/{pk.V4.plen}", f"{pk.V6.U}/{pk.V6.plen}"], "gateway": addresses("GW")}
  if kind != "xdp":
    uplink["kernel"] = "gw0"
  services = [
      {"name": "dns", "addresses": addresses("VIP"), "ports": ["udp/53", "tcp/53"], "queues": ["dns0", "dns1"]},
      {"name": "web", "addresses": addresses("VIPB"), "ports": ["tcp/443", "udp/443", "tcp/8000-8009"],
       "queues": ["web0"]},
      {"name": "own", "addresses": addresses("VIPC"), "ports": ["udp/53", "tcp/443", "icmp"], "queues": ["vip0"],
       "originate": "vip"},
      {"name": "mute", "addresses": addresses("VIPD"), "ports": ["udp/53", "tcp/443"], "queues": ["deny0"],
       "originate": "deny", "unmatched": "silent"},
      {"name": "crawler", "queues": ["crawl0"]}]
  services = [s for s in services if set(s["queues"]) <= set(queues)]
  return {
      "version": 1, "node": {"name": "bb", "unicast": addresses("U")},
      "dataplane": {"cpus": [WORKER_CPU], "workers": workers, "idle": "adaptive", "max_flows": 262144},
      "uplinks": [uplink], "queues": [{"name": q, "device": f"veth:{q}"} for q in queues], "services": services,
      "egress": {"ports": "auto", "direct": [pk.V4.direct, pk.V6.direct]}}


def changed(config, *edits):
  """A deep copy with each edit (a function of the copy) done to it."""
  config = copy.deepcopy(config)
  for edit in edits:
    edit(config)
  return config


def service(config, name):
  return next(s for s in config["services"] if s["name"] == name)


def queue(config, name):
  return next(q for q in config["queues"] if q["name"] == name)


class World:
  """Starts everything on `with`, removes everything after it, also when a step fails half way."""

  def __init__(self, config=None, kind="veth", mtu=1500, vlan=None, learn=True, uplink_rxqs=1):
    self.kind, self.mtu, self.vlan, self.learn, self.rxqs = kind, mtu, vlan, learn, uplink_rxqs
    self.config = config or standard_config(kind)
    self.q, self.up, self.daemon = {}, None, None
    self._l4port = 20000
    self._stack = contextlib.ExitStack()

  def __enter__(self):
    try:
      self._build()
    except BaseException:
      self._stack.close()
      raise
    live.append(self)
    self._stack.callback(live.remove, self)
    return self

  def __exit__(self, *_):
    self._stack.close()

  def _namespace(self, role):
    ns = Netns(role)
    self._stack.callback(ns.close)
    return ns

  def _build(self):
    self.n = self._namespace("n")
    self.n.sysctl(net__ipv4__ip_forward=0, net__ipv6__conf__default__accept_ra=0,
                  net__ipv6__conf__default__accept_dad=0, net__ipv6__conf__default__router_solicitations=0)
    if self.kind in ("afpacket", "xdp"):
      self.w = self._namespace("w")
      self.w.sysctl(net__ipv6__conf__default__disable_ipv6=1, net__ipv6__conf__all__disable_ipv6=1)
      self._uplink_pair()
    self.allowed = Allowed.of(self.config)
    self._attach_gateway()
    self.daemon = Daemon(self.n, self.config)
    self._stack.callback(self.daemon.close)
    self.attach()

  def _uplink_pair(self):
    if self.rxqs > 1:
      self.n.ip("link", "add", "wan0", "mtu", self.mtu, "numrxqueues", self.rxqs, "numtxqueues", self.rxqs, "type",
                "veth", "peer", "name", "far0", "mtu", self.mtu, "numrxqueues", self.rxqs, "numtxqueues", self.rxqs,
                "netns", self.w.name)
      for ns, name in ((self.n, "wan0"), (self.w, "far0")):
        ns.no_offloads(name)
        ns.run("ethtool", "-L", name, "rx", self.rxqs, "tx", self.rxqs, check=False)
        ns.ip("link", "set", name, "up")
    else:
      veth(self.n, "wan0", self.w, "far0", self.mtu)
    if self.kind == "xdp":    # the kernel keeps this interface: it is configured as any other
      self.n.set_interface("ipv4", "wan0", "arp_announce", 2)    # and its owner keeps service addresses out of ARP
      self.n.ip("addr", "add", f"{pk.V4.U}/{pk.V4.plen}", "dev", "wan0")
      self.n.ip("addr", "add", f"{pk.V6.U}/{pk.V6.plen}", "dev", "wan0", "nodad")
      self.n.ip("route", "replace", "default", "via", pk.V4.GW, "dev", "wan0")
      self.n.ip("-6", "route", "replace", "default", "via", pk.V6.GW, "dev", "wan0")

  def restart(self, config=None):
    """A new daemon in the same namespaces, the old one killed if it still runs."""
    for wire in self.wires():
      wire.close()
    self.q, self.up = {}, None
    self.daemon.close()
    self.config = config or self.config
    self.allowed = Allowed.of(self.config)
    self._attach_gateway()
    self.daemon = Daemon(self.n, self.config)
    self._stack.callback(self.daemon.close)
    self.attach()

  def succeed(self, how=signal.SIGKILL, config=None, meanwhile=lambda: None):
    """The daemon ends by this signal, and another one starts on the same socket: with the state of the first."""
    for wire in self.wires():
      wire.close()
    self.q, self.up = {}, None
    first = self.daemon
    first.process.send_signal(how)
    first.process.wait(30)
    meanwhile()
    self.config = config or self.config
    self.allowed = Allowed.of(self.config)
    self._attach_gateway()
    self.daemon = Daemon(self.n, self.config, directory=first.directory)
    self._stack.callback(self.daemon.close)
    self.learn = False    # warming up would flush what is there
    self.attach()
    self.learn_macs()

  # -- the ends --------------------------------------------------------------------------------------------------

  def _attach_gateway(self):
    """Where the link is there before the daemon, so is the gateway."""
    if self.kind in ("afpacket", "xdp"):
      self.up = self._wire(self.w, "far0", GATEWAY_MAC, GATEWAY)
      self.up.vlan = self.vlan

  def attach(self):
    """Opens the raw ends of every link of the running daemon."""
    if not self.up:
      far_end = self.config["uplinks"][0]["device"].split(":")[1]
      self._quiet(far_end)
      self.up = self._wire(self.n, far_end, GATEWAY_MAC, GATEWAY)
    self.up.vlan = self.vlan
    for i, q in enumerate(self.config["queues"]):
      kind, _, ifname = q["device"].partition(":")
      if kind == "veth" and "netns" not in q:
        self.attach_queue(q["name"], ifname, i)
    if self.learn:
      self.learn_macs()
      self.warm_up()

  def attach_queue(self, name, ifname, i):
    self._quiet(ifname)
    self.q[name] = self._wire(self.n, ifname, f"02:00:00:00:01:{i:02x}", Wire.ANY)

  def _quiet(self, ifname):
    """The kernel's own end of a link that only scapy speaks on: no MLD, no duplicate address detection."""
    self.n.set_interface("ipv6", ifname, "disable_ipv6", 1)
    self.n.ip("link", "set", ifname, "up")

  def _wire(self, ns, ifname, mac, hosts):
    wire = Wire(ns, ifname, mac, hosts)
    self._stack.callback(wire.close)
    return wire

  def learn_macs(self):
    self.up.peer = self.up.ask(pk.V4.U, pk.V4.GW)
    if not self.up.peer:
      raise RuntimeError(f"nobody answers ARP for {pk.V4.U} on the uplink\n{self.daemon.log()}")
    for name, wire in self.q.items():
      wire.peer = wire.ask("10.64.0.1", pk.V4.I1)
      if not wire.peer:
        raise RuntimeError(f"godwit answers no ARP on queue {name}\n{self.daemon.log()}")

  def warm_up(self):
    """Until an echo of each family has come back: gateway and queues are then resolved."""
    for family in pk.FAMILIES:
      service_address = self.config["services"][0]["addresses"][family.v == 6]
      probe = pk.echo(family.C, service_address, 7)
      end = time.monotonic() + PATIENCE
      while time.monotonic() < end:
        self.up.send(probe)
        if self.up.wait(lambda p: p.src == service_address, timeout=0.2) or self._anywhere():
          break
      else:
        raise RuntimeError(f"no echo from {service_address} within {PATIENCE} s\n{self.daemon.log()}")
    self._resolve_gateways()
    self._resolve_queues()

  def _resolve_gateways(self):
    end = time.monotonic() + PATIENCE
    wanted = set(self.config["uplinks"][0].get("gateway", []))
    while not wanted <= self.resolved() and time.monotonic() < end:
      time.sleep(0.02)

  def resolved(self):
    return {n["address"] for n in self.ctl("neighbor", "list")["neighbors"] if n.get("mac")}

  def _resolve_queues(self):
    """godwit has asked each queue for the service addresses it serves: what comes from now on finds it resolved."""
    for s in self.config["services"]:
      endpoint = next((p for p in s.get("ports", []) if "/" in p), None)
      queues = [r["queue"] if isinstance(r, dict) else r for r in s["queues"]]
      if not endpoint or not set(queues) <= set(self.q):
        continue
      proto, port = endpoint.split("-")[0].split("/")
      for address in s.get("addresses", []):
        family = pk.FAMILIES[":" in address]
        left, end = set(queues), time.monotonic() + 1
        while left and time.monotonic() < end:
          self.up.send_all([pk.l4_packet(proto, family.C, address, 1024 + i, int(port)) for i in range(32)])
          left -= {where for where, _ in self.collect(queues, 1, lambda p, a=address: p.dst == a, timeout=0.05)}
    self.flush()
    time.sleep(0.02)
    self.reset()

  def _anywhere(self):
    return any(wire.packets() for wire in self.q.values())

  # -- packets ---------------------------------------------------------------------------------------------------

  def l4port(self, n=1):
    """A source port that no other test of this world uses."""
    self._l4port += n
    return self._l4port - n

  def reset(self):
    for wire in self.wires():
      wire.clear()

  def wires(self):
    return [self.up, *self.q.values()] if self.up else []

  def wire(self, where):
    return self.up if where == "up" else self.q[where]

  def collect(self, places, n=1, match=None, timeout=PATIENCE):
    """[(where, Packet)] once `n` arrived at any of the places together, or what there is when time is over."""
    end = time.monotonic() + timeout
    while True:
      got = [(where, p) for where in places for p in self.wire(where).packets() if match is None or match(p)]
      if len(got) >= n or time.monotonic() >= end:
        return got
      time.sleep(0.002)

  def arrives(self, *places, n=1, match=None, timeout=PATIENCE):
    """Exactly `n` packets in these places together, and none of them in any other."""
    got = self.collect(places, n, match, timeout)
    time.sleep(0.01)
    everywhere = self.collect(["up", *self.q], len(got) + 1, match, timeout=0)
    assert len(got) == n and len(everywhere) == n, (
        f"expected {n} at {'/'.join(places)}, seen: {everywhere}; drops: {self.counters().dropped}")
    return got

  def passes(self, place, before):
    """Whether what was just sent comes out there; False once a drop counter has moved since `before` instead."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
      if self.wire(place).packets():
        return True
      if dropped := self.counters().drops_since(before):
        assert sum(dropped.values()) == 1, dropped
        return False
      time.sleep(0.01)
    raise AssertionError(f"neither at {place} nor dropped; drops: {self.counters().dropped}")

  def one(self, *places, **how):
    return self.arrives(*places, **how)[0][1]

  def silence(self, settle=0.02):
    """Nothing has come out anywhere."""
    time.sleep(settle)
    seen = self.collect(["up", *self.q], 1, timeout=0)
    assert not seen, f"expected silence, seen: {seen}"

  def deliver(self, l3, *queues):
    """From the uplink to one of the queues, unchanged from the IP header up; returns the queue."""
    self.reset()
    self.up.send(l3)
    where, p = self.arrives(*queues)[0]
    assert p.raw == l3[:len(p.raw)] and len(p.raw) == len(pk.parse(l3).raw), (
        f"changed on the way to {where}:\n{l3.hex()}\n{p.raw.hex()}")
    return where

  def originate(self, queue_name, l3, expect_at="up"):
    """From a queue, translated: returns the packet that left. What it looks like is checked by the caller."""
    self.reset()
    self.q[queue_name].send(l3)
    return self.one(expect_at)

  # -- counters --------------------------------------------------------------------------------------------------

  def ctl(self, *argv):
    return self.daemon.ctl(*argv)

  def counters(self):
    return Counters(self.daemon.ctl("counters"))

  @contextlib.contextmanager
  def drops(self, n, *reasons, silent=True, timeout=PATIENCE):
    """Exactly one drop counter moves, by exactly `n`; with `silent` nothing comes out anywhere."""
    self.reset()
    before = self.counters()
    yield
    end = time.monotonic() + timeout
    while True:
      moved = self.counters().drops_since(before)
      if sum(moved.values()) >= n or time.monotonic() >= end:
        break
      time.sleep(0.01)
    if silent:
      self.silence()
    seen = self.collect(["up", *self.q], 1, timeout=0)
    assert sum(moved.values()) == n and len(moved) == 1, (
        f"expected {n} x {' or '.join(reasons) or 'any reason'}, moved: {moved}; seen: {seen}")
    if reasons:
      assert set(moved) <= set(reasons), f"expected the counter {' or '.join(reasons)}, moved: {moved}"

  def flows(self, **filters):
    return self.ctl("flow", "list", *[f"--{k}={v}" for k, v in filters.items()]).get("flows", [])

  def flow_count(self):
    return len(self.flows(limit=1000000))

  def flush(self):
    self.ctl("flow", "flush")

  def apply(self, config):
    """Applies a config; both the old and the new sources are allowed until the next check."""
    reply = self.daemon.apply(config)
    self.config = config
    self.allowed.widen(Allowed.of(config))
    return reply

  # -- what holds after every test -------------------------------------------------------------------------------

  def check_standing(self):
    """Alive, every packet accounted for, nothing left with a wrong source."""
    assert self.daemon.alive(), f"godwitd is gone: exit {self.daemon.process.returncode}\n{self.daemon.log()}"
    counters = self.counters()
    assert counters.imbalance() == 0, f"rule 7: off by {counters.imbalance()}: {counters.raw}"
    leaks = [why for f in self.up.everything if (why := self.allowed.why_not(f))] if self.up else []
    assert not leaks, f"rule 3: left the uplink: {leaks[:10]}"
    self.allowed = Allowed.of(self.config)
