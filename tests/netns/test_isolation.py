# SPDX-License-Identifier: BSD-3-Clause
"""The way to the kernel while every worker has more to do than it can: BGP sessions with keepalives of 3 s stay up, and
sshd answers. The flood comes in by shared memory, from a sender that has to wait for the worker."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time

import pytest
from harness import packets as pk
from harness.bgp import Bird, Process
from harness.daemon import Daemon
from harness.netns import PATIENCE, Netns, veth
from harness.world import WORKER_CPU

SECONDS = 300 if os.environ.get("GODWIT_FULL") else 30
SENDER_CPU = min(os.sched_getaffinity(0))
ANSWERS_WITHIN = 20.0    # a login, on a machine that has other things to do
FLOOD_NET = ("203.0.114.7/24", "2001:db8:71::7/64")
KEEPALIVE, HOLD = 3, 9


def bird(own, other, own_as, other_as):
  """One session a family."""
  sessions = "".join(f"""
protocol bgp peer{ip.v} {{
  local {getattr(ip, own)} as {own_as}; neighbor {getattr(ip, other)} as {other_as};
  keepalive time {KEEPALIVE}; hold time {HOLD}; connect retry time 1; error wait time 1, 2;
  ipv{ip.v} {{ import all; export none; }};
}}
""" for ip in pk.FAMILIES)
  return f"router id {getattr(pk.V4, own)};\nprotocol device {{}}\n{sessions}"


class Flood:
  """testpmd: datagrams from one end to another, as fast as the node takes them."""

  def __init__(self, path, directory, mac, source, to, l4port):
    self.log = directory / "flood.log"
    self.prefix = f"gwbb{os.getpid()}flood"
    with open(self.log, "ab") as log:
      self.process = subprocess.Popen(
          ["stdbuf", "-oL", "dpdk-testpmd", "--no-huge", "-m", "256", "--no-pci", "--no-telemetry",
           f"--lcores=0@{SENDER_CPU},1@{SENDER_CPU}", f"--file-prefix={self.prefix}",
           f"--vdev=net_memif0,role=client,id=0,socket={path},socket-abstract=no", "--", "--forward-mode=txonly",
           "--auto-start", f"--eth-peer=0,{mac}", f"--tx-ip={source},{to}", f"--tx-udp={l4port},{l4port}",
           "--total-num-mbufs=8192", "--no-mlockall", "--disable-link-check", "--stats-period=1"],
          stdin=subprocess.PIPE, stdout=log, stderr=log)

  def end(self):
    """How many frames the node had no room for. Ended by a signal it tells."""
    assert self.process.poll() is None, self.told()
    self.close()
    found = re.findall(r"TX-dropped: *(\d+)", self.told())
    return int(found[-1]) if found else None

  def told(self):
    return self.log.read_text(errors="replace")[-1500:]

  def close(self):
    if self.process.poll() is None:
      self.process.send_signal(signal.SIGINT)
      with contextlib.suppress(subprocess.TimeoutExpired):
        self.process.wait(PATIENCE)
    if self.process.poll() is None:
      self.process.kill()
    self.process.wait()
    shutil.rmtree(f"/var/run/dpdk/{self.prefix}", ignore_errors=True)


class Sshd(Process):
  """Debian's, in the node's namespace, with keys of its own; and its client."""

  def __init__(self, ns, client_ns):
    super().__init__(ns, "sshd")
    self.client_ns = client_ns
    for key in ("host", "user"):
      subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.directory / key], check=True)
    os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
    self.start("/usr/sbin/sshd", "-D", "-e", "-f", self.write("config", f"""
HostKey {self.directory}/host
AuthorizedKeysFile {self.directory}/user.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
LoginGraceTime 60
""" + "".join(f"ListenAddress {ip.U}\n" for ip in pk.FAMILIES)))

  def answers(self, ip):
    """How long a login took, in seconds; None: it did not come about."""
    begin = time.monotonic()
    with contextlib.suppress(subprocess.TimeoutExpired):
      done = subprocess.run(self.client_ns.enter(
          "ssh", "-i", self.directory / "user", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no",
          "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-F", "none", f"root@{ip.U}", "echo", "here"),
          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=ANSWERS_WITHIN, check=False)
      if done.stdout.strip() == "here":
        return time.monotonic() - begin
    return None


class Site:
  """A node, and a router beyond its uplink; the flood has an uplink of its own, and the same worker."""

  def __init__(self, directory):
    self.directory, self.path = directory, directory / "flood.sock"
    self._stack = contextlib.ExitStack()

  def __enter__(self):
    try:
      self._build()
    except BaseException:
      self._stack.close()
      raise
    return self

  def __exit__(self, *_):
    self._stack.close()

  def _own(self, thing):
    self._stack.callback(thing.close)
    return thing

  def _build(self):
    self.n, self.r, self.q = (self._own(Netns(role)) for role in ("n", "r", "q"))
    for ns in (self.n, self.r, self.q):
      ns.sysctl(net__ipv6__conf__default__accept_dad=0)
    veth(self.n, "wan0", self.r, "far0")
    for ip in pk.FAMILIES:
      self.r.ip("addr", "add", f"{ip.GW}/{ip.plen}", "dev", "far0", *(["nodad"] if ip.v == 6 else []))
    self.daemon = self._own(Daemon(self.n, self.config()))
    self.router = self._own(Bird(self.r, "r", bird("GW", "U", 65000, 65001)))
    self.node = self._own(Bird(self.n, "n", bird("U", "GW", 65001, 65000)))
    self.sshd = self._own(Sshd(self.n, self.r))

  def config(self):
    return {
        "version": 1, "node": {"name": "iso", "unicast": [pk.V4.U, pk.V6.U]},
        "dataplane": {"cpus": [WORKER_CPU], "workers": 1, "idle": "poll", "max_flows": 16384},
        "uplinks": [
            {"name": "wan0", "device": "afpacket:wan0", "kernel": "gw0", "gateway": [pk.V4.GW, pk.V6.GW],
             "addresses": [f"{ip.U}/{ip.plen}" for ip in pk.FAMILIES]},
            {"name": "flood0", "device": f"memif:{self.path}", "kernel": "gw1", "addresses": list(FLOOD_NET)}],
        "queues": [{"name": "dns0", "device": "veth:dns0", "netns": self.q.name}],
        "services": [{"name": "dns", "addresses": [pk.V4.VIP, pk.V6.VIP], "ports": ["udp/53"], "queues": ["dns0"]}]}

  def flood(self, to, l4port):
    shown = self.daemon.ctl("uplink", "show", "flood0")
    return self._own(Flood(self.path, self.directory, shown["mac"], pk.V4.C, to, l4port))

  def sessions(self):
    """{session: (state, since when in seconds, hold time)} as the router has them."""
    text = subprocess.run(["birdc", "-s", str(self.router.control), "show", "protocols", "all"], capture_output=True,
                          text=True, timeout=60, check=False).stdout
    found = {}
    for name, since, rest in re.findall(r"^(peer\d) +BGP +\S+ +\S+ +(\S+(?: \S+:\S+)?)(.*?)(?=^\w|\Z)", text, re.M | re.S):
      hold = re.search(r"Hold timer: +\S+/(\d+)", rest)
      hours, minutes, seconds = since.split()[-1].split(":")
      found[name] = ("Established" in rest, int(hours) * 3600 + int(minutes) * 60 + float(seconds), hold and int(hold.group(1)))
    return found

  def lost(self):
    return {ns.name: ns.run("nstat", "-asz", "TcpRetransSegs", "TcpExtTCPSynRetrans", "TcpExtListenDrops",
                            "TcpExtListenOverflows", "TcpExtTCPReqQFullDrop").split("\n")[1:] for ns in (self.r, self.n)}

  def counted(self):
    counters = self.daemon.ctl("counters")
    return {**{key: counters[key] for key in ("received", "delivered", "punted")},
            "kernel_full": counters["dropped"].get("kernel_full", 0)}


@pytest.fixture
def site(tmp_path):
  with Site(tmp_path) as s:
    end = time.monotonic() + 3 * PATIENCE
    while time.monotonic() < end and not (len(s.sessions()) == 2 and all(up for up, *_ in s.sessions().values())):
      time.sleep(0.2)
    while time.monotonic() < end and not all(s.sshd.answers(ip) for ip in pk.FAMILIES):
      time.sleep(0.2)
    yield s


def lasts(before, now):
  """The same sessions: BIRD works out anew, to a few milliseconds, when each began."""
  return before.keys() == now.keys() and all(now[name][0] and now[name][2] == hold and abs(now[name][1] - since) < 0.5
                                             for name, (_, since, hold) in before.items())


@pytest.mark.parametrize("what", ["of a service", "for the kernel"])
def test_bgp_and_ssh_live_while_every_worker_is_saturated(site, what):
  before = site.sessions()
  assert sorted(before) == ["peer4", "peer6"], (before, site.router.log(), site.daemon.log())
  assert all(up and hold == HOLD for up, _, hold in before.values()), before
  flood = site.flood(*((pk.V4.VIP, 53) if what == "of a service" else (pk.V4.U, 9)))
  begin, first = time.monotonic(), site.counted()
  logins = []
  while time.monotonic() - begin < SECONDS:
    for ip in pk.FAMILIES:
      logins.append(site.sshd.answers(ip))
    assert lasts(before, site.sessions()), f"{before}; after {time.monotonic() - begin:.0f} s; logins {logins}; {site.counted()}"
    time.sleep(1)
  lasted, last = time.monotonic() - begin, site.counted()
  moved = {key: (last[key] - first[key]) / lasted for key in last}
  refused = flood.end()
  told = f"logins {logins}; a second: {moved}; {refused} refused; {flood.told()}; {site.lost()}"
  # It was a flood, of this kind, and more than the worker could take.
  assert refused, told
  if what == "for the kernel":
    assert moved["kernel_full"] > 10 * moved["punted"], told
  else:
    assert moved["received"] > 10_000 and moved["kernel_full"] < moved["punted"] / 50, told
  assert None not in logins and len(logins) >= 4, told
  print(told)
