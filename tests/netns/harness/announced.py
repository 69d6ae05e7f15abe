# SPDX-License-Identifier: BSD-3-Clause
"""A node that announces its addresses to a router across BGP."""

import contextlib
import os
import pathlib
import signal
import socket
import threading
import time

from harness import daemon as gw, packets as pk
from harness.bgp import Bird
from harness.netns import Netns, sh, veth
from harness.world import WORKER_CPU

BUSY = 3.0    # seconds more on a machine that has other things to do
BGP = 20.0    # for what a router hears; no time of ours
TABLE = 7480
HOLD, LINGER = 2.0, 3.0
BOTH = [pk.V4.VIP, pk.V6.VIP]
PREFIXES = {f"{pk.V4.VIP}/32", f"{pk.V6.VIP}/128"}
ROUTER = f"""
router id {pk.V4.GW};
protocol device {{}}
protocol kernel {{ ipv4 {{ import none; export all; }}; }}
protocol kernel {{ ipv6 {{ import none; export all; }}; }}
protocol bgp node {{
  local {pk.V4.GW} as 65000; neighbor {pk.V4.U} as 65001; connect retry time 1; error wait time 1, 2;
  ipv4 {{ import all; export none; }}; ipv6 {{ import all; export none; }};
}}
"""
NODE_BIRD = f"""
router id {pk.V4.U};
protocol device {{}}
protocol kernel {{ ipv4 {{ import none; export where source != RTS_INHERIT; }}; }}
protocol kernel {{ ipv6 {{ import none; export where source != RTS_INHERIT; }}; }}
protocol bgp upstream {{
  local {pk.V4.U} as 65001; neighbor {pk.V4.GW} as 65000; connect retry time 1; error wait time 1, 2;
  ipv4 {{ import none; export where source = RTS_INHERIT; }};
  ipv6 {{ import none; export where source = RTS_INHERIT; }};
}}
"""
NODE_FRR = f"""
router bgp 65001
 bgp router-id {pk.V4.U}
 no bgp ebgp-requires-policy
 neighbor {pk.V4.GW} remote-as 65000
 neighbor {pk.V4.GW} timers connect 1
 address-family ipv6 unicast
  neighbor {pk.V4.GW} activate
 exit-address-family
"""


def until(condition, within, what="it"):
  """Waits, and says how long it took."""
  begin = time.monotonic()
  while True:
    if condition():
      return time.monotonic() - begin
    assert time.monotonic() - begin < within, f"{what}: not within {within} s"
    time.sleep(0.01)


class Server:
  """Accepts and says nothing, at every address of a namespace."""

  def __init__(self, ns):
    with ns.inside():
      self.socket = socket.create_server(("::", 53), family=socket.AF_INET6, dualstack_ipv6=True)
    self.socket.settimeout(0.05)
    self.over = threading.Event()
    self.thread = threading.Thread(target=self._serve, daemon=True)
    self.thread.start()

  def _serve(self):
    while not self.over.is_set():
      with contextlib.suppress(OSError):
        self.socket.accept()[0].close()

  def close(self):
    self.over.set()
    self.thread.join()
    self.socket.close()


class Site:
  """A router, a node whose NIC stays the kernel's, and two namespaces with servers."""

  def __init__(self, speaker):
    self._stack = contextlib.ExitStack()
    self.servers, self.daemon = {}, None
    self.spaces = {q: self._namespace(q) for q in ("dns0", "dns1")}
    self.n, self.r = self._namespace("n"), self._namespace("r")
    for ns in (self.n, self.r):
      ns.sysctl(net__ipv6__conf__default__accept_dad=0)
    veth(self.n, "wan0", self.r, "far0")
    for ns, name, v4, v6 in ((self.n, "wan0", pk.V4.U, pk.V6.U), (self.r, "far0", pk.V4.GW, pk.V6.GW)):
      ns.ip("addr", "add", f"{v4}/{pk.V4.plen}", "dev", name)
      ns.ip("addr", "add", f"{v6}/{pk.V6.plen}", "dev", name, "nodad")
    self.n.set_interface("ipv4", "wan0", "arp_announce", 2)
    self.router = Bird(self.r, "r", ROUTER)
    self._stack.callback(self.router.close)
    self.speaker = speaker(self.n)
    self._stack.callback(self.speaker.close)

  def __enter__(self):
    return self

  def __exit__(self, *_):
    if self.daemon:
      self.kill_all()
      self.daemon.close()
    for q in list(self.servers):
      self.servers.pop(q).close()
    self._stack.close()

  def _namespace(self, role):
    ns = Netns(role)
    self._stack.callback(ns.close)
    return ns

  def config(self, queues=("dns0",), health=True, **announce):
    def check():
      return {"health": {"tcp": 53, "interval": "200ms", "timeout": "150ms", "rise": 1, "fall": 2}} if health else {}
    return {
        "version": 1, "node": {"name": "a", "unicast": [pk.V4.U, pk.V6.U]},
        "dataplane": {"cpus": [WORKER_CPU], "workers": 1, "idle": "adaptive", "max_flows": 16384},
        "uplinks": [{"name": "wan0", "device": "xdp:wan0", "gateway": [pk.V4.GW, pk.V6.GW]}],
        "queues": [{"name": q, "device": f"veth:{q}", "netns": self.spaces[q].name, **check()} for q in queues],
        "services": [{"name": "dns", "addresses": BOTH, "ports": ["tcp/53"], "queues": list(queues)}],
        "announce": {"table": TABLE, "hold": f"{HOLD:.0f}s", "linger": f"{LINGER:.0f}s", "damping": "0s", **announce},
        "metrics": {"listen": "127.0.0.1:9467"}}

  def begin(self, config, wait=True):
    if self.daemon:
      self.kill_all()
      self.daemon.close()
    self.daemon = gw.Daemon(self.n, config, wait=wait)

  def up(self, **config):
    """A new node, its servers up, its routes at the router; and no flap behind it."""
    for q in self.spaces:
      self.serve(q)
    self.begin(self.config(**config))
    until(lambda: self.table() == set(BOTH), BUSY + 5, "routes in the table")
    until(lambda: self.heard() >= PREFIXES, BGP, f"routes at the router; {self.speaker.log()}")

  def serve(self, q):
    if q not in self.servers:
      self.servers[q] = Server(self.spaces[q])

  def stop_serving(self, q):
    self.servers.pop(q).close()

  def link(self, q, state):
    self.spaces[q].ip("link", "set", q, state)

  # -- what there is -----------------------------------------------------------------------------------------------

  def table(self, table=TABLE):
    lines = (self.n.ip("route", "show", "table", table, check=False) +
             self.n.ip("-6", "route", "show", "table", table, check=False)).splitlines()
    return {line.split()[1] for line in lines if line.startswith("blackhole") and "proto 74" in line}

  def heard(self):
    return set(self.router.routes())

  def service(self):
    shown = self.daemon.ctl("service", "show", "dns")
    return shown["announced"], shown["announced_reason"]

  def reaches(self, ip):
    """A client at the router, by what BGP told it."""
    with self.r.inside(), contextlib.suppress(OSError):
      with socket.create_connection((ip.VIP, 53), timeout=1):
        return True
    return False

  def owners(self):
    """The processes of this namespace that own routes."""
    found = []
    for pid in sh("ip", "netns", "pids", self.n.name).split():
      with contextlib.suppress(OSError):    # it has ended meanwhile
        if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "godwit-routes":
          found.append(int(pid))
    return found

  def kill_all(self):
    """The daemon and who owns its routes, so that nothing is left for what comes next."""
    self.daemon.process.kill()
    self.daemon.process.wait()
    for pid in self.owners():
      with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    until(lambda: not self.owners(), BUSY, "the owner's end")
    self.n.ip("route", "flush", "table", TABLE, check=False)
    self.n.ip("-6", "route", "flush", "table", TABLE, check=False)
