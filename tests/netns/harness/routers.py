# SPDX-License-Identifier: BSD-3-Clause
"""Real routers and servers in namespaces: BIRD, nsd, nginx, as Debian ships them, and links between them."""

import pathlib
import socket
import struct
import subprocess
import time

from harness.netns import PATIENCE, sh, veth

SERVICE = {4: "192.0.2.53", 6: "2001:db8:53::53"}
FAMILIES = (4, 6)


def wait_for(what, condition, within=PATIENCE):
  """What the condition returned, when it was true; how long that took is the caller's to measure."""
  end = time.monotonic() + within
  while True:
    got = condition()
    if got:
      return got
    if time.monotonic() > end:
      raise AssertionError(f"{what}: not within {within} s")
    time.sleep(0.01)


class Program:
  """A program that runs until it is stopped; what it says is in a file."""

  def __init__(self, directory, name, argv):
    self.log_file = pathlib.Path(directory) / f"{name}.log"
    with open(self.log_file, "ab") as log:
      self.process = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

  def alive(self):
    return self.process.poll() is None

  def kill(self):
    self.process.kill()
    self.process.wait(PATIENCE)

  def close(self):
    if self.alive():
      self.process.terminate()
      try:
        self.process.wait(PATIENCE)
      except subprocess.TimeoutExpired:
        self.kill()


class Link:
  """A wire between two namespaces with a network of its own: the first end is .1 of it, the second .2."""

  def __init__(self, ns_a, name_a, ns_b, name_b, v4, v6, address_b=True):
    veth(ns_a, name_a, ns_b, name_b)
    base, last = v4.rsplit(".", 1)
    self.a = {4: f"{base}.{int(last) + 1}", 6: f"{v6}1"}
    self.b = {4: f"{base}.{int(last) + 2}", 6: f"{v6}2"}
    self.length = {4: 30, 6: 64}
    self.with_length = {family: f"{self.b[family]}/{self.length[family]}" for family in FAMILIES}
    ends = [(ns_a, name_a, self.a)] + ([(ns_b, name_b, self.b)] if address_b else [])
    for ns, name, addresses in ends:
      ns.ip("addr", "add", f"{addresses[4]}/30", "dev", name)
      ns.ip("addr", "add", f"{addresses[6]}/64", "dev", name, "nodad")


def become_router(ns):
  ns.sysctl(net__ipv4__ip_forward=1, net__ipv6__conf__all__forwarding=1)


def defaults_via(ns, gateways):
  for family in FAMILIES:
    ns.ip(f"-{family}", "route", "add", "default", "via", gateways[family])


# Sessions come up at once.
SESSION = "  connect delay time 1; connect retry time 1; error wait time 1, 2; startup hold time 9;"


def bird_bgp(name, family, local, local_as, neighbour, neighbour_as, channel, hold=9):
  """Notices within `hold` seconds what is gone without a word."""
  return f"""protocol bgp {name}_{family} {{
  local {local} as {local_as};
  neighbor {neighbour} as {neighbour_as};
{SESSION} hold time {hold};
  ipv{family} {{ {channel} }};
}}
"""


def start_bird(ns, directory, name, router_id, text):
  directory = pathlib.Path(directory)
  config = directory / f"{name}.conf"
  config.write_text(f"router id {router_id};\nprotocol device {{ scan time 1; }}\n{text}", encoding="utf-8")
  return Program(directory, name, ns.enter("bird", "-f", "-c", config, "-s", directory / f"{name}.ctl",
                                           "-P", directory / f"{name}.pid"))


def bgp_sessions(directory, name):
  """[(protocol, since when it is up)] of those that are established, as `name`'s BIRD has them."""
  out = sh("birdc", "-s", pathlib.Path(directory) / f"{name}.ctl", "show", "protocols")
  rows = [line.split() for line in out.splitlines() if " BGP " in line]
  return sorted((row[0], row[4]) for row in rows if row[-1] == "Established")


ROUTER = """protocol direct { ipv4; ipv6; }
protocol kernel { ipv4 { import none; export all; }; }
protocol kernel { ipv6 { import none; export all; }; }
"""


def start_nsd(ns, directory, identity, address=SERVICE):
  """nsd on the service addresses; `identity` is what it calls itself (id.server)."""
  directory = pathlib.Path(directory)
  (directory / "example.com.zone").write_text(
      "$ORIGIN example.com.\n@ 300 IN SOA ns1 hostmaster 1 3600 600 86400 300\n@ 300 IN NS ns1\n"
      f"ns1 300 IN A {SERVICE[4]}\nns1 300 IN AAAA {SERVICE[6]}\n", encoding="ascii")
  config = directory / f"nsd-{identity}.conf"
  config.write_text(f"""server:
  ip-address: {address[4]}
  ip-address: {address[6]}
  ip-freebind: yes
  identity: "{identity}"
  server-count: 1
  username: ""
  zonesdir: "{directory}"
  pidfile: "{directory}/nsd-{identity}.pid"
  xfrdfile: "{directory}/nsd-{identity}.xfrd"
  zonelistfile: "{directory}/nsd-{identity}.zones"
  xfrdir: "{directory}"
  database: ""
remote-control:
  control-enable: no
zone:
  name: example.com
  zonefile: example.com.zone
""", encoding="ascii")
  return Program(directory, f"nsd-{identity}", ns.enter("nsd", "-d", "-c", config))


def start_nginx(ns, directory, name, listen, www):
  """nginx on port 80 of the addresses; its access log has the client's address first."""
  directory = pathlib.Path(directory)
  listens = "".join(f"listen {f'[{a}]' if ':' in a else a}:80{' ipv6only=on' if ':' in a else ''}; " for a in listen)
  temporary = "".join(f"{kind}_temp_path {directory}/tmp-{name}; "
                      for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
  config = directory / f"nginx-{name}.conf"
  config.write_text(f"""daemon off; user root; worker_processes 1; worker_rlimit_nofile 8192;
pid {directory}/nginx-{name}.pid; error_log {directory}/nginx-{name}.error;
events {{ worker_connections 4096; }}
http {{
  access_log {directory}/nginx-{name}.access; {temporary} client_max_body_size 16m;
  server {{ {listens} root {www}; location /sink {{ return 200; }} }}
}}
""", encoding="ascii")
  return Program(directory, f"nginx-{name}",
                 ns.enter("nginx", "-e", directory / f"nginx-{name}.error", "-c", config))


# id.server, class CH, type TXT.
_QUESTION = b"\x02id\x06server\x00" + struct.pack("!HH", 16, 3)


def who_answers(ns, family, within=0.5, address=SERVICE):
  """The identity of the server that the service address is, from here; None when nobody answers in time."""
  with ns.inside():
    s = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
  with s:
    s.settimeout(within)
    try:
      s.connect((address[family], 53))
      s.send(struct.pack("!HHHHHH", 7, 0, 1, 0, 0, 0) + _QUESTION)
      answer = s.recv(512)
    except OSError:
      return None
  at = 12 + len(_QUESTION) + 12    # one answer, its name a pointer
  return answer[at + 1:at + 1 + answer[at]].decode("ascii") if len(answer) > at else None


def routes_in(ns, table, family):
  return sh("ip", "-n", ns.name, f"-{family}", "route", "show", "table", table, check=False)
