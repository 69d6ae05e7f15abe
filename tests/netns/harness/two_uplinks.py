# SPDX-License-Identifier: BSD-3-Clause
"""A node with two uplinks and a router on each; clients and servers behind both routers.

            far                 198.51.100.200: clients of the service, servers that the crawler asks
          /     \\
        r1       r2             plain kernels that forward
        |         |
       br1       br2            switches: a router can die while the node keeps its link
        |         |
       wan0 node wan1           godwit; unicast address on lo, default route through r1 and r2
"""

import contextlib
import selectors
import socket
import struct
import threading
import time

from harness import packets as pk
from harness.bgp import Bird, documented
from harness.daemon import Daemon
from harness.netns import Netns, veth
from harness.routers import FAMILIES, SESSION, become_router, wait_for
from harness.world import WORKER_CPU

SERVICE = {4: "192.0.2.53", 6: "2001:db8:53::53"}
UNICAST = {4: "203.0.113.7", 6: "2001:db8:7::7"}
FAR = {4: "198.51.100.200", 6: "2001:db8:f::200"}
HOST = {4: 32, 6: 128}
ANY = {4: "0.0.0.0/0", 6: "::/0"}
PORT = 53
PULSE = 0.02      # seconds between two packets of a UDP flow, or two writes of a download
ROUTERS = (1, 2)


def between(number, end):
  """The link node - router: 1 is the router's end, 2 the node's."""
  return {4: f"198.51.100.{8 * number + end}", 6: f"2001:db8:{number}::{end}"}


class Site:
  def __init__(self, kind):
    self.kind = kind
    self._stack = contextlib.ExitStack()
    try:
      self._build()
    except BaseException:
      self._stack.close()
      raise

  def __enter__(self):
    return self

  def __exit__(self, *_):
    self._stack.close()

  def _build(self):
    space = {}
    for role in ("far", "r1", "r2", "sw", "n", "dns", "crawl"):
      space[role] = ns = Netns(role)
      self._stack.callback(ns.close)
      ns.sysctl(net__ipv6__conf__default__accept_dad=0, net__ipv6__conf__all__accept_dad=0)
    self.far, self.sw, self.n = space["far"], space["sw"], space["n"]
    self.r = {number: space[f"r{number}"] for number in ROUTERS}
    self.dns, self.crawl = space["dns"], space["crawl"]
    for family in FAMILIES:
      self.far.ip("addr", "add", f"{FAR[family]}/{HOST[family]}", "dev", "lo")
      self.n.ip("addr", "add", f"{UNICAST[family]}/{HOST[family]}", "dev", "lo")
    for number in ROUTERS:
      self._router(number)
    self.inbound(*ROUTERS)
    self.daemon = Daemon(self.n, self.config())
    self._stack.callback(self.daemon.close)
    self.node_routes(*ROUTERS)

  def _router(self, number):
    router = self.r[number]
    become_router(router)
    self.sw.ip("link", "add", f"br{number}", "type", "bridge", "mcast_snooping", 0)
    self.sw.ip("link", "set", f"br{number}", "up")
    for ns, name, port in ((self.n, f"wan{number - 1}", f"n{number}"), (router, "node", f"r{number}")):
      veth(ns, name, self.sw, port)
      self.sw.ip("link", "set", port, "master", f"br{number}")
    veth(router, "far", self.far, f"r{number}")
    for family in FAMILIES:
      length = {4: 29, 6: 64}[family]
      self._address(router, "node", between(number, 1)[family], length)
      self._address(router, "far", between(number + 8, 1)[family], length)
      self._address(self.far, f"r{number}", between(number + 8, 2)[family], length)
      if self.kind == "xdp":
        self._address(self.n, f"wan{number - 1}", between(number, 2)[family], length)
      router.ip(f"-{family}", "route", "add", FAR[family], "via", between(number + 8, 2)[family])
      for address in (SERVICE[family], UNICAST[family]):
        router.ip(f"-{family}", "route", "add", address, "via", between(number, 2)[family])

  @staticmethod
  def _address(ns, name, address, length):
    ns.ip("addr", "add", f"{address}/{length}", "dev", name, *(["nodad"] if ":" in address else []))

  def config(self):
    uplinks = []
    for number in ROUTERS:
      uplink = {"name": f"wan{number - 1}", "device": f"{self.kind}:wan{number - 1}"}
      if self.kind != "xdp":
        ends = between(number, 2)
        uplink |= {"kernel": f"gw{number - 1}", "addresses": [f"{ends[4]}/29", f"{ends[6]}/64"]}
      uplinks.append(uplink)
    return {
        "version": 1, "node": {"name": "n", "unicast": list(UNICAST.values())},
        "dataplane": {"workers": 2, "cpus": [WORKER_CPU], "max_flows": 16384, "hugepages": "off", "idle": "adaptive"},
        "uplinks": uplinks,
        "queues": [{"name": "dns0", "device": "veth:dns0", "netns": self.dns.name},
                   {"name": "crawl0", "device": "veth:crawl0", "netns": self.crawl.name}],
        "services": [{"name": "dns", "addresses": list(SERVICE.values()), "ports": [f"udp/{PORT}", f"tcp/{PORT}"],
                      "queues": ["dns0"]},
                     {"name": "crawler", "queues": ["crawl0"]}],
        "metrics": {"listen": "127.0.0.1:9467"}}

  # -- what an operator and the network do -------------------------------------------------------------------------

  def device(self, number):
    return f"wan{number - 1}" if self.kind == "xdp" else f"gw{number - 1}"

  def node_routes(self, *numbers):
    """The node's default routes: equal ones through these routers."""
    for family in FAMILIES:
      hops = [word for n in numbers for word in ("nexthop", "via", between(n, 1)[family], "dev", self.device(n))]
      self.n.ip(f"-{family}", "route", "replace", "default", *hops)

  def inbound(self, *numbers):
    """What comes to the node comes by these: the network's choice, not the node's."""
    for family in FAMILIES:
      hops = [word for n in numbers for word in ("nexthop", "via", between(n + 8, 1)[family])]
      for address in (SERVICE[family], UNICAST[family]):
        self.far.ip(f"-{family}", "route", "replace", address, "src", FAR[family], *hops)

  def router_dies(self, number):
    self.sw.ip("link", "set", f"r{number}", "down")

  def router_lives(self, number):
    self.sw.ip("link", "set", f"r{number}", "up")

  def link_dies(self, number):
    self.sw.ip("link", "set", f"n{number}", "down")

  def link_lives(self, number):
    self.sw.ip("link", "set", f"n{number}", "up")

  def bird(self, number):
    """The router's: it offers a default route to the node."""
    text = f"router id {between(number, 1)[4]};\nprotocol device {{}}\n"
    for family in FAMILIES:
      text += f"""protocol static {{ ipv{family}; route {ANY[family]} via {between(number + 8, 2)[family]}; }}
protocol bgp node{family} {{
  local {between(number, 1)[family]} as 65000; neighbor {UNICAST[family]} as 65001; multihop 2;
{SESSION}
  ipv{family} {{ import none; export all; next hop self; }};
}}
"""
    return Bird(self.r[number], f"r{number}", text)

  def node_bird(self):
    """With what docs/operations.md says of two uplinks."""
    return Bird(self.n, "n", f"router id {UNICAST[4]};\nprotocol device {{}}\n" + documented("bird.conf, two uplinks"))

  def default_routes(self):
    """Through which routers the kernel's default routes lead, by family."""
    return {family: {n for n in ROUTERS if f"via {between(n, 1)[family]} " in
                     self.n.ip(f"-{family}", "route", "show", "default")} for family in FAMILIES}

  def wait_for_gateways(self):
    def answer():
      states = {n["address"]: n["state"] for n in self.daemon.ctl("neighbor", "list")["neighbors"]}
      return all(states.get(between(number, 1)[family]) in ("reachable", "probe", "stale", "delay")
                 for number in ROUTERS for family in FAMILIES)
    wait_for("all gateways answer", answer, 30)


class Wire:
  """What comes from the node to a router: each source once."""

  def __init__(self, ns):
    with ns.inside():
      self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    self.socket.bind(("node", 0))
    self.socket.settimeout(0.1)
    self.sources, self.over = set(), threading.Event()
    self.thread = threading.Thread(target=self._listen, daemon=True)
    self.thread.start()

  def _listen(self):
    while not self.over.is_set():
      with contextlib.suppress(TimeoutError):
        frame, where = self.socket.recvfrom(2048)
        if where[2] == socket.PACKET_OUTGOING:
          continue
        kind = frame[12:14]
        if kind == b"\x08\x00":
          self.sources.add((4, frame[26:30], frame[23], struct.unpack("!H", frame[34:36])[0]))
        elif kind == b"\x86\xdd":
          self.sources.add((6, frame[22:38], frame[20], struct.unpack("!H", frame[54:56])[0]))

  def close(self):
    self.over.set()
    self.thread.join()
    self.socket.close()

  def why_not(self):
    """The sources that nothing of these tests may leave with."""
    bad = []
    for family, address, proto, port in self.sources:
      text = pk.text(address)
      own = text == UNICAST[family] or (text == SERVICE[family] and proto in (6, 17) and port == PORT)
      kernels = proto in (0, 58) and address[:2] in (b"\xfe\x80", b"\x20\x01")    # ND, MLD of the link itself
      if not own and not kernels:
        bad.append((text, proto, port))
    return bad


class Flow:
  """One UDP flow: a packet every PULSE, and when its echoes came."""

  def __init__(self, ns, family, to):
    with ns.inside():
      self.socket = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    self.socket.setblocking(False)
    self.socket.connect((to, PORT))
    self.heard = [time.monotonic()]


class Download:
  """One TCP connection on which the server writes and this end reads."""

  def __init__(self, ns, family, to):
    with ns.inside():
      self.socket = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_STREAM)
    self.socket.settimeout(10)
    self.socket.connect((to, PORT))
    self.socket.setblocking(False)
    self.bytes, self.lost = 0, None


class Traffic:
  """Flows and downloads of both families: clients of the service, and the crawler's."""

  def __init__(self, site, flows, downloads):
    self.selector = selectors.DefaultSelector()
    self.flows, self.downloads, self.writers, self.peers = [], [], [], set()
    for ns, address in ((site.dns, SERVICE), (site.far, FAR)):
      for family in FAMILIES:
        self._serve(ns, address[family], family)
    self.over = threading.Event()
    self.thread = threading.Thread(target=self._run, daemon=True)
    self.thread.start()
    try:
      self._begin(site, flows, downloads)
    except BaseException:
      self.close()
      raise

  def _begin(self, site, flows, downloads):
    for ns, to in ((site.far, SERVICE), (site.crawl, FAR)):
      for family in FAMILIES:
        for _ in range(flows):
          flow = Flow(ns, family, to[family])
          self.selector.register(flow.socket, selectors.EVENT_READ, ("flow", flow))
          self.flows.append(flow)
        for _ in range(downloads):
          download = Download(ns, family, to[family])
          self.selector.register(download.socket, selectors.EVENT_READ, ("download", download))
          self.downloads.append(download)

  def _serve(self, ns, address, family):
    kind = socket.AF_INET if family == 4 else socket.AF_INET6
    with ns.inside():
      echo = socket.socket(kind, socket.SOCK_DGRAM)
      listener = socket.socket(kind, socket.SOCK_STREAM)
    for s in (echo, listener):
      s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
      s.bind((address, PORT))
      s.setblocking(False)
    listener.listen(64)
    self.selector.register(echo, selectors.EVENT_READ, ("echo", echo))
    self.selector.register(listener, selectors.EVENT_READ, ("listener", listener))

  def _run(self):
    due = time.monotonic()
    while not self.over.is_set():
      for key, _ in self.selector.select(max(0, due - time.monotonic())):
        with contextlib.suppress(BlockingIOError):
          self._ready(*key.data)
      if time.monotonic() < due:
        continue
      due = time.monotonic() + PULSE
      for flow in list(self.flows):
        with contextlib.suppress(OSError):
          flow.socket.send(b"pulse")
      for writer in list(self.writers):
        with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionError):
          writer.send(b"d" * 1200)

  def _ready(self, kind, what):
    if kind == "echo":
      data, peer = what.recvfrom(2048)
      self.peers.add(peer[:2])
      with contextlib.suppress(OSError):
        what.sendto(data, peer)
    elif kind == "listener":
      connection, peer = what.accept()
      connection.setblocking(False)
      self.peers.add(peer[:2])
      self.writers.append(connection)
    elif kind == "flow":
      with contextlib.suppress(ConnectionError):
        what.socket.recv(2048)
        what.heard.append(time.monotonic())
    else:
      try:
        got = len(what.socket.recv(65536))
        what.bytes += got
        what.lost = what.lost or ("closed" if not got else None)
      except ConnectionError as error:
        what.lost = error
      if what.lost:
        self.selector.unregister(what.socket)

  def outage(self, since):
    """The longest that a flow heard nothing, from `since` on."""
    now = time.monotonic()
    longest = 0.0
    for flow in self.flows:
      times = [t for t in flow.heard if t >= since - 2 * PULSE] + [now]
      before = [t for t in flow.heard if t < since - 2 * PULSE]
      times = before[-1:] + times
      longest = max(longest, max(b - a for a, b in zip(times, times[1:])))
    return longest

  def silent(self, within=0.5):
    return [f for f in self.flows if time.monotonic() - f.heard[-1] > within]

  def close(self):
    self.over.set()
    self.thread.join()
    for key in list(self.selector.get_map().values()):
      key.fileobj.close()
    for s in self.writers:
      s.close()
    self.selector.close()
