# SPDX-License-Identifier: BSD-3-Clause
"""Rule 3 of the contract over everything that was captured: nothing ever leaves with another source."""

import ipaddress
import struct

from harness.packets import TCP_N, UDP_N, packed, parse, text


class Allowed:
  """Who may be the source of what leaves."""

  def __init__(self, unicast, endpoints, vip_sources=()):
    """`endpoints`: {address: [(proto, low, high)]}; `vip_sources`: addresses of services with `originate: vip`."""
    self.unicast, self.endpoints, self.vip_sources = set(unicast), endpoints, set(vip_sources)

  @classmethod
  def of(cls, config):
    endpoints, vip = {}, set()
    for service in config.get("services", []):
      for address in service.get("addresses", []):
        ports = endpoints.setdefault(_norm(address), [])
        ports += [_range(p) for p in service.get("ports", [])]
        if service.get("originate") == "vip":
          vip.add(_norm(address))
    return cls({_norm(u) for u in config["node"]["unicast"]}, endpoints, vip)

  def widen(self, other):
    """What is on its way while one config follows another may be of either."""
    self.unicast |= other.unicast
    self.vip_sources |= other.vip_sources
    for address, ports in other.endpoints.items():
      self.endpoints.setdefault(address, []).extend(ports)

  def why_not(self, frame):
    """None when the frame may leave, else the reason in words."""
    if frame.ethertype == 0x0806:
      sender = text(frame.l3[14:18])
      return None if sender in self.unicast or sender == "0.0.0.0" else f"ARP from {sender}"
    if frame.ethertype not in (0x0800, 0x86DD):
      return f"ethertype {frame.ethertype:#06x}"
    try:
      p = parse(frame.l3)
    except (IndexError, ValueError, struct.error):
      return f"not an IP packet: {frame.l3.hex()}"
    if p.src in self.unicast:
      return None
    if p.v == 6 and (p.src == "::" or ipaddress.ip_address(p.src).is_link_local):
      return None if p.proto in (58, 0) else f"link-local {p!r}"
    if p.src not in self.endpoints:
      return f"source {p!r}"
    return None if p.src in self.vip_sources else self._why_not_service(p)

  def _why_not_service(self, p):
    if p.proto not in (TCP_N, UDP_N) or p.sport < 0 or "R" in p.flags:
      return None    # ICMP, later fragments, the reset that answers an unmatched port
    name = "tcp" if p.proto == TCP_N else "udp"
    if not any(proto == name and low <= p.sport <= high for proto, low, high in self.endpoints[p.src]):
      return f"service address on a port that is no service: {p!r}"
    return f"bare SYN from a service address: {p!r}" if p.flags == "S" else None


def _norm(address):
  return text(packed(str(address)))


def _range(spec):
  if "/" not in spec:
    return (spec, 0, 65535)
  proto, _, ports = spec.partition("/")
  low, _, high = ports.partition("-")
  return (proto, int(low), int(high or low))
