# SPDX-License-Identifier: BSD-3-Clause
"""Three routers with BIRD, two anycast nodes behind two of them and a plain Linux one behind the third.

        client1 -- r1 ---------- r2 -- client2      AS 65001, 65002, 65003; nodes 65011, 65012, 65013
                   |              |
                 node a         node b              godwit, 2 workers each, BIRD beside it
                                  |
                                 r3 -- origin       the origin's nearest node is c
                                  |
                                node c              plain Linux, announces the same addresses
"""

import contextlib
import os
import pathlib
import tempfile
import time

import pytest
from harness import routers
from harness.daemon import Daemon
from harness.netns import Netns
from harness.routers import FAMILIES, SERVICE, Link, Program, bird_bgp, wait_for, who_answers

TABLE = 7480
FETCHES = 2500    # of each node and family: 10,000 in all
BIG = 1 << 20
LONG = 16 << 20   # bytes that a transfer has which nothing may end
RATE = "2M"       # of them a second
QUERIES = 200     # a second, and family
HOLD = 60         # seconds: of what a node must outlast, be the machine as slow as it may
HEALTH = {"interval": "500ms", "timeout": "500ms", "rise": 2, "fall": 2}


class Node:
  """An anycast node: godwit between its router and its servers, BIRD for what godwit says is alive."""

  def __init__(self, story, name, kind, link, router_as, own_as):
    self.name, self.kind, self.link, self.directory = name, kind, link, story.directory
    self.ns = story.spaces[f"node-{name}"]
    self.dns, self.crawl = story.spaces[f"dns-{name}"], story.spaces[f"crawl-{name}"]
    self.unicast = link.b
    self.daemon = story.enter(Daemon(self.ns, self.config()), Daemon.close)
    if kind == "xdp":    # the kernel keeps the interface, and its own way out
      routers.defaults_via(self.ns, link.a)
    self.nsd = self.nginx = None
    self.start_servers(story)
    sessions = "".join(bird_bgp("up", family, link.b[family], own_as, link.a[family], router_as,
                                f'import none; export where proto = "godwit{family}";', HOLD) for family in FAMILIES)
    imports = "".join(f'protocol kernel godwit{family} {{ kernel table {TABLE}; learn; scan time 1; '
                      f'ipv{family} {{ import all; export none; }}; }}\n' for family in FAMILIES)
    story.enter(routers.start_bird(self.ns, self.directory, f"bird-{name}", link.b[4], imports + sessions), Program.close)

  def config(self):
    uplink = {"name": "wan0", "device": f"{self.kind}:wan0"}
    if self.kind == "afpacket":
      uplink |= {"kernel": "gw0", "addresses": list(self.link.with_length.values()), "gateway": list(self.link.a.values())}
    return {
        "version": 1, "node": {"name": self.name, "unicast": list(self.unicast.values())},
        "dataplane": {"workers": 2, "cpus": [0], "max_flows": 65536, "hugepages": "off"},
        "uplinks": [uplink],
        "queues": [{"name": "dns0", "device": "veth:dns0", "netns": self.dns.name,
                    "health": {"dns": "example.com", **HEALTH}},
                   {"name": "crawl0", "device": "veth:crawl0", "netns": self.crawl.name}],
        "services": [{"name": "dns", "addresses": list(SERVICE.values()), "ports": ["udp/53", "tcp/53", "tcp/80"],
                      "queues": ["dns0"]},
                     {"name": "crawler", "addresses": list(SERVICE.values()), "queues": ["crawl0"]}],
        "announce": {"table": TABLE, "hold": f"{HOLD}s", "linger": "1s"},
        "metrics": {"listen": "127.0.0.1:9467"}}

  def start_servers(self, story):
    self.nginx = story.enter(routers.start_nginx(self.dns, self.directory, self.name, SERVICE.values(), story.www), Program.close)
    self.start_nsd(story)

  def start_nsd(self, story):
    self.nsd = story.enter(routers.start_nsd(self.dns, self.directory, self.name), Program.close)

  def crash(self, story):
    """And its successor, on the same socket."""
    self.daemon.process.kill()
    self.daemon.process.wait(30)
    self.daemon = story.enter(Daemon(self.ns, self.config(), directory=self.daemon.directory), Daemon.close)

  def announced(self, family):
    return SERVICE[family] in routers.routes_in(self.ns, TABLE, family)


class Story:
  """Everything of the picture, up and converged."""

  def __init__(self):
    self._stack = contextlib.ExitStack()
    self.directory = pathlib.Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="gwstory-")))
    self.www = self.directory / "www"
    self.www.mkdir()
    self.directory.chmod(0o755)
    (self.www / "index.html").write_text("here\n", encoding="ascii")
    (self.www / "big").write_bytes(os.urandom(BIG))
    (self.www / "long").write_bytes(os.urandom(LONG))
    try:
      self.build()
    except BaseException:
      self._stack.close()
      raise

  def enter(self, thing, close):
    self._stack.callback(close, thing)
    return thing

  def close(self):
    self._stack.close()

  def build(self):
    self.spaces = {}
    for role in ("r1", "r2", "r3", "client1", "client2", "origin", "node-a", "node-b", "node-c", "dns-a", "dns-b",
                 "crawl-a", "crawl-b"):
      self.spaces[role] = self.enter(Netns(role), Netns.close)
    s = self.spaces
    for router in ("r1", "r2", "r3"):
      routers.become_router(s[router])
    self.core = [Link(s["r1"], "r2", s["r2"], "r1", "203.0.113.0", "2001:db8:113::"),
                 Link(s["r2"], "r3", s["r3"], "r2", "203.0.113.4", "2001:db8:113:1::")]
    self.edge = {
        "client1": Link(s["r1"], "client", s["client1"], "eth0", "203.0.113.8", "2001:db8:113:2::"),
        "client2": Link(s["r2"], "client", s["client2"], "eth0", "203.0.113.12", "2001:db8:113:3::"),
        "origin": Link(s["r3"], "origin", s["origin"], "eth0", "203.0.113.16", "2001:db8:113:4::")}
    for role, link in self.edge.items():
      routers.defaults_via(s[role], link.a)
    self.up = {"a": Link(s["r1"], "node", s["node-a"], "wan0", "198.51.100.0", "2001:db8:a::", address_b=False),
               "b": Link(s["r2"], "node", s["node-b"], "wan0", "198.51.100.4", "2001:db8:b::"),
               "c": Link(s["r3"], "node", s["node-c"], "wan0", "198.51.100.8", "2001:db8:c::")}
    self.start_routers()
    self.enter(routers.start_nginx(s["origin"], self.directory, "origin", self.edge["origin"].b.values(), self.www), Program.close)
    self.start_plain_node()
    self.nodes = {"a": Node(self, "a", "afpacket", self.up["a"], 65001, 65011),
                  "b": Node(self, "b", "xdp", self.up["b"], 65002, 65012)}
    for node in self.nodes.values():
      for family in FAMILIES:
        wait_for(f"node {node.name} announces IPv{family}", lambda n=node, f=family: n.announced(f), 60)
    for client, identity in (("client1", "a"), ("client2", "b"), ("origin", "c")):
      for family in FAMILIES:
        wait_for(f"{client} reaches {identity} over IPv{family}",
                 lambda c=client, i=identity, f=family: who_answers(s[c], f) == i, 60)

  def start_routers(self):
    ones, twos = self.core
    # (router, number, its sessions: name, link, which end is the router's, the other's AS)
    for router, own_as, sessions in (
        ("r1", 65001, [("r2", ones, "a", 65002), ("node", self.up["a"], "a", 65011)]),
        ("r2", 65002, [("r1", ones, "b", 65001), ("r3", twos, "a", 65003), ("node", self.up["b"], "a", 65012)]),
        ("r3", 65003, [("r2", twos, "b", 65002), ("node", self.up["c"], "a", 65013)])):
      text = routers.ROUTER
      for name, link, end, other_as in sessions:
        ours, theirs = (link.a, link.b) if end == "a" else (link.b, link.a)
        for family in FAMILIES:
          text += bird_bgp(name, family, ours[family], own_as, theirs[family], other_as, "import all; export all;",
                           HOLD if name == "node" else 9)
      self.enter(routers.start_bird(self.spaces[router], self.directory, f"bird-{router}", f"10.0.0.{own_as % 10}", text),
                 Program.close)

  def start_plain_node(self):
    """The third node has no godwit: the addresses on its loopback, and BIRD that always announces them."""
    node, link = self.spaces["node-c"], self.up["c"]
    routers.defaults_via(node, link.a)
    for family, length in ((4, 32), (6, 128)):
      node.ip("addr", "add", f"{SERVICE[family]}/{length}", "dev", "lo")
    self.enter(routers.start_nsd(node, self.directory, "c"), Program.close)
    text = ""
    for family, length in ((4, 32), (6, 128)):
      text += (f"protocol static anycast{family} {{ ipv{family}; route {SERVICE[family]}/{length} blackhole; }}\n"
               + bird_bgp("up", family, link.b[family], 65013, link.a[family], 65003,
                          f'import none; export where proto = "anycast{family}";'))
    self.enter(routers.start_bird(node, self.directory, "bird-c", link.b[4], text), Program.close)

  def origin_url(self, family):
    address = self.edge["origin"].b[family]
    return f"http://{f'[{address}]' if family == 6 else address}"

  @contextlib.contextmanager
  def watched(self, *roles, of=("origin",)):
    """What comes to these nodes meanwhile from those: a list for each, of lines of tcpdump."""
    hosts = [f"src host {address}" for role in of for address in self.edge[role].b.values()]
    seen, captures = {}, {}
    for role in roles:
      captures[role] = Program(self.directory, f"watch-{role}", self.spaces[role].enter(
          "tcpdump", "-Z", "root", "-lnn", "-i", "wan0", "-Q", "in", " or ".join(hosts)))
    for role, capture in captures.items():
      wait_for(f"tcpdump on {role}", lambda c=capture: "listening on" in c.log_file.read_text(errors="replace"))
    try:
      yield seen
    finally:
      time.sleep(0.5)    # tcpdump takes what it has seen
      for role, capture in captures.items():
        capture.close()
        lines = capture.log_file.read_text(errors="replace").splitlines()
        capture.log_file.unlink()
        seen[role] = [line for line in lines if " > " in line]


@pytest.fixture(scope="module")
def story():
  s = Story()
  yield s
  s.close()


def fetch_many(story, node, family, count):
  """`count` connections of one crawler that has only the service address; how many were answered with 200."""
  config = story.directory / f"fetch-{node.name}{family}.curl"
  entry = (f'url = "{story.origin_url(family)}/?{node.name}"\noutput = "/dev/null"\ninterface = "{SERVICE[family]}"\n'
           'header = "Connection: close"\nwrite-out = "%{http_code}\\n"\nmax-time = 60\n')
  config.write_text("next\n".join([entry] * count), encoding="ascii")
  out = node.crawl.run("curl", "-sS", "--parallel", "--parallel-max", "40", "-K", config, check=False, timeout=600)
  return out.split().count("200")


@pytest.mark.parametrize("family", FAMILIES)
def test_clients_reach_the_nearest_node(story, family):
  for client, identity in (("client1", "a"), ("client2", "b")):
    assert {who_answers(story.spaces[client], family, 10) for _ in range(20)} == {identity}


def test_crawlers_get_every_reply_themselves(story):
  with story.watched("node-c") as seen:
    for family in FAMILIES:
      for node in story.nodes.values():
        assert fetch_many(story, node, family, FETCHES) == FETCHES
  assert seen["node-c"] == []    # nothing of it went astray to the node that is nearest to the origin
  log = (story.directory / "nginx-origin.access").read_text(encoding="ascii")
  visits = [line.split(" ", 1)[0] for line in log.splitlines() if "GET /?" in line]
  for node in story.nodes.values():
    for family in FAMILIES:
      assert visits.count(node.unicast[family]) == FETCHES
  assert len(visits) == 4 * FETCHES    # and by nobody else's address


def test_without_godwit_the_reply_goes_astray(story):
  """The same crawler on a node that routes as Linux does: what this product is for."""
  client = story.spaces["client1"]
  with story.watched("node-c") as seen:
    for family, length in ((4, 32), (6, 128)):
      client.ip("addr", "add", f"{SERVICE[family]}/{length}", "dev", "lo", *(["nodad"] if family == 6 else []))
      try:
        out = client.run("curl", "-sS", "--interface", SERVICE[family], "--max-time", "2", story.origin_url(family),
                         check=False)
      finally:
        client.ip("addr", "del", f"{SERVICE[family]}/{length}", "dev", "lo")
      assert "here" not in out
  assert any("Flags [S.]" in line for line in seen["node-c"])


@pytest.mark.parametrize("family", FAMILIES)
def test_packet_too_big_reaches_who_sent(story, family):
  """The routers' links to a client and to the origin get narrow: what they say of it must reach the sender's queue."""
  s = story.spaces
  s["r1"].ip("link", "set", "client", "mtu", 1300)
  s["r3"].ip("link", "set", "origin", "mtu", 1300)
  try:
    address = f"[{SERVICE[6]}]" if family == 6 else SERVICE[4]
    for _ in range(8):    # each a flow, and with it a worker, of its own
      out = s["client1"].run("curl", "-sS", "--max-time", "30", "-o", "/dev/null", "-w", "%{http_code} %{size_download}",
                             f"http://{address}/big", check=False)
      assert out.split() == ["200", str(BIG)], out
      for node in story.nodes.values():
        out = node.crawl.run("curl", "-sS", "--max-time", "30", "--interface", SERVICE[family], "-o", "/dev/null", "-w",
                             "%{http_code} %{size_upload}", "--data-binary", f"@{story.www}/big",
                             f"{story.origin_url(family)}/sink", check=False)
        assert out.split() == ["200", str(BIG)], out
  finally:
    s["r1"].ip("link", "set", "client", "mtu", 1500)
    s["r3"].ip("link", "set", "origin", "mtu", 1500)


def test_a_dead_service_is_taken_over_and_comes_back(story):
  a, client = story.nodes["a"], story.spaces["client1"]
  a.nsd.kill()
  for family in FAMILIES:
    wait_for(f"IPv{family} withdrawn", lambda f=family: not a.announced(f), 60)
  withdrawn = time.monotonic()
  for family in FAMILIES:
    wait_for(f"client1 is served by the other node over IPv{family}",
             lambda f=family: who_answers(client, f, 0.2) == "b", 60)
  assert time.monotonic() - withdrawn < 2
  a.start_nsd(story)
  for family in FAMILIES:
    wait_for(f"IPv{family} announced again", lambda f=family: a.announced(f), 60)
    wait_for(f"client1 is back at its own node over IPv{family}", lambda f=family: who_answers(client, f) == "a", 60)


def start_transfer(story, name, ns, url, *options):
  """One TCP connection for some 8 s; what it has taken is in a file."""
  file = story.directory / f"{name}.got"
  return file, Program(story.directory, name, ns.enter(
      "curl", "-sS", "--limit-rate", RATE, "--max-time", "180", "-o", file, *options, url))


def start_queries(story, name, ns, family):
  queries = story.directory / "queries"
  queries.write_text("example.com SOA\nns1.example.com A\n", encoding="ascii")
  return Program(story.directory, name, ns.enter("dnsperf", "-s", SERVICE[family], "-d", queries, "-l", "10", "-Q", QUERIES,
                                                 "-q", "60000", "-t", "2", "-c", "4"))


def start_all(story, node, client, name):
  """A long download of the node's crawler, one of a client's, and queries, of each family."""
  transfers, queries = {}, {}
  for family in FAMILIES:
    service = f"http://[{SERVICE[6]}]" if family == 6 else f"http://{SERVICE[4]}"
    transfers[f"crawl{family}"] = start_transfer(story, f"{name}-crawl{family}", node.crawl,
                                                 f"{story.origin_url(family)}/long", "--interface", SERVICE[family])
    transfers[f"client{family}"] = start_transfer(story, f"{name}-client{family}", client, f"{service}/long")
    queries[family] = start_queries(story, f"{name}-dnsperf{family}", client, family)
  for what, (file, _) in transfers.items():
    wait_for(f"{what} has begun", lambda f=file: f.exists() and f.stat().st_size > 1 << 20, 60)
  assert all(file.stat().st_size < LONG for file, _ in transfers.values()), "one was over before"
  return transfers, queries


@pytest.mark.parametrize("how", ["upgrade", "crash"])
@pytest.mark.parametrize("name, client, router", [("a", "client1", "r1"), ("b", "client2", "r2")])
def test_connections_outlast_the_daemon(story, name, client, router, how):
  """A node is upgraded, or killed and started again, amid all this: nobody else sees a packet of it."""
  node, www = story.nodes[name], (story.www / "long").read_bytes()
  for family in FAMILIES:
    wait_for(f"node {name} answers {client}", lambda f=family: who_answers(story.spaces[client], f) == name, 60)
  sessions = {bird: routers.bgp_sessions(story.directory, bird) for bird in (f"bird-{name}", f"bird-{router}")}
  assert len(sessions[f"bird-{name}"]) == 2, sessions
  others = [f"node-{other}" for other in "abc" if other != name]
  with story.watched(*others, of=("origin", client)) as seen:
    transfers, queries = start_all(story, node, story.spaces[client], f"{name}-{how}")
    begun = time.monotonic()
    if how == "upgrade":
      node.daemon.ctl("upgrade")
    else:
      node.crash(story)
    outage = time.monotonic() - begun
    for what, (file, program) in transfers.items():
      assert program.process.wait(180) == 0, program.log_file.read_text()
      assert file.read_bytes() == www, what
    lost = {}
    for family, program in queries.items():
      assert program.process.wait(60) == 0, program.log_file.read_text()
      lost[family] = int(program.log_file.read_text().rsplit("Queries lost:", 1)[1].split()[0])
  print(f"node {name}, {how}: ready again after {outage:.2f} s; queries lost of {QUERIES} a second: {lost}")
  for bird, before in sessions.items():
    assert routers.bgp_sessions(story.directory, bird) == before, bird
  assert all(not lines for lines in seen.values()), seen
  for family in FAMILIES:
    assert lost[family] <= QUERIES * (outage + 1), (lost, outage)


def test_the_nodes_balance(story):
  """Runs last in this file: nothing was lost without a name, nothing left with a wrong source."""
  for node in story.nodes.values():
    counters = node.daemon.ctl("counters")
    assert counters["received"] + counters["generated"] == sum(
        counters[key] for key in ("delivered", "sent", "punted", "consumed", "held")) + sum(counters["dropped"].values())
    assert counters["dropped"].get("leak_prevented", 0) == 0
