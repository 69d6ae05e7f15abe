# SPDX-License-Identifier: BSD-3-Clause
"""What packaging/ gives to systemd and to whoever installs: the words of the unit, what it leaves to the daemon, what
the daemon tells, and a config that starts as it is. systemd does not run here: the test takes its part. With a real one: test_package.py."""

import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time

import pytest
import yaml
from harness import daemon as gw, packets as pk
from harness.netns import PATIENCE, Netns
from harness.world import World, changed, queue, standard_config

PACKAGING = gw.ROOT / "packaging"
UNIT = PACKAGING / "godwit.service"


def settings():
  """{key: [values]} of the unit."""
  found = {}
  for line in UNIT.read_text().splitlines():
    if "=" in line and not line.startswith("#"):
      key, _, value = line.partition("=")
      found.setdefault(key, []).append(value)
  return found


class Systemd:
  """Starts a daemon as the unit says, and hears what it tells."""

  def __init__(self, ns, config, watchdog_s=2):
    self._directory = tempfile.TemporaryDirectory(prefix="gwbb-unit-")
    self.directory = pathlib.Path(self._directory.name)
    self.heard = []
    self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    self._socket.bind(str(self.directory / "notify"))
    (self.directory / "godwit.yaml").write_text(yaml.safe_dump(config) if isinstance(config, dict) else config)
    with open(self.directory / "log", "wb") as log:
      self.process = subprocess.Popen(
          ns.enter(*self._confined(), gw.GODWITD, "--config", self.directory / "godwit.yaml", "--socket",
                   self.directory / "control.sock"), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
          env={**os.environ, "NOTIFY_SOCKET": str(self.directory / "notify"),
               "WATCHDOG_USEC": str(watchdog_s * 1000000)})

  @staticmethod
  def _confined():
    unit = settings()
    names = " ".join(unit["CapabilityBoundingSet"]).lower().replace("cap_", "").split()
    assert unit["NoNewPrivileges"] == ["yes"]
    return ["setpriv", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all," + ",".join(f"+{n}" for n in names)]

  def log(self):
    return (self.directory / "log").read_text(errors="replace")

  def until(self, word, times=1, within=PATIENCE * 3):
    """Listens until it has told `word` so often."""
    end = time.monotonic() + within
    while self.heard.count(word) < times:
      self._socket.settimeout(max(end - time.monotonic(), 0.01))
      try:
        self.heard += self._socket.recv(4096).decode().splitlines()
      except TimeoutError:
        raise AssertionError(f"no {word}: {self.heard}\n{self.log()}") from None

  def silent(self, word, seconds):
    end, before = time.monotonic() + seconds, self.heard.count(word)
    while (left := end - time.monotonic()) > 0:
      self._socket.settimeout(left)
      try:
        self.heard += self._socket.recv(4096).decode().splitlines()
      except TimeoutError:
        break
    return self.heard.count(word) == before

  def ctl(self, *argv):
    code, out, err = gw.godwitctl(*argv, socket=self.directory / "control.sock")
    assert code == 0, err
    return out

  def close(self):
    if self.process.poll() is None:
      self.process.send_signal(signal.SIGCONT)
      self.process.kill()
    self.process.wait()
    self._socket.close()
    self._directory.cleanup()


@pytest.fixture
def ns():
  n = Netns("u")
  yield n
  n.close()


def test_systemd_knows_every_word_of_the_unit(tmp_path):
  """systemd-analyze also looks for the programs: it gets one."""
  text = UNIT.read_text()
  assert "ExecStart=/usr/sbin/godwitd " in text and "ExecReload=/usr/bin/godwitctl upgrade\n" in text
  unit = tmp_path / "godwit.service"
  unit.write_text(text.replace("/usr/sbin/godwitd", "/bin/true").replace("/usr/bin/godwitctl", "/bin/true"))
  done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False)
  assert done.returncode == 0 and not done.stderr, done.stderr
  unit.write_text(unit.read_text().replace("WatchdogSec=", "WatchdogSecs="))
  done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False)
  assert "WatchdogSecs" in done.stderr, "it would not have said so"


def test_little_is_left_to_it():
  """systemd's own sum of what is left, ten times over: 96 for a unit that says nothing, 77 without a filter of calls."""
  done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=55", "--no-pager", UNIT],
                        capture_output=True, text=True, check=False)
  assert done.returncode == 0, done.stdout + done.stderr


def test_a_crash_leaves_the_owner_of_the_routes_its_time():
  """Any other KillMode kills what is left when the daemon is gone, and the routes would stay for nobody."""
  assert settings()["KillMode"] == ["process"]


@pytest.mark.parametrize("kind", ["veth", "xdp"])
def test_what_the_unit_leaves_is_enough(kind):
  """With these capabilities alone: an uplink, a queue in a namespace, the queue `kernel`, and a change to all of it."""
  inner = Netns("q")
  config = changed(standard_config(kind, ("dns0", "web0", "crawl0")),
                   lambda c: queue(c, "dns0").update(netns=inner.name),
                   lambda c: c["services"].append({"name": "root", "addresses": [pk.V4.VIPC], "ports": ["tcp/22"],
                                                   "queues": ["kernel"]}),
                   lambda c: c.update(announce={"linger": "0s"}))
  config["services"] = [s for s in config["services"] if s["name"] != "dns"] + [
      {"name": "dns", "addresses": [pk.V4.VIP], "ports": ["udp/53"], "queues": ["dns0"]}]
  systemd = None
  try:
    with World(standard_config(kind, ("dns0", "dns1")), kind=kind) as w:
      w.daemon.close()
      systemd = Systemd(w.n, config)
      systemd.until("READY=1")
      assert '"ready": true' in systemd.ctl("status") and "Operation not permitted" not in systemd.log()
      systemd.ctl("service", "set", "root", f"--addresses={pk.V4.VIPD}")
      assert '"announced": true' in systemd.ctl("service", "show", "root")
      assert f"blackhole {pk.V4.VIPD} proto 74" in w.n.ip("route", "show", "table", 7480)
      systemd.ctl("queue", "set", "more0", "--device=veth:more0")
      systemd.ctl("config", "save")
      systemd.process.send_signal(signal.SIGTERM)
      systemd.until("STOPPING=1")
      assert systemd.process.wait(PATIENCE) == 0, systemd.log()
      assert "Operation not permitted" not in systemd.log()
      assert not w.n.ip("route", "show", "table", 7480)
      w.restart()    # for what is looked at after every test
  finally:
    if systemd:
      systemd.close()
    inner.close()


def test_the_sample_starts_as_it_is_and_is_watched(ns):
  """It tells that it is ready, then over and over that it lives; and no more once it stands still."""
  links = set(ns.links())
  systemd = Systemd(ns, (PACKAGING / "godwit.yaml").read_text())
  try:
    systemd.until("READY=1")
    systemd.until("WATCHDOG=1", 4)
    assert links <= set(ns.links()) and '"ready": true' in systemd.ctl("status")
    systemd.process.send_signal(signal.SIGSTOP)
    systemd.silent("WATCHDOG=1", 0.5)    # what was under way
    assert systemd.silent("WATCHDOG=1", 2)
    systemd.process.send_signal(signal.SIGCONT)
    systemd.until("WATCHDOG=1", systemd.heard.count("WATCHDOG=1") + 1)
    systemd.process.send_signal(signal.SIGTERM)
    systemd.until("STOPPING=1")
    assert systemd.process.wait(PATIENCE) == 0, systemd.log()
    assert set(ns.links()) == links
  finally:
    systemd.close()
