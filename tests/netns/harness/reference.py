# SPDX-License-Identifier: BSD-3-Clause
"""What a translation must look like, byte for byte: the slow and obvious twin."""

import struct

from harness.packets import ICMP4_N, ICMP6_N, TCP_N, UDP_N, adjust, checksum, packed, parse, pseudo, set_v4_checksum


def translate(l3, src=None, sport=None, dst=None, dport=None, ttl=None):
  """Only addresses, ports or the echo id, and checksums change (MAP-21); a wrong L4 checksum stays wrong (CHK-01)."""
  p = parse(l3)
  out = bytearray(p.raw)
  old, new = b"", b""
  width, src_at = (4, 12) if p.v == 4 else (16, 8)
  for address, where in ((src, src_at), (dst, src_at + width)):
    if address is not None:
      old += bytes(out[where:where + width])
      out[where:where + width] = packed(address)
      new += packed(address)
  if p.proto == ICMP4_N:
    old, new = b"", b""    # no pseudo-header
  is_echo = p.proto in (ICMP4_N, ICMP6_N)
  for l4port, where in ((sport, 4 if is_echo else 0), (dport, 4 if is_echo else 2)):
    if l4port is not None:
      where += p.l4_at
      old += bytes(out[where:where + 2])
      out[where:where + 2] = struct.pack("!H", l4port)
      new += struct.pack("!H", l4port)
  _fix_l4(out, p, old, new)
  if ttl is not None:
    out[8 if p.v == 4 else 7] = ttl
  if p.v == 4:
    header = bytes(out[:20])
    was_right = checksum(p.raw[:(p.raw[0] & 15) * 4]) == 0
    if was_right:
      out = bytearray(set_v4_checksum(bytes(out)))
    else:
      out[10:12] = struct.pack("!H", adjust(struct.unpack("!H", p.raw[10:12])[0], p.raw[12:20], header[12:20]))
  return bytes(out)


def _fix_l4(out, p, old, new):
  where = {UDP_N: 6, TCP_N: 16, ICMP4_N: 2, ICMP6_N: 2}[p.proto] + p.l4_at
  if len(out) < where + 2:
    return    # a short quote: there is no checksum in it
  before = struct.unpack("!H", out[where:where + 2])[0]
  if p.proto == UDP_N and before == 0:
    return
  after = adjust(before, old, new)
  if p.proto == UDP_N and after == 0:
    after = 0xFFFF
  out[where:where + 2] = struct.pack("!H", after)


def translate_error(l3, src=None, dst=None, inner=None):
  """An ICMP error: outer addresses as told, the quoted packet translated as `inner` says (ICE-06, ICE-07)."""
  p = parse(l3)
  quote = bytes(p.l4[8:])
  q = translate_quote(quote, **(inner or {}))
  body = bytearray(p.l4[:8] + q)
  body[2:4] = b"\0\0"
  out = bytearray(p.raw[:p.l4_at]) + body
  width, src_at = (4, 12) if p.v == 4 else (16, 8)
  if src is not None:
    out[src_at:src_at + width] = packed(src)
  if dst is not None:
    out[src_at + width:src_at + 2 * width] = packed(dst)
  seed = b""
  if p.v == 6:
    seed = pseudo(bytes(out[8:24]), bytes(out[24:40]), ICMP6_N, len(body))
  out[p.l4_at + 2:p.l4_at + 4] = struct.pack("!H", checksum(seed + bytes(body)))
  return set_v4_checksum(bytes(out)) if p.v == 4 else bytes(out)


def translate_quote(quote, **inner):
  """The quote may be cut anywhere after the ports; never a byte is added, and none beyond it is touched."""
  v = quote[0] >> 4
  if v == 4:
    declared = struct.unpack("!H", quote[2:4])[0]
    extra = quote[declared:]
    return translate(quote, **inner) + extra if declared <= len(quote) else _cut(quote, inner)
  declared = 40 + struct.unpack("!H", quote[4:6])[0]
  extra = quote[declared:]
  return translate(quote, **inner) + extra if declared <= len(quote) else _cut(quote, inner)


def _cut(quote, inner):
  return translate(quote, **inner)[:len(quote)]


def endpoint_sum(l3):
  """The L4 checksum field as it stands."""
  p = parse(l3)
  where = {UDP_N: 6, TCP_N: 16, ICMP4_N: 2, ICMP6_N: 2}[p.proto]
  return struct.unpack("!H", p.l4[where:where + 2])[0]
