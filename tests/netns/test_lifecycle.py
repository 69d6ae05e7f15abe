# SPDX-License-Identifier: BSD-3-Clause
"""Start, stop, restart, a second one, peers that go away: the node comes up whole and leaves nothing behind."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

import pytest
from harness import daemon as gw, packets as pk
from harness.netns import PATIENCE, Netns
from harness.world import WORKER_CPU, World, changed, queue, standard_config

QUEUES = ("dns0", "dns1", "web0", "crawl0")


@pytest.fixture
def node(request):
  kind = getattr(request, "param", "veth")
  with World(standard_config(kind, QUEUES), kind=kind) as w:
    yield w


def first_within(seconds, attempt, tries=3):
  """The first of a few tries that takes less: one that something else on this machine has slowed down proves nothing."""
  took = [attempt()]
  while took[-1] >= seconds and len(took) < tries:
    took.append(attempt())
  assert took[-1] < seconds, f"took {took}"


@pytest.mark.parametrize("kind", ["afpacket", "xdp"])
def test_ready_means_that_a_live_gateway_is_resolved(kind):
  with World(standard_config(kind, QUEUES), kind=kind) as node:
    # As the kernel makes it: link-local addresses are checked for a second or two before they are used.
    node.n.sysctl(net__ipv6__conf__default__accept_dad=1)

    def start():
      node.daemon.close()
      begun = time.monotonic()
      node.daemon = gw.Daemon(node.n, node.config)
      took = time.monotonic() - begun
      assert {pk.V4.GW, pk.V6.GW} <= node.resolved(), node.ctl("neighbor", "list")
      return took

    try:
      first_within(3, start)
    finally:
      node.daemon.close()


def test_control_threads_leave_the_workers_their_cpus(node):
  worker_cpus = set(node.config["dataplane"]["cpus"])
  tasks = list(pathlib.Path(f"/proc/{node.daemon.process.pid}/task").iterdir())
  cpus = {t.joinpath("comm").read_text().strip() + t.name: os.sched_getaffinity(int(t.name)) for t in tasks}
  workers = {name for name in cpus if name.startswith("rte-worker")}
  assert workers and all(cpus[name] == worker_cpus for name in workers), cpus
  allowed = os.sched_getaffinity(0)
  others = allowed - worker_cpus or allowed    # with one CPU they share it
  assert all(cpus[name] <= others for name in cpus.keys() - workers), cpus


def test_a_gateway_that_comes_after_the_start_is_asked_again_soon():
  with World(standard_config("veth", QUEUES), learn=False) as node:
    node.n.sysctl(net__ipv6__conf__default__accept_dad=1)

    def attach():
      node.restart()    # its far end, and so the gateway, is attached when it is ready
      attached = time.monotonic()
      while not {pk.V4.GW, pk.V6.GW} <= node.resolved():
        assert time.monotonic() - attached < PATIENCE, node.ctl("neighbor", "list")
      return time.monotonic() - attached

    first_within(0.7, attach)


def test_a_dead_gateway_does_not_stop_the_start():
  with World(standard_config("afpacket", QUEUES), kind="afpacket") as node:
    node.up.close()

    def start():
      node.daemon.close()
      begun = time.monotonic()
      node.daemon = gw.Daemon(node.n, node.config)
      took = time.monotonic() - begun
      said = [line for line in node.daemon.log().splitlines() if "gateways" in line]
      assert len(said) == 1 and pk.V4.GW in said[0] and pk.V6.GW in said[0], node.daemon.log()
      return took

    try:
      first_within(5, start)
    finally:
      node.daemon.close()


@pytest.mark.parametrize("node", ["veth", "afpacket", "xdp"], indirect=True)
def test_sigterm_leaves_nothing_behind_and_a_restart_works(node):
  made = {"dns0", "dns1", "web0", "crawl0"} | ({"gw0"} if node.kind != "xdp" else set())
  assert made <= node.n.links()
  assert node.daemon.stop() == 0, node.daemon.log()
  expected = {"lo", "wan0"} if node.kind != "veth" else {"lo"}
  left = node.n.links() - expected
  # TAPs survive the process by design (their addresses are the node's): only those may.
  assert left <= {"gw0"}, f"left behind: {left}"
  assert not node.daemon.socket.exists()
  if node.kind == "xdp":
    assert "xdp" not in node.n.ip("link", "show", "wan0"), "the XDP program is still attached"
    assert "bpf" not in node.n.run("tc", "filter", "show", "dev", "wan0", "egress", check=False)
  node.restart()
  for ip in pk.FAMILIES:
    node.deliver(pk.udp(ip.C, ip.VIP, node.l4port(), 53), "dns0", "dns1")


def test_sighup_ends_nothing_and_says_how_to_reload(node):
  generation, links = node.ctl("status")["generation"], node.n.links()
  for n in (1, 2):
    node.daemon.process.send_signal(signal.SIGHUP)
    end = time.monotonic() + PATIENCE
    while node.daemon.log().count("SIGHUP") < n:
      assert node.daemon.alive() and time.monotonic() < end, node.daemon.log()
      time.sleep(0.01)
  assert "config apply" in node.daemon.log()
  node.deliver(pk.udp(pk.V4.C, pk.V4.VIP, node.l4port(), 53), "dns0", "dns1")
  assert node.ctl("status")["generation"] == generation and node.n.links() == links
  assert node.daemon.stop() == 0, node.daemon.log()


@pytest.mark.parametrize("node", ["veth", "afpacket", "xdp"], indirect=True)
def test_a_killed_daemon_can_be_started_again(node):
  for _ in range(2):
    node.daemon.process.kill()
    node.daemon.process.wait()
    node.restart()
    for ip in pk.FAMILIES:
      node.deliver(pk.udp(ip.C, ip.VIP, node.l4port(), 53), "dns0", "dns1")


def test_a_second_daemon_on_the_socket_is_refused(node):
  other = Netns("second")
  try:
    done = subprocess.run(other.enter(gw.GODWITD, "--config", node.daemon.file, "--socket", node.daemon.socket),
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode > 0 and str(node.daemon.socket) in done.stderr, done.stderr
    assert other.links() == {"lo"}
  finally:
    other.close()
  assert node.ctl("status")["ready"]
  node.deliver(pk.udp(pk.V4.C, pk.V4.VIP, node.l4port(), 53), "dns0", "dns1")


@pytest.mark.parametrize("kind", ["veth", "afpacket", "xdp"])
def test_ready_is_false_while_the_only_uplink_is_down(kind):
  with World(standard_config(kind, QUEUES), kind=kind) as node:
    def becomes(ready):
      end = time.monotonic() + PATIENCE
      while (status := node.ctl("status"))["ready"] is not ready:
        assert time.monotonic() < end, status
        time.sleep(0.02)
      return status

    namespace, far_end = (node.n if kind == "veth" else node.w), node.up.ifname
    assert becomes(True)["reason"] == ""
    namespace.ip("link", "set", far_end, "down")
    status = becomes(False)
    assert status["reason"] == "no uplink has a link: wan0" and status["uplinks"][0]["state"] == "down"
    code, out, _ = node.daemon.raw("status", json_output=False)
    assert code == 0 and "bb: not ready (no uplink has a link: wan0)," in out
    namespace.ip("link", "set", far_end, "up")
    assert becomes(True)["reason"] == ""
    node.learn_macs()


def test_a_stale_socket_is_no_obstacle(tmp_path):
  with World(standard_config(queues=("dns0", "dns1"))) as w:
    w.daemon.process.kill()
    w.daemon.process.wait()
    path = w.daemon.socket
    assert path.exists()
    second = gw.Daemon(w.n, w.config, directory=w.daemon.directory)
    assert second.ctl("status")["ready"]
    second.close()


def test_systemd_is_told_when_it_is_ready_and_when_it_stops(tmp_path):
  path = tmp_path / "notify"
  listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
  listener.bind(str(path))
  listener.settimeout(60)
  ns = Netns("notify")
  daemon = None
  try:
    daemon = gw.Daemon(ns, standard_config(queues=("dns0", "dns1")), wait=False, env={"NOTIFY_SOCKET": str(path)})
    said = b""
    while b"READY=1" not in said:
      said += listener.recv(4096)
    code, out, err = daemon.raw("status")
    assert code == 0 and '"ready"' in out, err
    assert daemon.stop() == 0
    with contextlib.suppress(socket.timeout):
      listener.settimeout(0.2)
      while True:
        said += listener.recv(4096)
    assert b"STOPPING=1" in said
  finally:
    if daemon:
      daemon.close()
    ns.close()
    listener.close()


def test_socket_mode_is_as_configured():
  with World(changed(standard_config(queues=("dns0", "dns1")), lambda c: c.update(control={"mode": "0600"}))) as w:
    assert w.daemon.socket.stat().st_mode & 0o777 == 0o600


def test_log_is_one_line_an_event(node):
  assert node.daemon.log(), "nothing on stderr"
  assert node.daemon.stop() == 0
  for line in node.daemon.log_file.read_text().splitlines():
    assert len(line) < 1000


# -- peers that go away ------------------------------------------------------------------------------------------


class Flood(threading.Thread):
  """Requests for one service without pause, from the uplink, until told to stop; and what others lose meanwhile."""

  def __init__(self, w, packets):
    super().__init__(daemon=True)
    self.frames, self.w, self.over, self.sent = [w.up.frame(p) for p in packets], w, threading.Event(), 0

  def run(self):
    while not self.over.is_set():
      for frame in self.frames:
        self.w.up.send_frame(frame)
      self.sent += len(self.frames)
      time.sleep(0.002)

  def stop(self):
    self.over.set()
    self.join(5)


def others_lose_nothing(w, ip, n=60):
  """A few hundred packets for another queue, in order of ten a burst: every one arrives."""
  base = w.l4port(n)
  w.reset()
  packets = [pk.udp(ip.C, ip.VIP, base + i, 53) for i in range(n)]
  w.up.send_all(packets, burst=8, pause=0.002)
  got = w.collect(["dns0", "dns1"], n, match=lambda p: p.dport == 53)
  assert len(got) == n, f"{n - len(got)} of {n} lost"


def test_ADV_85_a_veth_peer_goes_down_and_up_ten_times_under_load(node):
  ip = pk.V4
  flood = Flood(node, [pk.udp(ip.C, ip.VIPB, 2000 + i, 443, payload=b"f" * 200) for i in range(64)])
  node.q["web0"].keep = False
  flood.start()
  try:
    for _ in range(10):
      node.n.ip("link", "set", "web0", "down")
      others_lose_nothing(node, ip)
      node.n.ip("link", "set", "web0", "up")
      node.check_standing()
  finally:
    flood.stop()
    node.q["web0"].keep = True
  assert flood.sent > 1000
  end = time.monotonic() + PATIENCE
  while time.monotonic() < end:
    node.reset()
    node.up.send(pk.udp(ip.C, ip.VIPB, node.l4port(), 443))
    if node.collect(["web0"], 1, timeout=0.2):
      return
  raise AssertionError("the queue does not come back")


def test_ADV_85_a_veth_peer_is_deleted_under_load(node):
  ip = pk.V4
  flood = Flood(node, [pk.udp(ip.C, ip.VIPB, 2000 + i, 443, payload=b"f" * 200) for i in range(64)])
  node.q["web0"].keep = False
  flood.start()
  try:
    node.n.ip("link", "del", "web0")
    for _ in range(5):
      others_lose_nothing(node, ip)
      node.check_standing()
  finally:
    flood.stop()
  node.q.pop("web0").close()
  assert node.ctl("status")["ready"]


def test_ADV_85_a_namespace_with_its_program_goes_away_ten_times():
  """`netns:` queues: each round the namespace is deleted under load and the queue made anew."""
  ip = pk.V4
  spaces = [Netns("gone")]
  def edit(c):
    queue(c, "web0")["netns"] = spaces[-1].name
  config = changed(standard_config(queues=QUEUES), edit)
  try:
    with World(config) as w:
      flood = Flood(w, [pk.udp(ip.C, ip.VIPB, 2000 + i, 443, payload=b"f" * 200) for i in range(64)])
      flood.start()
      try:
        for _ in range(10):
          spaces[-1].close()
          others_lose_nothing(w, ip)
          spaces.append(Netns("gone"))
          config = changed(standard_config(queues=QUEUES), edit)
          w.apply(config)
          w.check_standing()
          assert spaces[-1].has_link("web0"), "the queue is not in its new namespace"
      finally:
        flood.stop()
  finally:
    for space in spaces:
      space.close()


def test_a_queue_that_goes_leaves_its_namespace_to_the_others():
  """Two queues in one namespace: the service addresses and the way out stay until the last is gone."""
  space = Netns("two")

  def edit(c):
    for name in ("web0", "crawl0"):
      queue(c, name)["netns"] = space.name

  def without(name):
    def edit_more(c):
      c["queues"] = [q for q in c["queues"] if q["name"] != name]
      for s in c["services"]:
        s["queues"] = [q for q in s["queues"] if q != name]
      c["services"] = [s for s in c["services"] if s["queues"]]
    return edit_more

  def plumbed():
    return f" {pk.V4.VIPB}/32 " in space.ip("-o", "addr", "show", "dev", "lo")

  config = changed(standard_config(queues=QUEUES), edit)
  try:
    with World(config) as w:
      assert plumbed() and "dev web0" in space.ip("route") and "dev crawl0" in space.ip("route")
      w.apply(changed(config, without("crawl0")))
      assert plumbed() and "dev web0" in space.ip("route"), space.ip("route")
      w.apply(changed(changed(config, without("crawl0")), without("web0")))
      assert not plumbed()
  finally:
    space.close()


def _testpmd(directory, name, vdev):
  """A DPDK program on the far end of a shared-memory queue: it answers ARP and echo requests."""
  with open(directory / f"{name}.log", "ab") as log:
    return subprocess.Popen(
        ["dpdk-testpmd", "--no-huge", "-m", "512", "--no-pci", f"--lcores=0@{WORKER_CPU},1@{WORKER_CPU}", f"--file-prefix={name}",
         f"--vdev={vdev}", "--", "--forward-mode=icmpecho", "--auto-start", "--no-mlockall",
         "--total-num-mbufs=8192", "--stats-period=60"], stdin=subprocess.PIPE, stdout=log, stderr=log)


@pytest.mark.parametrize("kind", ["memif", "vhost"])
def test_ADV_85_a_shared_memory_peer_is_killed_ten_times_under_load(kind, tmp_path):
  ip, path = pk.V4, tmp_path / "q.sock"
  device = f"memif:{path},role=server,id=0" if kind == "memif" else f"vhost:{path}"
  vdev = (f"net_memif0,role=client,id=0,socket={path},socket-abstract=no" if kind == "memif" else
          f"net_virtio_user0,path={path},queues=1,server=0")
  config = changed(standard_config(queues=(*QUEUES, "vip0")), lambda c: queue(c, "vip0").update(device=device))
  with World(config) as w:
    flood = Flood(w, [pk.echo(ip.C, ip.VIPC, 2000 + i, payload=b"f" * 200) for i in range(64)])
    flood.start()
    served = 0
    try:
      for i in range(10):
        name = f"gwbb{os.getpid()}{kind}{i}"
        peer = _testpmd(tmp_path, name, vdev)
        try:
          w.reset()
          end = time.monotonic() + 30
          while time.monotonic() < end and len(w.up.packets()) < 500:
            assert peer.poll() is None, (tmp_path / f"{name}.log").read_text()[-2000:]
            time.sleep(0.05)
          served += len(w.up.packets()) >= 500
        finally:
          peer.kill()
          peer.wait()
        others_lose_nothing(w, ip)
        w.check_standing()
    finally:
      flood.stop()
    assert served == 10, f"the peer answered in {served} rounds of 10"
