# SPDX-License-Identifier: BSD-3-Clause
"""Unmodified programs: `netns:` queues (veth and tap) and the queue `kernel`; real sockets on both ends."""

import contextlib
import socket
import threading

import pytest
from harness import packets as pk
from harness.leaks import Allowed
from harness.netns import PATIENCE, Netns
from harness.wire import Wire
from harness.world import GATEWAY_MAC, World, changed, queue, service, standard_config


class Town:
  """A world whose uplink ends in a kernel: clients and remote servers are sockets there, and a raw end watches."""

  def __init__(self, kind, device):
    self._stack = contextlib.ExitStack()
    self.spaces = {}
    for name in ("dns0", "web0", "crawl0"):
      self.spaces[name] = Netns(name)
      self._stack.callback(self.spaces[name].close)
    queues = ("dns0", "web0", "crawl0")

    def edit(c):
      c["services"].insert(0, {"name": "dns", "addresses": [pk.V4.VIP, pk.V6.VIP], "ports": ["udp/53", "tcp/53"],
                               "queues": ["dns0"]})
      for name in queues:
        queue(c, name).update(device=f"{device}:{name}", netns=self.spaces[name].name)
      c["queues"] = [q for q in c["queues"] if q["name"] in queues]
      service(c, "dns")["queues"] = ["dns0"]
      c["services"].append({"name": "host", "addresses": [pk.V4.VIPC, pk.V6.VIPC], "ports": ["tcp/80", "udp/80", "icmp"],
                            "queues": ["kernel"]})
    try:
      self.w = self._stack.enter_context(World(changed(standard_config(kind, queues), edit), kind=kind, learn=False))
      self._populate()
    except BaseException:
      self._stack.close()
      raise

  def _populate(self):
    """The far end becomes a router's: gateway, client and remote server addresses in one kernel."""
    w = self.w
    w.up.hosts = {}
    # What has answered for the gateway until now had this MAC: who has asked already is right.
    w.w.ip("link", "set", "far0", "address", GATEWAY_MAC)
    w.w.sysctl(net__ipv6__conf__all__disable_ipv6=0, net__ipv6__conf__far0__disable_ipv6=0,
               net__ipv6__conf__lo__disable_ipv6=0)
    w.w.ip("addr", "add", f"{pk.V4.GW}/24", "dev", "far0")
    w.w.ip("addr", "add", f"{pk.V6.GW}/64", "dev", "far0", "nodad")
    for ip in pk.FAMILIES:
      for address in (ip.C, ip.S, ip.S2):
        w.w.ip("addr", "add", f"{address}/{ip.full}", "dev", "lo", *(["nodad"] if ip.v == 6 else []))
      family = [] if ip.v == 4 else ["-6"]
      for address in (ip.VIP, ip.VIPB, ip.VIPC):
        w.w.ip(*family, "route", "add", f"{address}/{ip.full}", "via", ip.U, "dev", "far0")
    for ip in pk.FAMILIES:    # the node's own program binds the service address on the node's loopback
      w.n.ip("addr", "add", f"{ip.VIPC}/{ip.full}", "dev", "lo", *(["nodad"] if ip.v == 6 else []))
    w.allowed = Allowed.of(w.config)

  def close(self):
    self._stack.close()


@pytest.fixture(scope="module", params=[("afpacket", "veth"), ("xdp", "veth"), ("afpacket", "tap")],
                ids=lambda p: f"{p[0]}-{p[1]}")
def town(request):
  t = Town(*request.param)
  yield t
  t.close()


def open_socket(ns, ip, kind, address=None, l4port=0):
  with ns.inside():
    s = socket.socket(socket.AF_INET if ip.v == 4 else socket.AF_INET6, kind)
  s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
  s.settimeout(PATIENCE)
  if address:
    s.bind((address, l4port))
  return s


@contextlib.contextmanager
def tcp_server(ns, ip, address, l4port, seen):
  """Sends back what it gets, in capitals; `seen` collects the peers."""
  listener = open_socket(ns, ip, socket.SOCK_STREAM, address, l4port)
  listener.listen(64)

  def serve():
    with contextlib.suppress(OSError):
      while True:
        connection, peer = listener.accept()
        seen.append(peer[0])
        connection.settimeout(PATIENCE)
        threading.Thread(target=answer, args=(connection,), daemon=True).start()

  def answer(connection):
    with contextlib.suppress(OSError), connection:
      while data := connection.recv(65536):
        connection.sendall(data.upper())

  listener.settimeout(None)
  threading.Thread(target=serve, daemon=True).start()
  try:
    yield
  finally:
    with contextlib.suppress(OSError):
      listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def exchange(s, data):
  s.sendall(data)
  got = b""
  while len(got) < len(data):
    part = s.recv(65536)
    if not part:
      break
    got += part
  return got


def fetch(ns, ip, to, l4port, data=b"hello", source=None):
  with open_socket(ns, ip, socket.SOCK_STREAM, source) as s:
    s.connect((to, l4port))
    return exchange(s, data)


def test_rule_1_a_server_on_the_service_address_answers_udp(town, ip):
  with open_socket(town.spaces["dns0"], ip, socket.SOCK_DGRAM, ip.VIP, 53) as server, \
      open_socket(town.w.w, ip, socket.SOCK_DGRAM, ip.C) as client:
    client.connect((ip.VIP, 53))    # a connected socket takes answers from this address only
    for i in range(20):
      client.send(b"query %d" % i)
      data, peer = server.recvfrom(2000)
      assert peer[0] == ip.C
      server.sendto(data.upper(), peer)
      assert client.recv(2000) == b"QUERY %d" % i


def test_rule_1_tcp_works_at_once_and_carries_bulk(town, ip):
  seen = []
  with tcp_server(town.spaces["web0"], ip, ip.VIPB, 443, seen):
    assert fetch(town.w.w, ip, ip.VIPB, 443, b"get", ip.C) == b"GET"
    data = bytes(range(97, 123)) * 20000    # half a megabyte both ways: offloads and MTUs must be right
    assert fetch(town.w.w, ip, ip.VIPB, 443, data, ip.C) == data.upper()
  assert set(seen) == {ip.C}


def test_ANY_07_a_program_bound_to_the_service_address_fetches(town, ip):
  """The classic mistake that this product exists to make harmless."""
  seen = []
  with tcp_server(town.w.w, ip, ip.S, 80, seen):
    assert fetch(town.spaces["dns0"], ip, ip.S, 80, b"crawl", ip.VIP) == b"CRAWL"
    assert fetch(town.spaces["crawl0"], ip, ip.S, 80, b"x" * 100000) == b"X" * 100000
  assert set(seen) == {ip.U}


def test_ANY_07_many_at_once(town, ip):
  seen, results = [], []
  with tcp_server(town.w.w, ip, ip.S, 80, seen):
    threads = [threading.Thread(target=lambda i=i: results.append(
        fetch(town.spaces["crawl0"], ip, ip.S, 80, b"n%d" % i) == b"N%d" % i)) for i in range(100)]
    for t in threads:
      t.start()
    for t in threads:
      t.join(3 * PATIENCE)
  assert results.count(True) == 100 and set(seen) == {ip.U}


def test_ANY_15_a_program_here_reaches_a_service_here(town, ip):
  seen = []
  with tcp_server(town.spaces["web0"], ip, ip.VIPB, 443, seen):
    assert fetch(town.spaces["crawl0"], ip, ip.VIPB, 443, b"local") == b"LOCAL"
    assert fetch(town.spaces["dns0"], ip, ip.VIPB, 443, b"local", ip.VIP) == b"LOCAL"
  assert set(seen) == {ip.U}
  assert not [p for p in town.w.up.packets() if p.dport == 443 or p.sport == 443], "on the wire"


def test_rule_1_a_closed_port_is_refused_at_once(town, ip):
  with open_socket(town.w.w, ip, socket.SOCK_STREAM, ip.C) as s, pytest.raises(ConnectionRefusedError):
    s.connect((ip.VIPB, 81))
  with open_socket(town.w.w, ip, socket.SOCK_DGRAM, ip.C) as s, pytest.raises(ConnectionRefusedError):
    s.connect((ip.VIP, 9))
    s.send(b"x")
    s.recv(10)


def test_ICE_06_a_program_hears_that_a_remote_port_is_closed(town, ip):
  with open_socket(town.spaces["crawl0"], ip, socket.SOCK_DGRAM) as s, pytest.raises(ConnectionRefusedError):
    s.connect((ip.S, 9))
    s.send(b"x")
    s.recv(10)
  with open_socket(town.spaces["crawl0"], ip, socket.SOCK_STREAM) as s, pytest.raises(ConnectionRefusedError):
    s.connect((ip.S, 9))


def test_ICQ_01_ping_from_the_namespace(town, ip):
  out = town.spaces["crawl0"].run("ping", f"-{ip.v}", "-c", "3", "-i", "0.2", "-W", "2", ip.S)
  assert " 3 received" in out


def test_ANY_18_ping_to_the_service_address(town, ip):
  out = town.w.w.run("ping", f"-{ip.v}", "-c", "3", "-i", "0.2", "-W", "2", ip.VIP)
  assert " 3 received" in out


def test_queue_kernel_serves(town, ip):
  seen = []
  with tcp_server(town.w.n, ip, ip.VIPC, 80, seen):
    assert fetch(town.w.w, ip, ip.VIPC, 80, b"root namespace", ip.C) == b"ROOT NAMESPACE"
    assert fetch(town.w.w, ip, ip.VIPC, 80, b"k" * 200000, ip.C) == b"K" * 200000
  assert set(seen) == {ip.C}


def test_queue_kernel_originates_under_rule_3(town, ip):
  """A program of the root namespace that has bound the service address."""
  seen = []
  with tcp_server(town.w.w, ip, ip.S, 80, seen):
    assert fetch(town.w.n, ip, ip.S, 80, b"from the node", ip.VIPC) == b"FROM THE NODE"
  assert set(seen) == {ip.U}


def on_the_wire(town, ip):
  """What left or came by the uplink from or to a service address, or with a port of these tests."""
  return [p for p in town.w.up.packets() if {p.src, p.dst} & {ip.VIPB, ip.VIPC} or {p.sport, p.dport} & {80, 443}]


def test_queue_kernel_is_reached_from_a_queue(town, ip):
  seen = []
  with tcp_server(town.w.n, ip, ip.VIPC, 80, seen):
    assert fetch(town.spaces["crawl0"], ip, ip.VIPC, 80, b"inside") == b"INSIDE"
    data = bytes(range(97, 123)) * 20000
    assert fetch(town.spaces["crawl0"], ip, ip.VIPC, 80, data) == data.upper()
    assert fetch(town.spaces["dns0"], ip, ip.VIPC, 80, b"from a service address", ip.VIP) == b"FROM A SERVICE ADDRESS"
  assert set(seen) == {ip.U}
  assert not on_the_wire(town, ip)


def test_queue_kernel_answers_datagrams_of_a_queue(town, ip):
  with open_socket(town.w.n, ip, socket.SOCK_DGRAM, ip.VIPC, 80) as server, \
      open_socket(town.spaces["crawl0"], ip, socket.SOCK_DGRAM) as client:
    client.connect((ip.VIPC, 80))
    for i in range(20):
      client.send(b"query %d" % i)
      data, peer = server.recvfrom(2000)
      assert peer[0] == ip.U
      server.sendto(data.upper(), peer)
      assert client.recv(2000) == b"QUERY %d" % i
  assert not on_the_wire(town, ip)


@pytest.mark.parametrize("discovery", [1, 5], ids=["want", "omit"])    # IP_PMTUDISC_WANT, the default, and _OMIT
def test_queue_kernel_answers_with_more_than_a_link_takes(town, ip, discovery):
  """Over loopback, where the kernel believes that it sends, 64 KiB are one packet: godwit cuts it."""
  answer = bytes(range(256)) * 32
  level, option = (socket.IPPROTO_IP, 10) if ip.v == 4 else (socket.IPPROTO_IPV6, 23)    # (IP|IPV6)_MTU_DISCOVER
  with open_socket(town.w.n, ip, socket.SOCK_DGRAM, ip.VIPC, 80) as server, \
      open_socket(town.spaces["crawl0"], ip, socket.SOCK_DGRAM) as client:
    server.setsockopt(level, option, discovery)
    for _ in range(3):
      client.sendto(b"all of it", (ip.VIPC, 80))
      _, peer = server.recvfrom(2000)
      server.sendto(answer, peer)
      assert client.recv(65536) == answer


def test_queue_kernel_is_not_there_and_a_queue_hears_of_it(town, ip):
  with open_socket(town.spaces["crawl0"], ip, socket.SOCK_STREAM) as s, pytest.raises(ConnectionRefusedError):
    s.connect((ip.VIPC, 80))
  with open_socket(town.spaces["crawl0"], ip, socket.SOCK_DGRAM) as s, pytest.raises(ConnectionRefusedError):
    s.connect((ip.VIPC, 80))
    s.send(b"x")
    s.recv(10)


def test_queue_kernel_is_pinged_from_a_queue(town, ip):
  before = town.w.counters()
  out = town.spaces["crawl0"].run("ping", f"-{ip.v}", "-c", "3", "-i", "0.2", "-W", "2", ip.VIPC)
  assert " 3 received" in out
  assert town.w.counters()["delivered"] >= before["delivered"] + 6, "answered by somebody else than the kernel"


def test_queue_kernel_reaches_a_queue(town, ip):
  """The other way: a program of the root namespace, with its service address, asks a service of another queue."""
  seen = []
  with tcp_server(town.spaces["web0"], ip, ip.VIPB, 443, seen):
    assert fetch(town.w.n, ip, ip.VIPB, 443, b"other way", ip.VIPC) == b"OTHER WAY"
    data = bytes(range(97, 123)) * 20000
    assert fetch(town.w.n, ip, ip.VIPB, 443, data, ip.VIPC) == data.upper()
  assert set(seen) == {ip.U}
  assert not on_the_wire(town, ip)


def test_ANY_15_a_program_of_the_node_reaches_a_service_here(town, ip):
  """With nothing bound: the kernel gives it the unicast address, and would send it out."""
  seen = []
  with tcp_server(town.spaces["web0"], ip, ip.VIPB, 443, seen):
    assert fetch(town.w.n, ip, ip.VIPB, 443, b"from the node") == b"FROM THE NODE"
    data = bytes(range(97, 123)) * 20000
    assert fetch(town.w.n, ip, ip.VIPB, 443, data) == data.upper()
  assert set(seen) == {ip.U}
  with open_socket(town.spaces["dns0"], ip, socket.SOCK_DGRAM, ip.VIP, 53) as server, \
      open_socket(town.w.n, ip, socket.SOCK_DGRAM) as client:
    client.connect((ip.VIP, 53))
    for size in (1, 1400, 8000):    # the last in fragments, both ways
      client.send(bytes(size))
      data, peer = server.recvfrom(65536)
      assert data == bytes(size) and peer[0] == ip.U
      server.sendto(bytes(size), peer)
      assert client.recv(65536) == bytes(size)
  assert not on_the_wire(town, ip)


def test_queue_kernel_is_asked_by_the_node_over_loopback(town, ip):
  """Between two programs of the root namespace: nothing for godwit to see."""
  def from_the_node():
    return {f["remote"] for f in town.w.flows(service="host") if f["proto"] == "tcp" and ip.U in f["remote"]}
  before = from_the_node()    # other queues' programs have asked
  with tcp_server(town.w.n, ip, ip.VIPC, 80, []):
    for source in (None, ip.U, ip.VIPC):
      assert fetch(town.w.n, ip, ip.VIPC, 80, b"loopback", source) == b"LOOPBACK"
  assert from_the_node() <= before
  assert not on_the_wire(town, ip)


def test_queue_kernel_is_listed_and_left_as_it_is(town):
  w = town.w
  row, = [q for q in w.ctl("queue", "list")["queues"] if q["name"] == "kernel"]
  assert row["state"] == "up" and row["services"] == ["host"] and row["device"].startswith("gw")
  assert row in [{**q, **{k: row[k] for k in row if k.endswith(("packets", "bytes"))}}
                 for q in w.ctl("status")["queues"]]
  with tcp_server(w.n, pk.V4, pk.V4.VIPC, 80, []):
    assert fetch(w.w, pk.V4, pk.V4.VIPC, 80, b"count me", pk.V4.C) == b"COUNT ME"
  shown = w.ctl("queue", "show", "kernel")
  assert shown["rx_packets"] > row["rx_packets"] and shown["tx_packets"] > row["tx_packets"]
  assert shown["inbound_flows"] >= 1
  generation = w.ctl("status")["generation"]
  for argv in (("set", "kernel", "--hop=router"), ("remove", "kernel"), ("drain", "kernel"), ("undrain", "kernel")):
    code, _, err = w.daemon.raw("queue", *argv)
    assert code == 1 and f"cannot {argv[0]} what is built in" in err and "service set" in err, err
  assert w.ctl("status")["generation"] == generation


def test_queue_kernel_leaves_the_nodes_own_loopback_alone(town, ip):
  """Between two addresses of the root namespace: the kernel's own ports, and clients at the unicast address."""
  before = town.w.counters()
  with tcp_server(town.w.n, ip, ip.U, 179, seen := []):
    assert fetch(town.w.n, ip, ip.U, 179, b"to itself", ip.VIPC) == b"TO ITSELF"
  assert set(seen) == {ip.VIPC}
  with tcp_server(town.w.n, ip, ip.VIPC, 80, seen := []):
    assert fetch(town.w.n, ip, ip.VIPC, 80, b"to itself", ip.U) == b"TO ITSELF"
  assert set(seen) == {ip.U}
  assert town.w.counters()["delivered"] == before["delivered"]


def test_rule_5_the_nodes_own_programs_use_the_unicast_address(town, ip):
  seen = []
  with tcp_server(town.w.w, ip, ip.S, 80, seen):
    assert fetch(town.w.n, ip, ip.S, 80, b"plain", ip.U) == b"PLAIN"
  assert set(seen) == {ip.U}
  with tcp_server(town.w.n, ip, ip.U, 179, seen := []):
    assert fetch(town.w.w, ip, ip.U, 179, b"bgp", ip.S) == b"BGP"
  assert set(seen) == {ip.S}


def test_netns_is_plumbed(town, ip):
  """Service addresses as /32 and /128 on the loopback, a default route, the interface under its name."""
  for name, address in (("dns0", ip.VIP), ("web0", ip.VIPB)):
    ns = town.spaces[name]
    assert ns.has_link(name) and not town.w.n.has_link(name)
    assert f"{address}/{ip.full}" in ns.ip(f"-{ip.v}", "-o", "addr", "show", "dev", "lo")
    assert f"dev {name}" in ns.ip(f"-{ip.v}", "route", "show", "default")


def test_the_raw_end_saw_all_of_it(town):
  """The leak check of every test above reads this wire: it must be a live one."""
  assert isinstance(town.w.up, Wire) and fetch_something(town)
  assert town.w.up.everything


def fetch_something(town):
  with tcp_server(town.w.w, pk.V4, pk.V4.S, 80, []):
    return fetch(town.spaces["crawl0"], pk.V4, pk.V4.S, 80, b"one more") == b"ONE MORE"
