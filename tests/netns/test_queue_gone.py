# SPDX-License-Identifier: BSD-3-Clause
"""Interfaces, namespaces and peers that go away under a queue: it is down and says why, its flows go elsewhere, everything
else can still be changed, and it comes back with what it lost."""

import contextlib
import os
import socket
import threading
import time

import pytest
from harness import packets as pk
from harness.daemon import Refused
from harness.netns import PATIENCE, Netns, sh
from harness.world import World, changed, queue, service, standard_config
from test_lifecycle import _testpmd

IP = pk.V4
QUEUES = ("dns0", "dns1", "web0")


def state(w, name):
  shown = w.ctl("queue", "show", name)
  return shown["state"], shown["reason"]


def until(w, name, *wanted):
  end = time.monotonic() + PATIENCE
  while state(w, name) != wanted:
    assert time.monotonic() < end, f"{name} is {state(w, name)}, not {wanted}\n{w.daemon.log()}"
    time.sleep(0.02)


def all_go_to(w, name):
  """Of new flows to the service that the two queues have."""
  for _ in range(32):
    w.deliver(pk.udp(IP.C, IP.VIP, w.l4port(), 53), name)


@contextlib.contextmanager
def behind(space, device):
  """A node of which the queue dns1 is `device` in `space`, or in its own namespace."""
  def edit(c):
    queue(c, "dns1").update(device=device, **({"netns": space.name} if space else {}))
  with World(changed(standard_config(queues=QUEUES), edit)) as w:
    until(w, "dns1", "up", "")
    yield w


@pytest.fixture(name="space")
def _space():
  space = Netns("gone")
  yield space
  space.close()


@pytest.mark.parametrize("kind", ["tap", "veth"])
def test_a_queue_goes_down_with_its_namespace_and_comes_up_with_the_next(space, kind):
  with behind(space, f"{kind}:dns1") as w:
    space.close()
    until(w, "dns1", "down", f"its namespace {space.name} is gone")
    all_go_to(w, "dns0")
    sh("ip", "netns", "add", space.name)
    until(w, "dns1", "up", "")
    assert space.has_link("dns1") and f" {IP.VIP}/32 " in space.ip("-o", "addr", "show", "dev", "lo")
    assert "dev dns1" in space.ip("route"), space.ip("route")
    w.check_standing()


def test_a_tap_in_a_namespace_that_is_deleted_stays_so_until_somebody_makes_it_again(space):
  with behind(space, "tap:dns1") as w:
    space.ip("link", "del", "dns1")
    until(w, "dns1", "down", "its interface dns1 is gone")
    all_go_to(w, "dns0")
    time.sleep(1.5)
    assert not space.has_link("dns1") and state(w, "dns1")[0] == "down"
    space.ip("tuntap", "add", "dev", "dns1", "mode", "tap", "multi_queue")
    until(w, "dns1", "up", "")
    assert "dev dns1" in space.ip("route"), space.ip("route")


def test_a_tap_of_the_nodes_own_namespace_comes_back_with_its_flows():
  with behind(None, "tap:dns1") as w:
    w.n.ip("link", "del", "dns1")
    until(w, "dns1", "down", "its interface dns1 is gone")
    all_go_to(w, "dns0")
    w.n.ip("tuntap", "add", "dev", "dns1", "mode", "tap", "multi_queue")
    until(w, "dns1", "up", "")
    w.attach_queue("dns1", "dns1", 9)
    end = time.monotonic() + PATIENCE
    while not w.q["dns1"].packets():
      w.up.send(pk.udp(IP.C, IP.VIP, w.l4port(), 53))
      assert time.monotonic() < end, f"nothing comes to dns1\n{w.daemon.log()}"
      time.sleep(0.01)
    w.n.ip("link", "set", "dns1", "down")
    until(w, "dns1", "down", "no link: nobody is at the far end")


@pytest.mark.parametrize("kind", ["tap", "veth"])
def test_what_went_away_under_one_queue_keeps_nobody_from_changing_the_rest(space, kind):
  with behind(space, f"{kind}:dns1") as w:
    space.close()
    until(w, "dns1", "down", f"its namespace {space.name} is gone")
    for change in (("queue", "drain", "web0"), ("queue", "undrain", "web0"), ("queue", "drain", "dns1"),
                   ("queue", "undrain", "dns1"), ("service", "set", "web", "--unmatched=silent"),
                   ("egress", "set", "--reserved=5000")):
      w.ctl(*change)
    # Applied, too, but a start would fail: a check says so.
    config = changed(w.config, lambda c: service(c, "web").update(affinity="client"))
    w.apply(config)
    for verb in ("check", "diff"):
      with pytest.raises(Refused, match=f'netns: "{space.name}" is not a network namespace of this machine'):
        w.ctl("config", verb, w.daemon.write(config, "check.yaml"))
    # What it is about is judged.
    with pytest.raises(Refused, match=f'netns "{space.name}": there is no namespace'):
      w.ctl("queue", "set", "web0", f"--netns={space.name}")
    w.ctl("service", "set", "dns", "--queues=dns0", f"--addresses={IP.VIP}")
    w.ctl("queue", "remove", "dns1")
    w.check_standing()


class Counting:
  """A memif server that accepts, and answers nothing."""

  def __init__(self, path):
    self.calls = 0
    self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    self._socket.bind(str(path))
    self._socket.listen(64)
    self._taken = []
    threading.Thread(target=self._accept, daemon=True).start()

  def _accept(self):
    with contextlib.suppress(OSError):
      while True:
        self._taken.append(self._socket.accept()[0])
        self.calls += 1

  def close(self):
    with contextlib.suppress(OSError):
      self._socket.shutdown(socket.SHUT_RDWR)
    for s in (self._socket, *self._taken):
      s.close()


def test_a_memif_client_leaves_a_slow_server_its_time(tmp_path):
  path = tmp_path / "q.sock"
  server = Counting(path)
  try:
    config = changed(standard_config(queues=QUEUES), lambda c: queue(c, "web0").update(device=f"memif:{path},role=client"))
    with World(config) as w:
      time.sleep(2)
      assert server.calls == 1
      assert state(w, "web0") == ("down", "no link: nobody is at the far end")
      server.close()
      until(w, "web0", "down", "waits for its peer")
      assert "rte_dump_stack" not in w.daemon.log(1000)
  finally:
    server.close()


def test_a_memif_client_finds_each_server_that_comes(tmp_path):
  path = tmp_path / "q.sock"
  config = changed(standard_config(queues=(*QUEUES, "vip0")),
                   lambda c: queue(c, "vip0").update(device=f"memif:{path},role=client"))
  vdev = f"net_memif0,role=server,id=0,socket={path},socket-abstract=no"
  with World(config) as w:
    for i in range(3):
      until(w, "vip0", "down", "waits for its peer")
      name = f"gwbb{os.getpid()}client{i}"
      path.unlink(missing_ok=True)
      peer = _testpmd(tmp_path, name, vdev)
      try:
        end = time.monotonic() + 30
        w.reset()
        while time.monotonic() < end and len(w.up.packets()) < 50:
          assert peer.poll() is None, (tmp_path / f"{name}.log").read_text()[-2000:]
          w.up.send(pk.echo(IP.C, IP.VIPC, 2000 + i, payload=b"f" * 200))
          time.sleep(0.02)
        assert len(w.up.packets()) >= 50, f"{state(w, 'vip0')}\n{w.daemon.log()}"
      finally:
        peer.kill()
        peer.wait()
    until(w, "vip0", "down", "waits for its peer")
    assert "rte_dump_stack" not in w.daemon.log(1000), w.daemon.log(1000)
    w.check_standing()
