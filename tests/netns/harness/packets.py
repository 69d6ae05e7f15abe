# SPDX-License-Identifier: BSD-3-Clause
"""Addresses of the conformance tables, builders for packets, and a parser that trusts nothing."""

import dataclasses
import socket
import struct

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

TCP_N, UDP_N, ICMP4_N, ICMP6_N = 6, 17, 1, 58


@dataclasses.dataclass(frozen=True)
class Family:
  """The names of conformance.md, section 0.1, in one address family."""
  v: int
  VIP: str
  VIPB: str
  VIPC: str    # a third service address: policy tests
  VIPD: str    # a fourth
  U: str
  GW: str      # the gateway on the uplink, played by the test
  N2: str      # a host on the link
  C: str
  S: str
  S2: str
  R: str
  I1: str
  I2: str
  D: str       # inside egress.direct
  plen: int
  icmp: int
  direct: str

  def __str__(self):
    return f"v{self.v}"

  @property
  def full(self):
    return 32 if self.v == 4 else 128


V4 = Family(4, "198.51.100.53", "198.51.100.80", "198.51.100.90", "198.51.100.91", "203.0.113.7", "203.0.113.1",
            "203.0.113.9", "192.0.2.100", "192.0.2.200", "192.0.2.201", "192.0.2.254", "10.64.0.2", "10.64.0.3",
            "198.18.7.7", 24, ICMP4_N, "198.18.0.0/15")
V6 = Family(6, "2001:db8:53::53", "2001:db8:53::80", "2001:db8:53::90", "2001:db8:53::91", "2001:db8:7::7",
            "2001:db8:7::1", "2001:db8:7::9", "2001:db8:c::100", "2001:db8:5::200", "2001:db8:5::201",
            "2001:db8:ffff::9", "fd00:64::2", "fd00:64::3", "2001:db8:d1::7", 64, ICMP6_N, "2001:db8:d1::/48")
FAMILIES = [V4, V6]


def packed(address):
  return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def text(raw):
  return socket.inet_ntop(socket.AF_INET6 if len(raw) == 16 else socket.AF_INET, raw)


def at(address, l4port):
  """ADDR:PORT as the command line spells it."""
  return f"[{address}]:{l4port}" if ":" in address else f"{address}:{l4port}"


def mac_bytes(mac):
  return bytes.fromhex(mac.replace(":", ""))


# -- builders: each returns the bytes from the IP header up ------------------------------------------------------


def header(src, dst, ttl=64, tos=0, flow_label=0, ip_flags=None, **fields):
  if ip_flags is not None:
    fields["flags"] = ip_flags
  if ":" in src:
    return IPv6(src=src, dst=dst, hlim=ttl, tc=tos, fl=flow_label, **fields)
  return IP(src=src, dst=dst, ttl=ttl, tos=tos, **fields)


def udp(src, dst, sport, dport, payload=b"hello", l4=None, **fields):
  return bytes(header(src, dst, **fields) / UDP(sport=sport, dport=dport, **(l4 or {})) / Raw(payload))


def tcp(src, dst, sport, dport, flags="S", seq=1000, ack=0, payload=b"", l4=None, **fields):
  segment = TCP(sport=sport, dport=dport, flags=flags, seq=seq, ack=ack, **(l4 or {}))
  return bytes(header(src, dst, **fields) / segment / Raw(payload))


def l4_packet(proto, src, dst, sport, dport, **fields):
  return (tcp if proto == "tcp" else udp)(src, dst, sport, dport, **fields)


def with_l4(src, dst, proto, body, **fields):
  """An IP packet around bytes that may be no valid `proto` at all."""
  if ":" in src:
    return bytes(header(src, dst, nh=proto, **fields) / Raw(body))
  return bytes(header(src, dst, proto=proto, **fields) / Raw(body))


def icmp(src, dst, kind, code, rest=b"\0\0\0\0", body=b"", **fields):
  """An ICMP or ICMPv6 message with its checksum right."""
  message = struct.pack("!BBH", kind, code, 0) + rest + body
  seed = pseudo(packed(src), packed(dst), ICMP6_N, len(message)) if ":" in src else b""
  message = message[:2] + struct.pack("!H", checksum(seed + message)) + message[4:]
  return with_l4(src, dst, ICMP6_N if ":" in src else ICMP4_N, message, **fields)


def echo(src, dst, ident, seq=1, payload=b"abcdefgh", reply=False, **fields):
  kind = (129 if reply else 128) if ":" in src else (0 if reply else 8)
  return icmp(src, dst, kind, 0, struct.pack("!HH", ident, seq), payload, **fields)


def set_v4_checksum(l3):
  ihl = (l3[0] & 15) * 4
  clear = l3[:10] + b"\0\0" + l3[12:]
  return clear[:10] + struct.pack("!H", checksum(clear[:ihl])) + clear[12:]


def ethernet(l3, dst, src, vlan=None, ethertype=None):
  kind = ethertype or (0x86DD if l3[:1] and l3[0] >> 4 == 6 else 0x0800)
  tag = b"" if vlan is None else struct.pack("!HH", 0x8100, vlan)
  return mac_bytes(dst) + mac_bytes(src) + tag + struct.pack("!H", kind) + l3


# -- checksums ---------------------------------------------------------------------------------------------------


def checksum(data):
  if len(data) % 2:
    data += b"\0"
  total = sum(struct.unpack(f"!{len(data) // 2}H", data))
  while total >> 16:
    total = (total & 0xFFFF) + (total >> 16)
  return ~total & 0xFFFF


def pseudo(src, dst, proto, length):
  if len(src) == 16:
    return src + dst + struct.pack("!II", length, proto)
  return src + dst + struct.pack("!BBH", 0, proto, length)


def adjust(old_sum, old, new):
  """RFC 1624, equation 3: a wrong sum stays wrong by the same amount."""
  total = ~old_sum & 0xFFFF
  for (m,) in struct.iter_unpack("!H", old):
    total += ~m & 0xFFFF
  for (m,) in struct.iter_unpack("!H", new):
    total += m
  while total >> 16:
    total = (total & 0xFFFF) + (total >> 16)
  return ~total & 0xFFFF


# -- parsing -----------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Packet:
  """One IP packet as seen; `raw` ends where the IP header says it ends."""
  raw: bytes
  v: int
  src: str
  dst: str
  proto: int
  l4: bytes
  ttl: int
  tos: int
  l4_at: int
  fragment: bool
  sport: int = -1
  dport: int = -1
  flags: str = ""
  kind: int = -1
  code: int = -1
  ident: int = -1

  @property
  def payload(self):
    if self.proto == UDP_N:
      return self.l4[8:]
    if self.proto == TCP_N:
      return self.l4[(self.l4[12] >> 4) * 4:]
    return self.l4[8:]

  @property
  def quote(self):
    """What an ICMP error quotes, parsed."""
    return parse(self.l4[8:])

  def __repr__(self):
    ends = f"{self.src}>{self.dst} proto {self.proto}"
    if self.sport >= 0:
      ends += f" {self.sport}>{self.dport} {self.flags}"
    if self.kind >= 0:
      ends += f" type {self.kind}/{self.code} id {self.ident}"
    return f"<{ends} ttl {self.ttl} len {len(self.raw)}>"


_FLAGS = "FSRPAUEC"


def parse(l3):
  """Bytes from the IP header up -> Packet; extension headers of IPv6 are walked."""
  v = l3[0] >> 4
  if v == 4:
    ihl, total = (l3[0] & 15) * 4, struct.unpack("!H", l3[2:4])[0]
    proto, raw, ttl, tos = l3[9], l3[:total], l3[8], l3[1]
    src, dst = text(l3[12:16]), text(l3[16:20])
    offset = struct.unpack("!H", l3[6:8])[0]
    fragment, first, l4_at = bool(offset & 0x3FFF), not offset & 0x1FFF, ihl
  else:
    total = 40 + struct.unpack("!H", l3[4:6])[0]
    proto, raw, ttl = l3[6], l3[:total], l3[7]
    tos = (struct.unpack("!H", l3[:2])[0] >> 4) & 255
    src, dst, l4_at, fragment, first = text(l3[8:24]), text(l3[24:40]), 40, False, True
    while proto in (0, 43, 44, 60) and len(raw) >= l4_at + 8:
      if proto == 44:
        fragment, first, step = True, not struct.unpack("!H", raw[l4_at + 2:l4_at + 4])[0] & 0xFFF8, 8
      else:
        step = (raw[l4_at + 1] + 1) * 8
      proto, l4_at = raw[l4_at], l4_at + step
  p = Packet(raw, v, src, dst, proto, raw[l4_at:], ttl, tos, l4_at, fragment)
  if not first:
    return p
  if proto in (TCP_N, UDP_N) and len(p.l4) >= 4:
    p.sport, p.dport = struct.unpack("!HH", p.l4[:4])
  if proto == TCP_N and len(p.l4) >= 14:
    p.flags = "".join(f for i, f in enumerate(_FLAGS) if p.l4[13] >> i & 1)
  if proto in (ICMP4_N, ICMP6_N) and len(p.l4) >= 8:
    p.kind, p.code = p.l4[0], p.l4[1]
    p.ident = struct.unpack("!H", p.l4[4:6])[0]
  return p


def l4_ok(l3):
  """Whether the L4 checksum is right (an IPv4 UDP zero counts as right)."""
  p = parse(l3)
  if p.proto == UDP_N and p.l4[6:8] == b"\0\0":
    return p.v == 4
  seed = b"" if p.proto == ICMP4_N else pseudo(packed(p.src), packed(p.dst), p.proto, len(p.l4))
  return checksum(seed + p.l4) == 0


def ip_ok(l3):
  return l3[0] >> 4 == 6 or checksum(l3[:(l3[0] & 15) * 4]) == 0
