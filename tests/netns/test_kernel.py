# SPDX-License-Identifier: BSD-3-Clause
"""Rule 5 and the end of rule 4: whatever else comes from an uplink goes to the kernel; what the kernel sends leaves as
it is if its source is the unicast address; ARP, ND and link-local pass; all other sources do not."""

import contextlib
import socket
import struct
import threading
import time

import pytest
from harness import packets as pk
from harness.netns import PATIENCE


@contextlib.contextmanager
def kernel_socket(w, ip, kind, address=None, l4port=0):
  """A socket of the node's own root namespace."""
  with w.n.inside():
    s = socket.socket(socket.AF_INET if ip.v == 4 else socket.AF_INET6, kind)
  s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
  s.settimeout(PATIENCE)
  if kind == socket.SOCK_STREAM:
    no_farewell(s)
  try:
    s.bind((address or ip.U, l4port))
    yield s
  finally:
    s.close()


def no_farewell(s):
  """Closed by a reset: no FIN that the kernel repeats into the tests that follow."""
  s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_ANY_11_tcp_to_a_port_outside_the_egress_range_is_the_kernels(w, ip):
  with kernel_socket(w, ip, socket.SOCK_STREAM, l4port=179) as s:
    s.listen()
    sport = w.l4port()
    w.up.send(pk.tcp(ip.S, ip.U, sport, 179, seq=100, ttl=255))
    p = w.one("up")
    assert (p.src, p.dst, p.flags) == (ip.U, ip.S, "SA") and pk.l4_ok(p.raw)
    w.reset()
    w.up.send(pk.tcp(ip.S, ip.U, sport, 179, flags="A", seq=101, ack=int.from_bytes(p.l4[4:8], "big") + 1))
    connection, peer = s.accept()
    assert peer[:2] == (ip.S, sport)
    no_farewell(connection)
    connection.close()
    assert w.collect(["up"], 1, lambda q: "R" in q.flags), "the kernel's reset did not leave"


def test_rule_5_udp_to_the_kernel_and_back(w, ip):
  with kernel_socket(w, ip, socket.SOCK_DGRAM, l4port=500) as s:
    before = w.counters()
    w.up.send(pk.udp(ip.S, ip.U, 500, 500, payload=b"ike"))
    data, peer = s.recvfrom(100)
    assert (data, peer[:2]) == (b"ike", (ip.S, 500))
    if w.kind != "xdp":
      assert w.counters()["punted"] == before["punted"] + 1
    s.sendto(b"ike too", (ip.S, 500))
    p = w.one("up")
    assert (p.src, p.sport, p.dst, p.dport, p.payload) == (ip.U, 500, ip.S, 500, b"ike too")
    assert pk.l4_ok(p.raw), "the kernel's partial checksum was sent as it was"


def test_rule_5_the_kernel_keeps_its_ephemeral_range(w, ip):
  """`ports: auto` is less the kernel's ephemeral range: its own connections work."""
  with kernel_socket(w, ip, socket.SOCK_DGRAM) as s:
    l4port = s.getsockname()[1]
    s.sendto(b"out", (ip.S, 123))
    p = w.one("up")
    assert (p.src, p.sport) == (ip.U, l4port)
    w.up.send(pk.udp(ip.S, ip.U, 123, l4port, payload=b"back"))
    assert s.recvfrom(100)[0] == b"back"


def stream(w, syn):
  """What a connection of the kernel has sent since its SYN, up to the first byte that is missing."""
  segments, data = {}, b""
  for p in w.up.packets():
    if p.sport == syn.sport and p.payload:
      assert pk.l4_ok(p.raw), f"a wrong checksum: {p!r}"
      segments[(struct.unpack("!I", p.l4[4:8])[0] - struct.unpack("!I", syn.l4[4:8])[0] - 1) % 2**32] = p.payload
  while len(data) in segments:
    data += segments[len(data)]
  return data


def test_rule_5_a_tcp_connection_of_the_kernel(w, ip):
  with kernel_socket(w, ip, socket.SOCK_STREAM) as s:
    thread = threading.Thread(target=s.connect_ex, args=((ip.S, 22),), daemon=True)
    thread.start()
    syn = w.one("up", match=lambda p: p.dport == 22)
    assert syn.src == ip.U and syn.flags == "S" and pk.l4_ok(syn.raw)
    w.up.send(pk.tcp(ip.S, ip.U, 22, syn.sport, flags="SA", seq=1, ack=int.from_bytes(syn.l4[4:8], "big") + 1))
    got = w.collect(["up"], 1, lambda p: p.flags == "A")
    assert got, "the kernel did not see the answer"
    thread.join(PATIENCE)
    sent, before = bytes(range(250)) * 16, w.counters()
    s.sendall(sent)
    # As many segments as the kernel makes of it, without a word on our MSS: 536 bytes (IPv4) or 1220 (IPv6) each.
    end = time.monotonic() + PATIENCE
    while (came := stream(w, syn)) != sent and time.monotonic() < end:
      time.sleep(0.01)
    assert came == sent, f"{len(came)} bytes of {len(sent)} came one after the other"
    assert not w.counters().drops_since(before)
  w.collect(["up"], 1, lambda q: "R" in q.flags)


def test_ANY_19_echo_to_the_unicast_address(w, ip):
  w.up.send(pk.echo(ip.S, ip.U, 0x5151, 2, payload=b"who are you"))
  p = w.one("up")
  assert (p.src, p.dst, p.ident) == (ip.U, ip.S, 0x5151) and p.kind == (0 if ip.v == 4 else 129)
  assert p.payload == b"who are you"


def test_rule_4_tcp_to_the_kernels_own_ephemeral_range_meets_the_kernel(w, ip):
  """A port that is not of egress.ports: the kernel answers as a host does."""
  w.up.send(pk.tcp(ip.S, ip.U, w.l4port(), 40000))
  p = w.one("up")
  assert p.src == ip.U and set(p.flags) == set("RA")


def test_IPH_04_the_kernels_ttl_is_untouched(w, ip):
  with kernel_socket(w, ip, socket.SOCK_DGRAM, l4port=179) as s:
    if ip.v == 4:
      s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 255)
    else:
      s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 255)
    s.sendto(b"gtsm", (ip.S, 179))
    assert w.one("up").ttl == 255


def test_rule_5_link_neighbours_are_answered_by_the_kernel(w, ip):
  mac = w.up.ask(ip.U, ip.GW)
  assert mac == w.up.peer


def test_rule_5_answers_come_once(w, ip):
  """A tap is not a second path: the kernel must not answer a frame twice."""
  w.up.send(pk.echo(ip.S, ip.U, 0x5252))
  w.one("up")
  time.sleep(0.1)
  assert len(w.up.packets()) == 1


@pytest.mark.parametrize("source", ["foreign", "internal"])
def test_ANY_12_the_kernel_cannot_leave_with_another_source(w, ip, source):
  """An address of the root namespace that is neither unicast nor service address."""
  address = {"foreign": ip.S2, "internal": ip.I1}[source]
  w.n.ip("addr", "add", f"{address}/{ip.full}", "dev", "lo", *(["nodad"] if ip.v == 6 else []))
  try:
    with kernel_socket(w, ip, socket.SOCK_DGRAM, address=address) as s:
      if w.kind == "xdp":    # a program on the kernel's way out: its own counter, if any
        s.sendto(b"leak", (ip.S, 80))
        w.silence(0.15)
      else:
        with w.drops(1, "leak_prevented"):
          s.sendto(b"leak", (ip.S, 80))
  finally:
    w.n.ip("addr", "del", f"{address}/{ip.full}", "dev", "lo", check=False)


def test_ANY_12_the_kernel_with_a_service_address_is_a_queue_under_rule_3(w, ip):
  """A program of the root namespace that uses a service address: translated, or not at all; never as it is."""
  w.n.ip("addr", "add", f"{ip.VIPB}/{ip.full}", "dev", "lo", *(["nodad"] if ip.v == 6 else []))
  try:
    with kernel_socket(w, ip, socket.SOCK_DGRAM, address=ip.VIPB) as s:
      sport = s.getsockname()[1]
      s.sendto(b"classic mistake", (ip.S, 80))
      got = w.collect(["up"], 1, timeout=0.4)
      assert all(p.src == ip.U for _, p in got), got
      if got:
        w.up.send(pk.udp(ip.S, ip.U, 80, got[0][1].sport, payload=b"answer"))
        data, _ = s.recvfrom(100)
        assert data == b"answer" and s.getsockname()[1] == sport
  finally:
    w.n.ip("addr", "del", f"{ip.VIPB}/{ip.full}", "dev", "lo", check=False)


def test_rule_5_link_local_passes(w):
  """The kernel's own link-local packets: ND works with them."""
  device = "wan0" if w.kind == "xdp" else "gw0"
  addresses = w.n.ip("-6", "-o", "addr", "show", "dev", device, "scope", "link")
  assert "fe80" in addresses, f"{device} has no link-local address"
  mine = addresses.split("inet6 ")[1].split("/")[0]
  assert w.up.ask(mine, pk.V6.GW) is not None, "no answer to a solicitation for the link-local address"


@pytest.mark.parametrize("w", ["xdp"], indirect=True)
def test_rule_5_a_tap_beside_the_kernels_interface_speaks_for_no_link(w):
  """On an `xdp:` uplink the TAP is the queue `kernel`: what the kernel says about itself there does not leave."""
  tap = "gw-wan0"
  assert "fe80" not in w.n.ip("-6", "addr", "show", "dev", tap)
  before = w.counters()
  with w.n.inside():
    index = socket.if_nametoindex(tap)
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
  with s:    # a listener on it, as a multicast name resolver would be
    group = socket.inet_pton(socket.AF_INET6, "ff15::4711")
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group + struct.pack("=I", index))
    end = time.monotonic() + PATIENCE
    while not (moved := w.counters().drops_since(before)) and time.monotonic() < end:
      time.sleep(0.02)
  assert set(moved) == {"leak_prevented"}, f"the kernel's report did not come to the TAP, or went on: {moved}"
  w.silence()


def test_L2_01_frames_for_another_mac(w, ip):
  before = w.counters()
  w.up.send(pk.udp(ip.C, ip.VIP, w.l4port(), 53), dst="02:00:00:00:99:99")
  w.silence(0.1)
  assert w.counters()["delivered"] == before["delivered"]
