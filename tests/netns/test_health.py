# SPDX-License-Identifier: BSD-3-Clause
"""Health checks of queues: real servers in `netns:` queues, killed behind a live link."""

import contextlib
import os
import pathlib
import signal
import socket
import struct
import subprocess
import tempfile
import time

import pytest
from harness import packets as pk
from harness.netns import Netns
from harness.world import World, changed, queue, standard_config

IP = pk.V4
BUSY = 2.0    # seconds more on a machine that has other things to do
INTERVAL, FALL = 0.2, 3
CHECK = {"interval": "200ms", "timeout": "150ms", "rise": 2, "fall": FALL}
PORTS = {"dns": ("udp", 53), "http": ("tcp", 80)}


def until(condition, within=10.0, what="it"):
  end = time.monotonic() + within
  while True:
    last = condition()
    if last:
      return last
    assert time.monotonic() < end, f"{what} has not come within {within} s"
    time.sleep(0.01)


class Pair:
  """Two queues with namespaces behind one service."""

  def __init__(self, kind, health):
    self.proto, self.l4port = PORTS.get(kind, ("tcp", 80))
    self._stack = contextlib.ExitStack()
    self.directory = pathlib.Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="gwh-")))
    self.spaces, self.servers = {}, {}
    for name in ("dns0", "dns1"):
      self.spaces[name] = Netns(name)
      self._stack.callback(self.spaces[name].close)

    def edit(c):
      c["services"] = [{"name": "s", "addresses": [pk.V4.VIP, pk.V6.VIP], "ports": [f"{self.proto}/{self.l4port}"],
                        "queues": ["dns0", "dns1"]}]
      for q in c["queues"]:
        q.update(netns=self.spaces[q["name"]].name, health={**health, **CHECK})
    try:
      self.w = self._stack.enter_context(World(changed(standard_config(queues=("dns0", "dns1")), edit)))
    except BaseException:
      self._stack.close()
      raise

  def __enter__(self):
    return self

  def __exit__(self, *_):
    for name in list(self.servers):
      self.kill(name)
    self._stack.close()

  @contextlib.contextmanager
  def listening(self, name):
    """A server of both families that takes connections and says nothing."""
    with self.spaces[name].inside():
      server = socket.socket(socket.AF_INET6)
    with server:
      server.bind(("::", 80))
      server.listen(64)
      yield

  def state(self, name):
    shown = self.w.ctl("queue", "show", name)
    return shown["state"], shown["reason"]

  def until_state(self, name, state, reason, within=10.0):
    end = time.monotonic() + within
    while self.state(name) != (state, reason):
      assert time.monotonic() < end, f"{name} is {self.state(name)}, not {(state, reason)}"
      time.sleep(0.01)

  def until_up(self, *names):
    for name in names:
      until(lambda n=name: self.state(n)[0] == "up", what=f"{name} up, {self.state(name)}")

  # -- servers -----------------------------------------------------------------------------------------------------

  def start(self, name, code=200):
    config, argv = (self._nsd if self.proto == "udp" else self._nginx)(name, code)
    path = self.directory / f"{name}.conf"
    path.write_text(config)
    with open(self.directory / f"{name}.log", "ab") as log:
      self.servers[name] = subprocess.Popen(self.spaces[name].enter(*argv, path), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True)

  def kill(self, name):
    """Master and children at once, without a word to anybody."""
    with contextlib.suppress(ProcessLookupError):
      os.killpg(self.servers[name].pid, signal.SIGKILL)
    self.servers.pop(name).wait(10)

  def _nsd(self, name, _):
    own = self.directory / name
    own.mkdir(exist_ok=True)
    (own / "zone").write_text("$ORIGIN example.\n@ 60 IN SOA ns h 1 1 1 1 1\n@ 60 IN NS ns\nns 60 IN A 192.0.2.1\n"
                              "health 60 IN A 192.0.2.2\n")
    return f"""server:
  ip-address: {pk.V4.VIP}
  ip-address: {pk.V6.VIP}
  server-count: 1
  username: ""
  zonesdir: "{own}"
  pidfile: "{own}/pid"
  xfrdfile: "{own}/xfrd"
  zonelistfile: "{own}/zones"
  xfrdir: "{own}"
  database: ""
remote-control:
  control-enable: no
zone:
  name: example
  zonefile: zone
""", ("nsd", "-d", "-c")

  def _nginx(self, name, code):
    own = self.directory / name
    own.mkdir(exist_ok=True)
    temp = "".join(f"  {kind}_temp_path {own};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    return f"""daemon off;
user root;
worker_processes 1;
pid {own}/pid;
error_log {own}/error;
events {{ worker_connections 256; }}
http {{
  access_log {own}/access;
{temp}  server {{
    listen {pk.V4.VIP}:80; listen [{pk.V6.VIP}]:80;
    location / {{ return {code}; }}
  }}
}}
""", ("nginx", "-e", own / "error", "-c")

  # -- flows -------------------------------------------------------------------------------------------------------

  def ask(self, f):
    """The f-th flow's next packet: a query, or a SYN."""
    if self.proto == "udp":
      query = struct.pack("!6H", f, 0, 1, 0, 0, 0) + b"\6health\7example\0" + struct.pack("!2H", 1, 1)
      packet = pk.udp(IP.C, IP.VIP, 10000 + f, 53, payload=query)
    else:
      packet = pk.tcp(IP.C, IP.VIP, 10000 + f, 80, flags="S", seq=1000 * f)
    self.w.up.send(packet)

  def answered(self):
    """The flows that a server has answered since the last reset; a refusal is no answer."""
    flows = set()
    for p in self.w.up.packets():
      if p.src != IP.VIP or p.proto != (17 if self.proto == "udp" else 6):
        continue
      if self.proto == "udp" or {"S", "A"} <= set(p.flags):
        flows.add(p.dport - 10000)
    return flows

  def home(self, flows):
    """{flow: queue}, as godwit has it."""
    listed = self.w.flows(limit=100000)
    homes = {int(e["remote"].rsplit(":", 1)[1]) - 10000: e["queue"] for e in listed if e["kind"] == "inbound"}
    return {f: homes[f] for f in flows if f in homes}

  def all_answered(self, flows, within=5.0):
    self.w.reset()
    end, left = time.monotonic() + within, set(flows)
    while left and time.monotonic() < end:
      for f in left:
        self.ask(f)
      time.sleep(0.05)
      left -= self.answered()
    return not left


@pytest.mark.parametrize("kind, health", [("dns", {"dns": "health.example"}), ("http", {"http": "http://www.example/"})])
def test_a_server_that_is_killed_behind_a_live_link_is_avoided(kind, health):
  with Pair(kind, health) as pair:
    w = pair.w
    assert pair.state("dns0")[0] == "down", "no server, and up"
    with w.drops(1, "svc_no_queue", silent=False):
      pair.ask(1)
    for name in ("dns0", "dns1"):
      pair.start(name)
    pair.until_up("dns0", "dns1")
    old = range(2, 62)
    assert pair.all_answered(old)
    homes = pair.home(old)
    staying = [f for f in old if homes[f] == "dns1"]
    assert staying and len(staying) < len(homes) == len(old)
    # From here on one new flow every 10 ms, and each old one of the other queue again and again.
    w.reset()
    pair.kill("dns0")
    killed = time.monotonic()
    sent, f = {}, 100
    while time.monotonic() < killed + FALL * INTERVAL + 0.1 + BUSY + 0.5:
      sent[f] = time.monotonic()
      pair.ask(f)
      if kind == "dns":
        pair.ask(staying[f % len(staying)])
      f += 1
      time.sleep(0.01)
    until(lambda: max(sent) in pair.answered(), what="the last answer")
    answered = pair.answered()
    late = [round(t - killed, 2) for f, t in sent.items() if f not in answered]
    assert late, "no flow went to the dead server: this shows nothing"
    assert max(late) < FALL * INTERVAL + 0.1 + BUSY, f"new flows went to a dead server, s after its end: {late}"
    if kind == "dns":
      times = sum(1 for p in w.up.packets() if p.dport - 10000 in staying)
      assert times == len(sent), f"the other queue lost {len(sent) - times} of {len(sent)}"
    state, reason = pair.state("dns0")
    assert state == "down" and reason == f"{kind} {IP.VIP}:{pair.l4port}: Connection refused", reason
    assert reason in w.daemon.raw("queue", "list", json_output=False)[1]
    assert pair.state("dns1") == ("up", "")
    # And it comes back, after `rise` checks.
    pair.start("dns0")
    pair.until_up("dns0")
    back = range(2000, 2060)
    assert pair.all_answered(back)
    assert set(pair.home(back).values()) == {"dns0", "dns1"}


def test_http_asks_for_two_or_three_hundreds():
  with Pair("http", {"http": f"http://{pk.V4.VIP}/"}) as pair:
    pair.start("dns0", code=302)
    pair.start("dns1", code=503)
    pair.until_up("dns0")
    pair.until_state("dns1", "down", f"http {pk.V4.VIP}:80: answers 503")


def test_tcp_asks_both_families():
  """A service address where nobody listens is a dead one, whatever the other family's does."""
  with Pair("http", {"tcp": 80}) as pair:
    with pair.spaces["dns0"].inside():
      four, six = socket.socket(socket.AF_INET), socket.socket(socket.AF_INET6)
    with four, six:
      for s, address in ((four, pk.V4.VIP), (six, pk.V6.VIP)):
        s.bind((address, 80))
      four.listen(64)
      pair.until_state("dns0", "down", f"tcp [{pk.V6.VIP}]:80: Connection refused")
      six.listen(64)
      pair.until_up("dns0")


def test_exec_runs_inside_and_tells_what_the_program_says():
  with Pair("http", {"tcp": 80}) as pair:
    w, flag = pair.w, pair.directory / "well"
    script = pair.directory / "check"
    script.write_text(f"#!/bin/sh\nip -o addr show dev lo | grep -q {IP.VIP} || exit 3\n"
                      f"test -e {flag} || {{ echo 'WELL CRITICAL - no flag'; exit 2; }}\n")
    script.chmod(0o755)
    w.apply(changed(w.config, lambda c: queue(c, "dns0").update(health={"exec": [str(script)], **CHECK})))
    pair.until_state("dns0", "down", f"exec {script}: exit 2: WELL CRITICAL - no flag")
    flag.touch()
    pair.until_up("dns0")
    # One that hangs is killed, and says so.
    script.write_text("#!/bin/sh\nsleep 97531\n")
    pair.until_state("dns0", "down", f"exec {script}: not done within 150ms")


def checks_of(w):
  """The process that runs the checks."""
  pid = w.daemon.process.pid
  children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
  found = [int(c) for c in children
           if pathlib.Path(f"/proc/{c}/comm").read_text(encoding="ascii").strip() == "godwit-checks"]
  assert len(found) == 1, children
  return found[0]


def gone(pid):
  return not pathlib.Path(f"/proc/{pid}").exists()


def test_what_runs_the_checks_may_die_and_ends_with_the_daemon():
  with Pair("http", {"tcp": 80}) as pair:
    w = pair.w
    with pair.listening("dns0"):
      pair.until_up("dns0")
      first = checks_of(w)
      os.kill(first, signal.SIGKILL)
      until(lambda: gone(first), what="its end")
      end = time.monotonic() + 1.5
      while time.monotonic() < end:
        assert pair.state("dns0")[0] == "up", "down for a reason of our own"
        time.sleep(0.05)
    until(lambda: pair.state("dns0")[0] == "down", what="checked again")
    second = checks_of(w)
    assert second != first
    w.daemon.process.kill()
    until(lambda: gone(second), what="its end with the daemon's")
    w.restart()
    third = checks_of(w)
    assert w.daemon.stop() == 0
    assert gone(third)
    w.restart()


def test_a_check_that_is_added_to_a_serving_queue_takes_nothing_away():
  with Pair("http", {"tcp": 80}) as pair:
    w = pair.w
    with pair.listening("dns0"):
      pair.until_up("dns0")
      w.ctl("queue", "set", "dns0", "--health.tcp=81", "--health.interval=1s", "--health.timeout=500ms")
      assert pair.state("dns0")[0] == "up"
      pair.until_state("dns0", "down", f"tcp {IP.VIP}:81: Connection refused")
    w.apply(changed(w.config, lambda c: queue(c, "dns0").pop("health")))
    assert pair.state("dns0") == ("up", "")
    w.ctl("queue", "drain", "dns1")
    state, reason = pair.state("dns1")
    assert state == "drained" and "Connection refused" in reason


def test_what_has_no_way_to_the_server_is_refused(wv):
  for health, why in (({"tcp": 53}, "queues[0].health: is not supported by this version yet on a queue without netns"),
                      ({"http": "https://a/"}, 'queues[0].health.http: "https://a/" is not supported')):
    path = wv.daemon.write(changed(wv.config, lambda c, h=health: queue(c, "dns0").update(health=h)), "no.yaml")
    code, _, err = wv.daemon.raw("config", "apply", path)
    assert code == 1 and why in err and "no.yaml:" in err, err
