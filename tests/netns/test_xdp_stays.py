# SPDX-License-Identifier: BSD-3-Clause
"""On an `xdp:` uplink nothing that is ours reaches the kernel while no daemon is there to take it: the program stays on
the interface through a crash and an upgrade, and the kernel's own traffic goes on. Whoever ends a flow is seen on the
wire: every frame that the node sends is looked at."""

import contextlib
import signal
import socket
import threading
import time

import pytest
from harness import daemon as gw, packets as pk
from harness.announced import BUSY, HOLD, NODE_BIRD, Site, until
from harness.bgp import Bird, documented
from harness.netns import PATIENCE, Netns, veth
from harness.world import World, changed, standard_config
from test_programs import Town, fetch, open_socket, tcp_server

PUSH = 0.01    # seconds from one to the next of what a far end sends by itself
BLOCK = b"x" * 500
SSH = 22


def program(ns, ifname="wan0"):
  """The id of the XDP program of an interface; None: there is none."""
  shown = ns.ip("-d", "link", "show", ifname).split()
  return int(shown[shown.index("id", shown.index("prog/xdp")) + 1]) if "prog/xdp" in shown else None


def source_rule(ns, ifname="wan0"):
  return "godwit_egress" in ns.run("tc", "filter", "show", "dev", ifname, "egress", check=False)


class Flow:
  """Something that a far end sends all the time, and what of it has come."""

  def __init__(self, *threads):
    self.came, self.ended = 0, None
    self._over = threading.Event()
    self._threads = [threading.Thread(target=self._run, args=(t,), daemon=True) for t in threads]
    for t in self._threads:
      t.start()

  def _run(self, step):
    try:
      while not self._over.is_set():
        step()
    except OSError as error:
      self.ended = self.ended or repr(error)

  def goes_on(self):
    """A hundred more, however long those that were lost in between take to be sent again."""
    end, goal = time.monotonic() + 6 * PATIENCE, self.came + 100
    while self.came < goal:
      assert not self.ended, self.ended
      assert time.monotonic() < end, f"{goal - self.came} are missing"
      time.sleep(0.02)

  def close(self):
    self._over.set()
    for t in self._threads:
      t.join(PATIENCE)


class Download(Flow):
  """TCP: `source` in `ns` reads what a server in another namespace sends."""

  def __init__(self, stack, ip, server_ns, ns, to, l4port, source=None):
    listener = stack.enter_context(open_socket(server_ns, ip, socket.SOCK_STREAM, to, l4port))
    listener.listen(1)
    self.reader = stack.enter_context(open_socket(ns, ip, socket.SOCK_STREAM, source))
    self.reader.connect((to, l4port))
    self.writer = stack.enter_context(listener.accept()[0])
    self.writer.settimeout(0.2)
    self.reader.settimeout(0.2)
    super().__init__(self._write, self._read)
    stack.callback(self.close)

  def _write(self):
    time.sleep(PUSH)
    with contextlib.suppress(TimeoutError):
      self.writer.send(BLOCK)

  def _read(self):
    with contextlib.suppress(TimeoutError):
      got = self.reader.recv(1 << 16)
      if not got:
        raise OSError("closed by the other end")
      self.came += len(got) / len(BLOCK)


class Datagrams(Flow):
  """UDP: a remote sends to the mapping that a program has made, asked once."""

  def __init__(self, stack, ip, remote_ns, ns):
    self.remote = stack.enter_context(open_socket(remote_ns, ip, socket.SOCK_DGRAM, ip.S, 9000))
    self.local = stack.enter_context(open_socket(ns, ip, socket.SOCK_DGRAM))
    self.local.connect((ip.S, 9000))
    self.local.send(b"go on")
    self.remote.connect(self.remote.recvfrom(100)[1])
    self.local.settimeout(0.2)
    super().__init__(self._write, self._read)
    stack.callback(self.close)

  def _write(self):
    time.sleep(PUSH)
    self.remote.send(BLOCK)

  def _read(self):
    with contextlib.suppress(TimeoutError):
      self.local.recv(2000)
      self.came += 1


def endings(wire):
  """What the node has sent that ends a flow: resets, and errors that say nobody listens."""
  packets = [pk.parse(f.l3) for f in list(wire.everything) if f.ethertype in (0x0800, 0x86DD)]
  return [p for p in packets if "R" in p.flags or (p.proto, p.kind) in ((pk.ICMP4_N, 3), (pk.ICMP6_N, 1))]


def flows_of(stack, town, ip):
  far, spaces = town.w.w, town.spaces
  flows = [Download(stack, ip, far, spaces["crawl0"], ip.S, 8080),
           Download(stack, ip, spaces["web0"], far, ip.VIPB, 443, ip.C),
           Datagrams(stack, ip, far, spaces["crawl0"])]
  for flow in flows:
    flow.goes_on()
  return flows


@pytest.fixture(scope="module", name="town")
def _town():
  t = Town("xdp", "veth")
  yield t
  t.close()


def die(town):
  town.w.daemon.process.kill()
  town.w.daemon.process.wait()


def follow(town, wait=True):
  """Another daemon, on the socket and the state of the last one."""
  w = town.w
  w.daemon = gw.Daemon(w.n, w.config, directory=w.daemon.directory, wait=wait)
  w._stack.callback(w.daemon.close)


def kernel_answers(town, ip):
  """Whoever asks the node itself: SSH, say."""
  with tcp_server(town.w.n, ip, ip.U, SSH, []):
    assert fetch(town.w.w, ip, ip.U, SSH, b"login") == b"LOGIN"
  assert " 3 received" in town.w.w.run("ping", f"-{ip.v}", "-c", "3", "-i", "0.2", "-W", "2", ip.U)


def test_after_a_crash_nobody_answers_for_us_and_the_kernel_for_itself(town, ip):
  n = town.w.n
  with contextlib.ExitStack() as stack:
    flows = flows_of(stack, town, ip)
    for _ in range(2):
      before = program(n)
      die(town)
      end = time.monotonic() + 1.5
      while time.monotonic() < end:
        kernel_answers(town, ip)
      assert program(n) == before and source_rule(n)
      follow(town)
      assert program(n) not in (None, before) and source_rule(n)
      for flow in flows:
        flow.goes_on()
    assert not endings(town.w.up)
    kept = [line for line in town.w.daemon.log(1000).splitlines() if " kept back " in line]
    assert len(kept) >= 2 and all(int(line.split()[-2]) > 50 for line in kept), kept


def test_an_upgrade_leaves_no_moment_to_the_kernel(town, ip):
  n = town.w.n
  with contextlib.ExitStack() as stack:
    flows, before = flows_of(stack, town, ip), program(n)
    town.w.ctl("upgrade")
    assert program(n) not in (None, before) and source_rule(n)
    for flow in flows:
      flow.goes_on()
    assert not endings(town.w.up)


def test_a_successor_that_dies_before_it_is_ready_leaves_it_to_the_next(town, ip):
  n = town.w.n
  with contextlib.ExitStack() as stack:
    flows, before = flows_of(stack, town, ip), program(n)
    die(town)
    follow(town, wait=False)
    until(lambda: program(n) != before, PATIENCE + BUSY, "the successor's program")
    die(town)
    assert program(n) not in (None, before)
    kernel_answers(town, ip)
    follow(town)
    for flow in flows:
      flow.goes_on()
    assert not endings(town.w.up)


def test_a_clean_stop_leaves_all_to_the_kernel(town):
  """Which then ends what goes on: so these are seen where they are."""
  ip, n = pk.V4, town.w.n
  die(town)
  follow(town)
  with contextlib.ExitStack() as stack:
    flows_of(stack, town, ip)
    assert town.w.daemon.stop() == 0
    assert program(n) is None and not source_rule(n)
    until(lambda: {(p.proto, p.kind) for p in endings(town.w.up)} >= {(pk.TCP_N, -1), (pk.ICMP4_N, 3)}, PATIENCE,
          "a reset, and a port unreachable")
  follow(town)
  assert program(n)


@pytest.fixture(scope="module", name="site")
def _site():
  with Site(lambda ns: Bird(ns, "n", documented("bird.conf") + NODE_BIRD)) as s:
    yield s


def test_it_goes_with_the_routes_when_nobody_follows(site):
  site.up()
  before = program(site.n)
  site.daemon.process.kill()
  site.daemon.process.wait()
  time.sleep(HOLD / 2)
  assert site.table() and program(site.n) == before
  until(lambda: not site.table(), HOLD + BUSY, "withdrawn")
  until(lambda: program(site.n) is None, BUSY, "the program's end")
  until(lambda: not site.owners(), BUSY, "the owner's end")
  assert source_rule(site.n) and site.router.session_is_up()


def test_it_stays_when_somebody_follows(site):
  site.up()
  old, owners = site.daemon, set(site.owners())
  old.process.kill()
  old.process.wait()
  site.daemon = gw.Daemon(site.n, site.config())
  try:
    until(lambda: site.owners() and not owners & set(site.owners()), HOLD + BUSY + 5, "the first owner's end")
    time.sleep(HOLD + 0.5)
    assert program(site.n) and site.table()
  finally:
    old.close()


def test_an_uplink_that_is_taken_out_takes_it_along():
  """At run time, and between a crash and the next start."""
  with World(standard_config("veth", ("dns0", "dns1"))) as w, contextlib.ExitStack() as stack:
    far = Netns("far")
    stack.callback(far.close)
    veth(w.n, "wan1", far, "far1")
    one = w.config
    two = changed(one, lambda c: c["uplinks"].append({"name": "wan1", "device": "xdp:wan1"}))
    w.apply(two)
    assert program(w.n, "wan1")
    w.apply(one)
    assert program(w.n, "wan1") is None
    w.apply(two)
    w.succeed(signal.SIGKILL, one)
    assert program(w.n, "wan1") is None and not source_rule(w.n, "wan1")
    assert "removed the XDP program of a daemon that is gone" in w.daemon.log()
