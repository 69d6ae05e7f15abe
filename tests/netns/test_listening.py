# SPDX-License-Identifier: BSD-3-Clause
"""`egress.ports: auto` follows what the kernel listens on while godwit runs: the l4port is the kernel's, save that a
mapping that lives on it keeps it."""

import contextlib
import socket
import time

import pytest
from harness import packets as pk
from harness.netns import PATIENCE
from harness.world import World, standard_config
from test_kernel import no_farewell
from test_originate import comes_back, mapping

REST = 10    # seconds for which an l4port stays the kernel's when nobody listens on it any more


@pytest.fixture(scope="module", params=["afpacket", "xdp"])
def node(request):
  with World(standard_config(request.param, ("crawl0", "dns0", "dns1"), workers=2), kind=request.param) as w:
    yield w


def in_pool(w, l4port):
  """What `egress show` says; of all unicast addresses the same."""
  said = set()
  for address in w.ctl("egress", "show")["addresses"]:
    ranges = [part.split("-") for part in address["ports"].split(", ")]
    said.add(any(int(r[0]) <= l4port <= int(r[-1]) for r in ranges))
  assert len(said) == 1
  return said.pop()


def wait_until(condition, patience=PATIENCE):
  end = time.monotonic() + patience
  while time.monotonic() < end:
    if condition():
      return True
    time.sleep(0.05)
  return condition()


@contextlib.contextmanager
def listener(w, ip, proto, address, l4port):
  with w.n.inside():
    s = socket.socket(socket.AF_INET if ip.v == 4 else socket.AF_INET6,
                      socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM)
  with s:
    s.settimeout(PATIENCE)
    s.bind((address, l4port))
    if proto == "tcp":
      no_farewell(s)
      s.listen()
    yield s


def is_served(w, ip, proto, s, l4port):
  """A client of the kernel's own server gets through to it, and its answer leaves."""
  sport = w.l4port()
  w.reset()
  w.up.send(pk.l4_packet(proto, ip.S2, ip.U, sport, l4port))
  if proto == "tcp":
    answer = w.one("up", match=lambda p: p.dport == sport)
    assert set(answer.flags) == set("SA"), f"not the listener's: {answer!r}"
    w.up.send(pk.tcp(ip.S2, ip.U, sport, l4port, flags="R", seq=1001))
  else:
    _, peer = s.recvfrom(2000)
    assert peer[:2] == (ip.S2, sport)
    s.sendto(b"served", peer[:2])
    answer = w.one("up", match=lambda p: p.dport == sport)
  assert (answer.src, answer.sport) == (ip.U, l4port)


@pytest.mark.parametrize("where", ["unicast", "any"])
@pytest.mark.parametrize("proto", ["tcp", "udp"])
def test_MAP_07_CFG_05_who_listens_later_gets_its_port(node, ip, proto, where):
  w = node
  sport, l4port = mapping(w, "crawl0", proto, ip.I1, ip.S, 443)
  assert in_pool(w, l4port)
  generation = w.ctl("status")["generation"]

  def answered():
    flags = {"flags": "SA"} if proto == "tcp" else {}
    comes_back(w, "crawl0", pk.l4_packet(proto, ip.S, ip.U, 443, l4port, **flags), ip.I1, sport)

  answered()
  with listener(w, ip, proto, ip.U if where == "unicast" else "", l4port) as s:
    assert wait_until(lambda: not in_pool(w, l4port)), "still given out"
    is_served(w, ip, proto, s, l4port)
    answered()    # the mapping that lives there keeps it
    is_served(w, ip, proto, s, l4port)
  assert w.ctl("status")["generation"] == generation, "nobody has changed the configuration"


def test_MAP_07_what_nobody_listens_on_any_more_comes_back(node, ip):
  w, l4port = node, 21021 + ip.v
  with listener(w, ip, "udp", ip.U, l4port), listener(w, ip, "tcp", "", l4port + 100):
    assert wait_until(lambda: not in_pool(w, l4port) and not in_pool(w, l4port + 100))
  assert not in_pool(w, l4port), "a server that is started anew would find it taken"
  assert wait_until(lambda: in_pool(w, l4port) and in_pool(w, l4port + 100), REST + PATIENCE)


def test_MAP_07_what_is_not_at_the_unicast_address_does_not_matter(node, ip):
  w = node
  with listener(w, ip, "udp", "127.0.0.1" if ip.v == 4 else "::1", 21500 + ip.v), \
      listener(w, ip, "udp", ip.U, 21600 + ip.v):
    assert wait_until(lambda: not in_pool(w, 21600 + ip.v))
    assert in_pool(w, 21500 + ip.v)
