# SPDX-License-Identifier: BSD-3-Clause
"""Whatever `rp_filter` the machine has, what comes by a TAP gets to the kernel: its own traffic on a bypass uplink, the
queue `kernel` on all. Its answers leave by another interface on an `xdp:` uplink, which is what the filter looks at."""

import socket

import pytest
from harness import packets as pk
from harness.netns import PATIENCE
from harness.world import World, changed, standard_config
from test_kernel import kernel_socket

OFF, STRICT, LOOSE = 0, 1, 2


class Filtering(World):
  """A node whose kernel looks at the reverse path, on all interfaces that there are and will be."""

  def __init__(self, kind, mode):
    self.mode = mode
    super().__init__(changed(standard_config(kind, ("dns0", "dns1")), self._with_kernel), kind=kind)

  @staticmethod
  def _with_kernel(config):
    config["services"].append({"name": "host", "addresses": [pk.V4.VIPC, pk.V6.VIPC], "ports": ["udp/53"],
                               "queues": ["kernel"]})

  def _namespace(self, role):
    ns = super()._namespace(role)
    if role == "n":
      ns.sysctl(net__ipv4__conf__all__rp_filter=self.mode, net__ipv4__conf__default__rp_filter=self.mode)
      for ip in pk.FAMILIES:
        ns.ip("addr", "add", f"{ip.VIPC}/{ip.full}", "dev", "lo", *(["nodad"] if ip.v == 6 else []))
    return ns


@pytest.fixture(scope="module", params=[(kind, mode) for kind in ("afpacket", "xdp") for mode in (OFF, STRICT, LOOSE)],
                ids=lambda p: f"{p[0]}-{('off', 'strict', 'loose')[p[1]]}")
def node(request):
  with Filtering(*request.param) as w:
    yield w


def ask(w, ip, address, l4port):
  """A datagram from the uplink to a socket of the kernel's, and what it answers."""
  with kernel_socket(w, ip, socket.SOCK_DGRAM, address, l4port) as s:
    s.settimeout(PATIENCE)
    sport = w.l4port()
    w.reset()
    w.up.send(pk.udp(ip.C, address, sport, l4port, payload=b"ask"))
    data, peer = s.recvfrom(100)
    assert (data, peer[:2]) == (b"ask", (ip.C, sport))
    s.sendto(b"answer", peer[:2])
  p = w.one("up")
  assert (p.src, p.sport, p.dst, p.dport, p.payload) == (address, l4port, ip.C, sport, b"answer")


def test_queue_kernel_under_any_reverse_path_filter(node, ip):
  ask(node, ip, ip.VIPC, 53)


def test_rule_5_under_any_reverse_path_filter(node, ip):
  ask(node, ip, ip.U, 500)


def test_queue_kernel_when_the_machine_becomes_strict(node, ip):
  """As a `sysctl --system` while godwit runs does it: `all` cannot make a TAP strict."""
  node.n.sysctl(net__ipv4__conf__all__rp_filter=STRICT)
  try:
    ask(node, ip, ip.VIPC, 53)
    ask(node, ip, ip.U, 500)
  finally:
    node.n.sysctl(net__ipv4__conf__all__rp_filter=node.mode)


def test_a_tap_takes_no_source_address_from_the_kernel(node):
  """What a TAP has to have an address at all is no address to send from."""
  for l3 in (pk.V4.S, pk.V4.GW, "198.18.0.1"):
    assert f"src {pk.V4.U} " in node.n.ip("route", "get", l3) + " "
  if node.kind == "xdp":
    assert "scope host" in node.n.ip("-4", "-o", "addr", "show", "dev", "gw-wan0")
