# SPDX-License-Identifier: BSD-3-Clause
"""Rules 5 and 6 for the node itself: a program of the root namespace asks a service of this node. The kernel gives it the
unicast address and knows of no other way than the uplink; it is the queue `kernel` all the same, translated as under
rule 3, and nothing is on the wire."""

import contextlib
import socket
import subprocess
import threading
import time

import pytest
from harness import packets as pk
from harness.netns import PATIENCE
from harness.world import UPLINKS, World, standard_config
from test_fragments import cut, whole
from test_kernel import no_farewell


@contextlib.contextmanager
def program(w, ip, kind, source=None):
  """A socket of the root namespace that binds nothing, as most do."""
  with w.n.inside():
    s = socket.socket(socket.AF_INET if ip.v == 4 else socket.AF_INET6, kind)
  s.settimeout(PATIENCE)
  if kind == socket.SOCK_STREAM:
    no_farewell(s)
  with s:
    if source:
      s.bind(source)
    yield s


def seen_at(w, ip, s, *queues, match=None):
  """What the program has sent, as the service sees it: from the unicast address and one of our l4ports."""
  p = w.one(*queues, match=match)
  address, sport = s.getsockname()[:2]
  assert (address, p.src) == (ip.U, ip.U) and p.sport != sport and pk.l4_ok(p.raw) and pk.ip_ok(p.raw)
  assert not 32768 <= p.sport <= 60999, "the kernel's own range"
  return p


def queue_of(w, p):
  return next(name for name, wire in w.q.items() if p in wire.packets())


def ask_udp(w, ip, s):
  """Asks, is answered, and returns the packet as it was seen."""
  w.reset()
  s.send(b"who?")
  p = seen_at(w, ip, s, "dns0", "dns1")
  assert (p.dst, p.dport, p.payload) == (ip.VIP, 53, b"who?")
  w.q[queue_of(w, p)].send(pk.udp(ip.VIP, ip.U, 53, p.sport, payload=b"me"))
  assert s.recv(100) == b"me"
  assert not w.up.packets(), "on the wire"
  return p


def test_ANY_15_the_node_asks_its_own_service(w, ip):
  with program(w, ip, socket.SOCK_DGRAM) as s:
    s.connect((ip.VIP, 53))
    assert len({ask_udp(w, ip, s).sport for _ in range(3)}) == 1
    flow, = [f for f in w.flows() if f["kind"] == "originated" and f["queue"] == "kernel"
             and f["local"] == pk.at(ip.U, s.getsockname()[1])]
    assert flow["remote"] == pk.at(ip.VIP, 53) and flow["translated"].startswith(pk.at(ip.U, 0)[:-1])


def test_ANY_15_the_node_connects_to_its_own_service(w, ip):
  with program(w, ip, socket.SOCK_STREAM) as s:
    thread = threading.Thread(target=s.connect_ex, args=((ip.VIPB, 443),), daemon=True)
    thread.start()
    syn = seen_at(w, ip, s, "web0", match=lambda p: p.flags == "S")
    isn = int.from_bytes(syn.l4[4:8], "big")
    w.reset()
    w.q["web0"].send(pk.tcp(ip.VIPB, ip.U, 443, syn.sport, flags="SA", seq=500, ack=isn + 1))
    thread.join(PATIENCE)
    s.sendall(b"GET")
    got = w.collect(["web0"], 1, lambda p: p.payload)
    assert got and got[0][1].payload == b"GET" and got[0][1].sport == syn.sport and pk.l4_ok(got[0][1].raw)
    w.q["web0"].send(pk.tcp(ip.VIPB, ip.U, 443, syn.sport, flags="PA", seq=501, ack=isn + 4, payload=b"200"))
    assert s.recv(100) == b"200"
    assert not w.up.packets(), "on the wire"
  w.collect(["web0"], 1, lambda p: "R" in p.flags)


def test_ANY_15_also_from_where_it_has_bound_itself(w, ip):
  """At the unicast address, at an l4port that could be ours."""
  with program(w, ip, socket.SOCK_DGRAM, source=(ip.U, w.l4port())) as s:
    s.connect((ip.VIP, 53))
    ask_udp(w, ip, s)


def ping(w, ip, address):
  return subprocess.Popen(w.n.enter("ping", f"-{ip.v}", "-c", "1", "-W", str(int(PATIENCE)), address),
                          stdout=subprocess.PIPE, text=True)


def test_ANY_15_echo_to_a_service_that_takes_it(w, ip):
  with ping(w, ip, ip.VIPC) as program_of_the_node:
    p = w.one("vip0")
    assert (p.src, p.dst, p.kind) == (ip.U, ip.VIPC, 8 if ip.v == 4 else 128) and pk.l4_ok(p.raw)
    w.q["vip0"].send(pk.icmp(ip.VIPC, ip.U, 0 if ip.v == 4 else 129, 0, rest=p.l4[4:8], body=p.l4[8:]))
    assert " 1 received" in program_of_the_node.communicate(timeout=2 * PATIENCE)[0]
  assert not w.up.packets(), "on the wire"


def test_ANY_18_echo_that_godwit_answers(w, ip):
  with ping(w, ip, ip.VIP) as program_of_the_node:
    assert " 1 received" in program_of_the_node.communicate(timeout=2 * PATIENCE)[0]
  w.silence()


def test_ANY_17_an_l4port_that_nobody_serves_is_refused(w, ip):
  before = w.counters()
  with program(w, ip, socket.SOCK_DGRAM) as s, pytest.raises(ConnectionRefusedError):
    s.connect((ip.VIP, 9))
    s.send(b"x")
    s.recv(10)
  with program(w, ip, socket.SOCK_STREAM) as s, pytest.raises(ConnectionRefusedError):
    s.connect((ip.VIP, 81))
  assert w.counters().drops_since(before) == {"svc_miss": 2}
  w.silence()


def test_ANY_17_or_nothing_is_said_where_that_is_configured(w, ip):
  with program(w, ip, socket.SOCK_DGRAM) as s, w.drops(1, "svc_miss"):
    s.connect((ip.VIPD, 9))
    s.send(b"x")


def test_ANY_12_what_cannot_be_translated_does_not_leave(w, ip):
  """A connection that began before the service came here: mid-stream."""
  with w.n.inside():
    raw = socket.socket(socket.AF_INET if ip.v == 4 else socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
  with raw, w.drops(1, "nat_tcp_nosyn"):
    raw.sendto(pk.tcp(ip.U, ip.VIPB, w.l4port(), 443, flags="PA", payload=b"more"), (ip.VIPB, 0))


def test_FRG_02_fragments_there_and_back(w, ip):
  data = bytes(i & 255 for i in range(3000))
  with program(w, ip, socket.SOCK_DGRAM) as s:
    s.connect((ip.VIP, 53))
    first = ask_udp(w, ip, s)
    w.reset()
    s.send(data)
    pieces = [p for _, p in w.arrives("dns0", "dns1", n=3)]
    came, ids = whole(pieces)
    assert len(ids) == 1 and {p.src for p in pieces} == {ip.U} and came[8:] == data
    assert int.from_bytes(came[:2], "big") == first.sport
    assert pk.l4_ok(pk.with_l4(ip.U, ip.VIP, pk.UDP_N, came))
    queue = queue_of(w, pieces[0])
    answer = pk.udp(ip.VIP, ip.U, 53, first.sport, payload=data)
    w.q[queue].send_all(reversed(cut(answer, (1024, 1024, 1024))))
    assert s.recv(5000) == data
    assert not w.up.packets(), "on the wire"


def test_ICE_09_errors_of_both_ends(w, ip):
  unreachable = (3, 3) if ip.v == 4 else (1, 4)
  with program(w, ip, socket.SOCK_DGRAM) as s:
    s.connect((ip.VIP, 53))
    p = ask_udp(w, ip, s)
    sport = s.getsockname()[1]
    queue = queue_of(w, p)
    w.q[queue].send(pk.icmp(ip.VIP, ip.U, *unreachable, body=p.raw))
    with pytest.raises(ConnectionRefusedError):
      s.recv(10)
  # It is gone, and the kernel says so.
  answer = pk.udp(ip.VIP, ip.U, 53, p.sport, payload=b"too late")
  w.reset()
  w.q[queue].send(answer)
  error = w.one(queue)
  assert (error.src, error.dst, error.kind, error.code) == (ip.U, ip.VIP, *unreachable) and pk.l4_ok(error.raw)
  assert (error.quote.dst, error.quote.dport) == (ip.U, p.sport) and p.sport != sport


def test_ICE_20_the_server_says_that_a_packet_is_too_big(w, ip):
  family = [] if ip.v == 4 else ["-6"]
  with program(w, ip, socket.SOCK_DGRAM) as s:
    s.connect((ip.VIPB, 443))
    s.send(bytes(1400))
    p = seen_at(w, ip, s, "web0")
    rest = b"\0\0" + (1300).to_bytes(2, "big")
    w.q["web0"].send(pk.icmp(ip.VIPB, ip.U, *((3, 4) if ip.v == 4 else (2, 0)), rest=rest, body=p.raw[:1200]))
    end = time.monotonic() + PATIENCE
    while "mtu 1300" not in w.n.ip(*family, "route", "get", ip.VIPB) and time.monotonic() < end:
      time.sleep(0.02)
    assert "mtu 1300" in w.n.ip(*family, "route", "get", ip.VIPB), "the kernel does not believe it"
  w.n.ip(*family, "route", "flush", "cache")
  assert not w.up.packets(), "on the wire"


def test_explain_says_what_such_packets_meet(w, ip):
  def explain(proto, sport, destination, l4port):
    return w.ctl("explain", proto, pk.at(ip.U, sport), pk.at(destination, l4port), "--from=kernel")
  new = explain("udp", 40000, ip.VIPB, 443)
  assert (new["verdict"], new["service"], new["queue"], new["translated"]) == ("delivered", "web", "web0", ip.U)
  nobody = explain("tcp", 40000, ip.VIP, 81)
  assert (nobody["verdict"], nobody["reason"]) == ("dropped", "svc_miss")
  assert explain("icmp", 7, ip.VIP, 0)["verdict"] == "consumed"
  away = explain("udp", 40000, ip.S, 53)
  assert (away["verdict"], away["reason"]) == ("sent", "the kernel's own: as it is")
  with program(w, ip, socket.SOCK_DGRAM) as s:
    s.connect((ip.VIP, 53))
    p = ask_udp(w, ip, s)
    known = explain("udp", s.getsockname()[1], ip.VIP, 53)
  assert (known["verdict"], known["queue"], known["translated"]) == ("delivered", "kernel", pk.at(ip.U, p.sport))


def test_what_is_not_served_here_leaves_as_it_is(w, ip):
  """The same addresses, but for one that is no service's."""
  with program(w, ip, socket.SOCK_DGRAM) as s:
    s.connect((ip.S, 53))
    s.send(b"away")
    p = w.one("up")
    assert (p.src, p.sport) == (ip.U, s.getsockname()[1])


@pytest.fixture(scope="module", params=UPLINKS)
def shared(request):
  with World(standard_config(request.param, workers=3), kind=request.param) as node:
    yield node


def test_ANY_15_on_whatever_worker(shared, ip):
  for _ in range(12):
    with program(shared, ip, socket.SOCK_DGRAM) as s:
      s.connect((ip.VIP, 53))
      ask_udp(shared, ip, s)
