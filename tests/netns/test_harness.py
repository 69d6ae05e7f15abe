# SPDX-License-Identifier: BSD-3-Clause
"""The instrument before the measurement: the reference translation against the golden vectors, and the leak check."""

import golden
import pytest
from harness import leaks, packets as pk, reference, wire

pytestmark = pytest.mark.no_daemon


@pytest.mark.parametrize("vector", golden.ORIGINATED, ids=lambda v: v.name)
def test_reference_translates_golden_vector(vector):
  p = pk.parse(vector.out)
  l4port = p.ident if p.sport < 0 else p.sport
  assert reference.translate(vector.into, src=p.src, sport=l4port) == vector.out


def test_reference_keeps_a_wrong_checksum_wrong():
  good = pk.udp("10.64.0.2", "192.0.2.200", 40000, 53)
  bad = good[:-1] + bytes([good[-1] ^ 1])
  out = reference.translate(bad, src="203.0.113.7", sport=51000)
  assert not pk.l4_ok(out) and pk.l4_ok(reference.translate(good, src="203.0.113.7", sport=51000))


@pytest.mark.parametrize("family", pk.FAMILIES, ids=str)
def test_reference_translates_quotes_of_any_length(family):
  whole = pk.tcp(family.U, family.S, 51000, 443, flags="PA", payload=b"x" * 40)
  head = 20 if family.v == 4 else 40
  for n in range(8, 41):
    quote = whole[:head + n]
    error = pk.icmp(family.R, family.U, 3 if family.v == 4 else 1, 1, body=quote)
    out = reference.translate_error(error, dst=family.I1, inner={"src": family.I1, "sport": 40000})
    assert pk.l4_ok(out) and len(out) == len(error)
    assert (pk.parse(out).quote.src, pk.parse(out).quote.sport) == (family.I1, 40000)


def test_leak_check_sees_a_leak():
  config = {"node": {"unicast": [pk.V4.U]}, "services": [{"addresses": [pk.V4.VIP], "ports": ["udp/53"]}]}
  allowed = leaks.Allowed.of(config)

  def why(l3):
    return allowed.why_not(wire.split(pk.ethernet(l3, "02:00:00:00:00:01", "02:00:00:00:00:02")))

  assert why(pk.udp(pk.V4.I1, pk.V4.S, 1, 2))
  assert why(pk.udp(pk.V4.VIP, pk.V4.S, 45000, 53))
  assert why(pk.tcp(pk.V4.VIP, pk.V4.S, 53, 80)) and not why(pk.udp(pk.V4.VIP, pk.V4.S, 53, 80))
  assert not why(pk.udp(pk.V4.U, pk.V4.S, 45000, 53))
