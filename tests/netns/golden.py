# SPDX-License-Identifier: BSD-3-Clause
"""Packets with known answers: conformance.md, section 6; G4 and G6 follow its rules."""

import collections

from harness import packets as pk

Vector = collections.namedtuple("Vector", "name into out")


def _vector(name, into, out):
  return Vector(name, bytes.fromhex(into), bytes.fromhex(out))


ORIGINATED = [
    _vector("G1", "450000211234400040115b8e0a400002c00002c89c400035000d528268656c6c6f",
            "4500002112344000401129c8cb007107c00002c8c7380035000df5c368656c6c6f"),
    _vector("G2", "4500001e1234400040115b910a400002c00002c89c410035000a5cbe399b",
            "4500001e12344000401129cbcb007107c00002c8c7390035000affff399b"),
    _vector("G3", "4500001e1234400040115b910a400002c00002c89c420035000affff9658",
            "4500001e12344000401129cbcb007107c00002c8c73a0035000aa3419658"),
    _vector("G5", "450000341234400040065b860a400002c00002c89c4401bb01020304000000008002faf000190000020405b4"
            "0402030307000000",
            "4500003412344000400629c0cb007107c00002c8c73c01bb01020304000000008002faf0a35a0000020405b4"
            "0402030307000000"),
    _vector("G7", "450000241234400040015b9b0a400002c00002c8080065f2007700016162636465666768",
            "4500002412344000400129d5cb007107c00002c80800a667c00100016162636465666768"),
    _vector("G10", "600abcde000d1140fd00006400000000000000000000000220010db80005000000000000000002009c400035"
            "000df26768656c6c6f",
            "600abcde000d114020010db800070000000000000000000720010db8000500000000000000000200c7380035"
            "000d970f68656c6c6f"),
    _vector("G11", "600abcde00103a40fd00006400000000000000000000000220010db80005000000000000000002008000c082"
            "007700016162636465666768",
            "600abcde00103a4020010db800070000000000000000000720010db80005000000000000000002008000d097"
            "c00100016162636465666768"),
]
# An UDP checksum of zero stays zero while address and port change (UDP-01).
_ZERO_IN = pk.udp(pk.V4.I1, pk.V4.S, 40003, 53, l4={"chksum": 0}, id=0x1234, flags="DF")
_ZERO_OUT = pk.udp(pk.V4.U, pk.V4.S, 51003, 53, l4={"chksum": 0}, id=0x1234, flags="DF")
ORIGINATED.append(Vector("G4", _ZERO_IN, _ZERO_OUT))


def _g6():
  """A TCP segment whose translated checksum is 0x0000: it stays so, only UDP turns it over (UDP-02)."""
  base = pk.tcp(pk.V4.U, pk.V4.S, 51005, 443, payload=b"\0\0", id=0x1234)
  word = int.from_bytes(base[36:38], "big")
  payload = word.to_bytes(2, "big")
  out = pk.tcp(pk.V4.U, pk.V4.S, 51005, 443, payload=payload, id=0x1234)
  assert out[36:38] == b"\0\0", out[36:38].hex()
  return Vector("G6", pk.tcp(pk.V4.I1, pk.V4.S, 40005, 443, payload=payload, id=0x1234), out)


ORIGINATED.append(_g6())

ECHO_TO_SERVICE = _vector("G13", "4500002412344000390142d8c0000264c6336435080081a80099000770696e672d766970",
                          "450000240000400040014e0cc6336435c0000264000089a80099000770696e672d766970")
