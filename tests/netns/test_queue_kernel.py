# SPDX-License-Identifier: BSD-3-Clause
"""What the queue `kernel` needs of the node it runs on: the TAP beside an `xdp:` uplink."""

import contextlib
import socket

import pytest
from harness import packets as pk
from harness.world import World, changed, service, standard_config

QUEUES = ("dns0", "dns1", "web0", "crawl0")
HOST = {"name": "host", "addresses": [pk.V4.VIPC, pk.V6.VIPC], "ports": ["udp/80"], "queues": ["kernel"]}


def config(kind="veth", *edits):
  """The standard world with a service of the root namespace."""
  return changed(standard_config(kind, QUEUES), lambda c: c["services"].append(HOST), *edits)


@contextlib.contextmanager
def server(ns, ip):
  """A program of the root namespace, bound to the service address on its loopback."""
  ns.ip("addr", "replace", f"{ip.VIPC}/{ip.full}", "dev", "lo", *(["nodad"] if ip.v == 6 else []))
  with ns.inside():
    s = socket.socket(socket.AF_INET if ip.v == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
  with s:
    s.settimeout(3)
    s.bind((ip.VIPC, 80))
    yield s


@pytest.mark.parametrize("mtu", [1280, 1500])
def test_the_tap_beside_an_xdp_uplink_takes_what_uplink_and_queues_bring(mtu):
  with World(config("xdp"), kind="xdp", mtu=mtu) as w:
    for ip in pk.FAMILIES:
      whole = {"ip_flags": "DF"} if ip.v == 4 else {}
      with server(w.n, ip) as s:
        w.up.send(pk.udp(ip.C, ip.VIPC, w.l4port(), 80, payload=b"u" * (mtu - 100), **whole))
        assert s.recv(65536) == b"u" * (mtu - 100)
        w.q["crawl0"].send(pk.udp(ip.I1, ip.VIPC, w.l4port(), 80, payload=b"q" * 1400, **whole))
        data, peer = s.recvfrom(65536)
        assert data == b"q" * 1400 and peer[0] == ip.U
