# SPDX-License-Identifier: BSD-3-Clause
"""Linux's own NAT between two raw ends, and one way to look at it and at a node: the same packets in, what came out with
all that two right translators may choose differently taken away."""

import contextlib
import json
import struct
import subprocess
import time

from harness import packets as pk
from harness.netns import PATIENCE, Netns, sh, veth
from harness.reference import translate, translate_error
from harness.wire import Wire

FENCE = 7777
# What the oracle must be told: it drops what it has no connection for, and has the timers of the RFCs.
SYSCTLS = {"udp_timeout": 300, "udp_timeout_stream": 300, "icmp_timeout": 60, "tcp_timeout_syn_sent": 240,
           "tcp_timeout_established": 7440, "tcp_loose": 0, "tcp_be_liberal": 1, "checksum": 1}
RULES = f"""
table inet oracle {{
  chain forwarding {{ type filter hook forward priority 0; ct state invalid drop; }}
  chain leaving {{
    type nat hook postrouting priority srcnat;
    oifname "out0" ip saddr 10.64.0.0/16 snat ip to {pk.V4.U}
    oifname "out0" ip6 saddr fd00:64::/64 snat ip6 to {pk.V6.U}
  }}
}}
"""
INSIDE = {4: "10.64.0.1", 6: "fd00:64::1"}


def mac_of(ns, ifname):
  return json.loads(sh("ip", "-n", ns.name, "-j", "link", "show", ifname))[0]["address"]


class Translator:
  """Something between an inside and an outside."""

  def __init__(self, inside, outside):
    self.ends = {"in": inside, "out": outside}
    self.fences, self.fence_l4port, self.ip = 0, 0, None

  def open_fence(self, ip):
    first = self.send("in", pk.udp(ip.I2, ip.S2, FENCE, 9), fenced=False, wait=1)
    assert [side for side, _ in first] == ["out"], first
    self.fence_l4port = pk.parse(first[0][1]).sport
    self.ip = ip

  def _pass_fence(self, side):
    self.fences += 1
    mark = f"fence {self.fences}".encode()
    ip = self.ip
    if side == "in":
      l3 = pk.udp(ip.I2, ip.S2, FENCE, 9, payload=mark)
    else:
      l3 = pk.udp(ip.S2, ip.U, 9, self.fence_l4port, payload=mark)
    other = self.ends["out" if side == "in" else "in"]
    end = time.monotonic() + PATIENCE
    self.ends[side].send(l3)
    while not other.frames(lambda p: p.proto == pk.UDP_N and p.payload == mark):
      assert time.monotonic() < end, f"a fence from {side} did not come"
      time.sleep(0.0005)

  def send(self, side, *l3s, fenced=True, wait=0):
    """[(side, bytes from the IP header up)] of all that comes out of it. What was sent after it on both sides has come
    before this returns, so what is not here does not come, unless it was kept back."""
    for wire in self.ends.values():
      wire.clear()
    for l3 in l3s:
      self.ends[side].send(l3)
    if fenced:
      for where in (side, "out" if side == "in" else "in"):
        self._pass_fence(where)
    end = time.monotonic() + wait * PATIENCE
    while True:
      seen = [(where, f.l3) for where, wire in self.ends.items() for f in wire.frames(lambda p: not is_fence(p))]
      if len(seen) >= wait or time.monotonic() > end:
        return [(where, pk.parse(l3).raw) for where, l3 in seen]
      time.sleep(0.001)


def is_fence(p):
  return p.proto == pk.UDP_N and p.payload.startswith(b"fence ")


class Linux(Translator):
  """nf_nat of this kernel in a namespace of its own. The outer two have no addresses: no stack is in the way."""
  name = "linux"

  def __init__(self, stack):
    spaces = {role: Netns(f"nf{role}") for role in ("in", "nat", "out")}
    for ns in spaces.values():
      stack.callback(ns.close)
    nat = spaces["nat"]
    for role in ("in", "out"):
      spaces[role].sysctl(net__ipv6__conf__default__disable_ipv6=1, net__ipv6__conf__all__disable_ipv6=1)
    nat.sysctl(net__ipv6__conf__default__accept_dad=0, net__ipv6__conf__default__accept_ra=0,
               net__ipv6__conf__default__router_solicitations=0)
    wires = {}
    for role, name in (("in", "in0"), ("out", "out0")):
      veth(nat, name, spaces[role], "far0")
      spaces[role].ip("link", "set", "far0", "up")
      wires[role] = Wire(spaces[role], "far0", mac_of(spaces[role], "far0"), {})
      stack.callback(wires[role].close)
      wires[role].peer = mac_of(nat, name)
    self._configure(nat, wires)
    super().__init__(wires["in"], wires["out"])

  @staticmethod
  def _configure(nat, wires):
    for family in pk.FAMILIES:
      flag = f"-{family.v}"
      inside_len, more = (16, []) if family.v == 4 else (64, ["nodad"])
      nat.ip(flag, "addr", "add", f"{INSIDE[family.v]}/{inside_len}", "dev", "in0", *more)
      nat.ip(flag, "addr", "add", f"{family.U}/{family.plen}", "dev", "out0", *more)
      for address, name, role in ((family.I1, "in0", "in"), (family.I2, "in0", "in"), (family.GW, "out0", "out")):
        nat.ip(flag, "neigh", "replace", address, "lladdr", wires[role].mac, "dev", name, "nud", "permanent")
      nat.ip(flag, "route", "replace", "default", "via", family.GW, "dev", "out0")
    nat.sysctl(net__ipv4__ip_forward=1, net__ipv6__conf__all__forwarding=1, net__ipv4__icmp_ratelimit=0,
               net__ipv4__icmp_ratemask=0, net__ipv6__icmp__ratelimit=0)
    subprocess.run(nat.enter("nft", "-f", "-"), input=RULES, text=True, check=True)
    nat.sysctl(**{f"net__netfilter__nf_conntrack_{key}": value for key, value in SYSCTLS.items()})


class Node(Translator):
  """godwit: a queue is the inside, the uplink the outside."""
  name = "godwit"

  def __init__(self, world, queue="crawl0"):
    self.world = world
    super().__init__(world.q[queue], world.up)


# -- what may differ -------------------------------------------------------------------------------------------------

ERRORS = {4: {3, 4, 5, 11, 12}, 6: {1, 2, 3, 4}}


def _set_l3(l3, ttl=None, ident=None):
  """TTL and the name of a datagram that is whole; a header checksum that was right stays right."""
  out = bytearray(l3)
  if ttl is not None:
    out[8 if l3[0] >> 4 == 4 else 7] = ttl
  if ident is not None:
    out[4:6] = struct.pack("!H", ident)
  return pk.set_v4_checksum(bytes(out)) if l3[0] >> 4 == 4 and pk.ip_ok(l3) else bytes(out)


class View:
  """What one translator did, in names that both have: `learn` says which flow has an l4port outside."""

  def __init__(self, ip):
    self.ip, self.names = ip, {}

  def learn(self, l3, number):
    """The l4port or identifier that a packet left with; it is called `number` from now on."""
    p = pk.parse(l3)
    given = p.sport if p.sport >= 0 else p.ident
    self.names[p.proto, given] = number
    return given

  def name(self, protocol, l4port):
    return self.names.get((protocol, l4port), l4port)

  def of(self, side, l3):
    p = pk.parse(l3)
    own = p.kind in ERRORS[p.v] and p.proto in (pk.ICMP4_N, pk.ICMP6_N)
    if side == "out" and p.src == self.ip.U and not own and (p.sport >= 0 or p.kind in (8, 128)):
      given = p.sport if p.sport >= 0 else p.ident
      l3 = translate(l3, sport=self.name(p.proto, given))
    elif own and len(p.l4) >= 36:
      with contextlib.suppress(IndexError, ValueError, struct.error):
        if p.quote.dst == self.ip.U and p.quote.dport >= 0:
          l3 = translate_error(l3, inner={"dport": self.name(p.quote.proto, p.quote.dport)})
    atomic = p.v == 4 and not p.fragment
    return side, _set_l3(l3, ttl=0, ident=0 if atomic else None).hex()


def brief(outcome):
  """'out udp', 'in icmp 3/4, out tcp RA'; '-' when nothing came."""
  def one(side, l3):
    p = pk.parse(l3)
    inner = "untranslated " if side == "out" and p.src in (pk.V4.I1, pk.V6.I1) else ""
    if p.kind >= 0:
      return f"{side} {inner}icmp {p.kind}/{p.code}"
    if p.proto == pk.TCP_N and p.flags:
      return f"{side} {inner}tcp {p.flags}"
    return f"{side} {inner}{ {pk.UDP_N: 'udp', pk.TCP_N: 'tcp'}.get(p.proto, p.proto)}"
  return ", ".join(one(*o) for o in outcome) or "-"
