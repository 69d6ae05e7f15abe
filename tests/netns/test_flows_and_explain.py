# SPDX-License-Identifier: BSD-3-Clause
"""What godwitctl says is what happens: flows, counters, explain, and the tables."""

import json
import time

import pytest
from harness import packets as pk
from harness.daemon import godwitctl
from test_originate import comes_back, established, mapping
from test_replies import leaves_unchanged

FLOW_KEYS = {"kind", "proto", "service", "queue", "local", "remote", "translated", "state", "idle_s"}


def find(w, **wanted):
  return [f for f in w.flows(limit=100000) if all(f.get(k) == v for k, v in wanted.items())]


# -- flows -------------------------------------------------------------------------------------------------------


def test_flow_list_shows_an_inbound_flow(wv, ip):
  sport = wv.l4port()
  home = wv.deliver(pk.udp(ip.C, ip.VIP, sport, 53), "dns0", "dns1")
  flow, = find(wv, remote=pk.at(ip.C, sport))
  assert FLOW_KEYS <= set(flow)
  assert (flow["kind"], flow["proto"], flow["service"], flow["queue"], flow["local"]) == (
      "inbound", "udp", "dns", home, pk.at(ip.VIP, 53))
  assert 0 <= float(flow["idle_s"]) < 5


def test_flow_list_shows_an_originated_flow(wv, ip):
  sport, p = established(wv, ip)
  flow, = find(wv, local=pk.at(ip.I1, sport))
  assert FLOW_KEYS <= set(flow)
  assert (flow["kind"], flow["proto"], flow["queue"], flow["remote"], flow["translated"]) == (
      "originated", "tcp", "crawl0", pk.at(ip.S, 443), pk.at(ip.U, p))


def test_flow_list_state_follows_tcp(wv, ip):
  sport, p = mapping(wv, "crawl0", "tcp", ip.I1, ip.S, 443)
  first = find(wv, local=pk.at(ip.I1, sport))[0]["state"]
  comes_back(wv, "crawl0", pk.tcp(ip.S, ip.U, 443, p, flags="SA", seq=5, ack=1001), ip.I1, sport)
  wv.q["crawl0"].send(pk.tcp(ip.I1, ip.S, sport, 443, flags="A", seq=1001, ack=6))
  wv.collect(["up"], 1)
  assert find(wv, local=pk.at(ip.I1, sport))[0]["state"] != first


def test_queues_and_uplinks_count_bytes_and_flows(wv, ip):
  def counted():
    queues = [wv.ctl("queue", "show", name) for name in ("dns0", "dns1")]
    return (sum(q["inbound_flows"] for q in queues), sum(q["tx_bytes"] for q in queues),
            wv.ctl("uplink", "show", "wan0")["rx_bytes"])

  wv.flush()
  flows, out, came = counted()
  assert flows == 0
  packets = [pk.udp(ip.C, ip.VIP, wv.l4port(), 53, payload=bytes(1000)) for _ in range(10)]
  for p in packets * 2:
    wv.deliver(p, "dns0", "dns1")
  sent = 2 * sum(14 + len(p) for p in packets)
  flows_after, out_after, came_after = counted()
  assert flows_after == 10
  # What else may come or go meanwhile is ARP and ND.
  assert sent <= out_after - out < sent + 1000 and sent <= came_after - came < sent + 1000
  wv.flush()
  assert counted()[0] == 0


def test_flow_filters(wv, ip):
  wv.flush()
  sport = wv.l4port()
  wv.deliver(pk.udp(ip.C, ip.VIP, sport, 53), "dns0", "dns1")
  wv.deliver(pk.tcp(ip.S2, ip.VIPB, sport, 443), "web0")
  mapping(wv, "web0", "udp", ip.I1, ip.S, 53)
  mapping(wv, "crawl0", "tcp", ip.I1, ip.S, 443)

  def kinds(**filters):
    return sorted((f["kind"], f["proto"], f["service"]) for f in wv.flows(**filters))

  assert kinds(service="dns") == [("inbound", "udp", "dns")]
  assert kinds(service="web") == [("inbound", "tcp", "web"), ("originated", "udp", "web")]
  assert kinds(proto="tcp") == [("inbound", "tcp", "web"), ("originated", "tcp", "crawler")]
  assert kinds(client=ip.C) == [("inbound", "udp", "dns")]
  prefix = "192.0.2.0/24" if ip.v == 4 else "2001:db8:5::/48"
  assert len(wv.flows(client=prefix)) == (4 if ip.v == 4 else 3)
  assert len(wv.flows(limit=2)) == 2
  count = wv.ctl("flow", "count")
  assert 4 in [int(v) for v in _numbers(count)], count
  count = wv.ctl("flow", "count", "--service=web")
  assert 2 in [int(v) for v in _numbers(count)], count


def _numbers(value):
  if isinstance(value, dict):
    return [n for v in value.values() for n in _numbers(v)]
  if isinstance(value, list):
    return [n for v in value for n in _numbers(v)]
  return [value] if isinstance(value, (int, float)) or (isinstance(value, str) and value.isdigit()) else []


def test_flow_flush_ends_flows_at_once(wv, ip):
  sport, p = mapping(wv, "crawl0", "udp", ip.I1, ip.S, 53)
  kept, q = mapping(wv, "web0", "udp", ip.I1, ip.S, 53)
  wv.ctl("flow", "flush", "--service=crawler")
  assert not find(wv, local=pk.at(ip.I1, sport)) and find(wv, local=pk.at(ip.I1, kept))
  with wv.drops(1, "nat_filtered"):
    wv.up.send(pk.udp(ip.S, ip.U, 53, p))
  comes_back(wv, "web0", pk.udp(ip.S, ip.U, 53, q), ip.I1, kept)
  wv.flush()
  assert wv.flow_count() == 0


def test_idle_is_the_time_since_the_last_packet(wv):
  ip, sport = pk.V4, wv.l4port()
  for pause in (2.2, 0):
    begun = time.monotonic()
    mapping(wv, "crawl0", "udp", ip.I1, ip.S, 53, sport)
    time.sleep(pause)
    idle = float(find(wv, local=pk.at(ip.I1, sport))[0]["idle_s"])
    assert pause - 1.2 <= idle <= time.monotonic() - begun + 1


def test_idle_of_a_flow_that_a_reply_opened(wv, ip):
  """A server answers from its endpoint to somebody whose question came elsewhere, or before a restart."""
  sport = wv.l4port()
  wv.q["dns0"].send(pk.udp(ip.VIP, ip.C, 53, sport))
  wv.arrives("up", match=lambda p: p.src == ip.VIP)
  flow, = find(wv, remote=pk.at(ip.C, sport))
  assert flow["idle_s"] < 5 and flow["expires_s"] > 250, flow


# -- counters ----------------------------------------------------------------------------------------------------


def test_counters_have_their_keys_and_are_numbers(wv):
  counters = wv.ctl("counters")
  for key in ("received", "generated", "delivered", "sent", "punted", "consumed", "held"):
    assert isinstance(counters[key], int), f"{key}: {counters.get(key)!r} is no JSON number"
  assert isinstance(counters["dropped"], dict) and isinstance(counters["driver"], dict)


@pytest.mark.parametrize("n", [1, 7, 33, 300])
def test_rule_7_counters_are_exact(w, ip, n):
  sports = [w.l4port() for _ in range(n)]
  w.reset()
  before = w.counters()
  w.up.send_all([pk.udp(ip.C, ip.VIPB, s, 443) for s in sports])
  w.arrives("web0", n=n)
  w.q["web0"].send_all([pk.udp(ip.VIPB, ip.C, 443, s) for s in sports])
  w.arrives("up", n=n, match=lambda p: p.src == ip.VIPB)
  moved = w.counters().since(before)
  # The kernel may speak of its own meanwhile: keep its gateway resolved, join a group.
  own = len(w.up.chatter)
  assert moved["delivered"] == n and n <= moved["sent"] <= n + own and 2 * n <= moved["received"] <= 2 * n + 2 * own
  assert not w.counters().drops_since(before)


def test_counters_nonzero_and_drops(wv):
  ip = pk.V4
  with wv.drops(1, "nat_filtered"):
    wv.up.send(pk.udp(ip.S, ip.U, 80, 5000))
  code, out, _ = wv.daemon.raw("counters", "--drops", "--nonzero", json_output=False)
  assert code == 0 and "nat_filtered" in out
  assert all(line.split()[-1] != "0" for line in out.splitlines() if line.split() and line.split()[-1].isdigit())


# -- explain -----------------------------------------------------------------------------------------------------


def explain(w, proto, src, sport, dst, dport, origin="uplink"):
  return w.ctl("explain", proto, pk.at(src, sport), pk.at(dst, dport), f"--from={origin}")


def test_explain_names_the_queue_that_will_get_it(wv, ip):
  for _ in range(25):
    sport = wv.l4port()
    told = explain(wv, "udp", ip.C, sport, ip.VIP, 53)
    assert {"verdict", "reason", "service", "queue", "translated"} <= set(told)
    assert told["service"] == "dns"
    assert wv.deliver(pk.udp(ip.C, ip.VIP, sport, 53), "dns0", "dns1") == told["queue"]
    assert explain(wv, "udp", ip.C, sport, ip.VIP, 53)["queue"] == told["queue"]


def test_explain_knows_addresses_that_nothing_may_have(wv):
  """What a queue sends from or to them is dropped before anything is looked up; and rule 5 for the kernel's own."""
  ip = pk.V4
  for source, destination, reason in (
      ("127.0.0.1", ip.S, "martian_src"), ("169.254.1.1", ip.S, "martian_src"), ("224.0.0.1", ip.S, "martian_src"),
      ("0.0.0.0", ip.S, "martian_src"), (ip.I1, "224.0.0.1", "martian_dst"), (ip.I1, "127.0.0.1", "martian_dst"),
      (ip.I1, "255.255.255.255", "martian_dst")):
    sport = wv.l4port()
    told = explain(wv, "udp", source, sport, destination, 53, "crawl0")
    assert (told["verdict"], told["reason"]) == ("dropped", reason), (source, destination, told)
    with wv.drops(1, reason):
      wv.q["crawl0"].send(pk.udp(source, destination, sport, 53))
  told = explain(wv, "udp", ip.U, 4001, ip.S, 53, "kernel")
  assert (told["verdict"], told["translated"]) == ("sent", ""), told
  told = explain(wv, "udp", "10.66.0.1", 4001, ip.S, 53, "kernel")
  assert (told["verdict"], told["reason"]) == ("dropped", "leak_prevented"), told


def test_explain_changes_nothing(wv, ip):
  before, counters = wv.flow_count(), wv.counters().raw
  explain(wv, "tcp", ip.I1, wv.l4port(), ip.S, 80, "crawl0")
  explain(wv, "udp", ip.C, wv.l4port(), ip.VIP, 53)
  assert wv.flow_count() == before and wv.counters().dropped == {
      k: int(v) for k, v in counters["dropped"].items() if int(v)}


def test_explain_equals_what_is_dropped(wv, ip):
  """For each: explain's reason is the counter that then moves."""
  table = [("uplink", "udp", ip.S, 80, ip.U, 5000, pk.udp), ("uplink", "tcp", ip.S, 80, ip.U, 5001, pk.tcp),
           ("uplink", "udp", ip.C, 1000, ip.VIP, 9, pk.udp), ("uplink", "udp", ip.C, 1000, ip.VIPD, 9, pk.udp),
           ("deny0", "udp", ip.VIPD, 4000, ip.S, 80, pk.udp), ("deny0", "tcp", ip.I1, 4000, ip.S, 80, pk.tcp),
           ("vip0", "udp", ip.I1, 4000, ip.S, 80, pk.udp), ("crawl0", "udp", ip.I1, 4000, ip.D, 80, pk.udp),
           ("uplink", "udp", ip.VIPB, 1000, ip.VIP, 53, pk.udp), ("crawl0", "udp", ip.I1, 4000, ip.VIP, 9, pk.udp)]
  for origin, proto, src, sport, dst, dport, make in table:
    told = explain(wv, proto, src, sport, dst, dport, origin)
    with wv.drops(1, told["reason"], silent=False):
      wv.wire("up" if origin == "uplink" else origin).send(make(src, dst, sport, dport))


def test_explain_equals_what_passes(wv, ip):
  """One word for each verdict, whatever it is: packets of one fate are told one verdict, others another."""
  told = {
      "delivered": explain(wv, "udp", ip.C, 4001, ip.VIPB, 443),
      "reply": explain(wv, "udp", ip.VIPB, 443, ip.C, 4001, "web0"),
      "originated": explain(wv, "udp", ip.I1, 4001, ip.S, 53, "crawl0"),
      "local": explain(wv, "udp", ip.I1, 4001, ip.VIPB, 443, "crawl0"),
      "kernel": explain(wv, "tcp", ip.S, 4001, ip.U, 179),
      "filtered": explain(wv, "tcp", ip.S, 4001, ip.U, 5000)}
  wv.deliver(pk.udp(ip.C, ip.VIPB, 4001, 443), "web0")
  leaves_unchanged(wv, "web0", pk.udp(ip.VIPB, ip.C, 443, 4001))
  assert told["delivered"]["queue"] == "web0" and told["delivered"]["service"] == "web"
  assert told["local"]["queue"] == "web0"
  assert not told["reply"]["translated"]
  verdicts = [told[k]["verdict"] for k in ("delivered", "originated", "kernel", "filtered")]
  assert len(set(verdicts)) == 4, verdicts


def test_explain_shows_a_live_mapping(wv, ip):
  sport, p = mapping(wv, "crawl0", "udp", ip.I1, ip.S, 53)
  assert explain(wv, "udp", ip.I1, sport, ip.S, 53, "crawl0")["translated"] == pk.at(ip.U, p)
  back = explain(wv, "udp", ip.S, 53, ip.U, p)
  assert back["queue"] == "crawl0" and pk.at(ip.I1, sport) in json.dumps(back)


def test_explain_takes_an_echo_id(wv, ip):
  wv.q["crawl0"].send(pk.echo(ip.I1, ip.S, 0x77))
  ident = wv.one("up").ident
  told = wv.ctl("explain", "icmp", pk.at(ip.I1, 0x77), pk.at(ip.S, 0x77), "--from=crawl0")
  assert told["translated"] == pk.at(ip.U, ident)


# -- tables and exit codes ---------------------------------------------------------------------------------------


def test_status_keys(wv):
  status = wv.ctl("status")
  assert status["ready"] is True and int(status["generation"]) >= 1
  for table, names in (("uplinks", {"wan0"}), ("queues", set(wv.q)),
                       ("services", {"dns", "web", "own", "mute", "crawler"})):
    assert names <= {row["name"] for row in status[table]}, table
    assert all(row.get("state") for row in status[table]), table


@pytest.mark.parametrize("command", [
    "status", "service list", "service show dns", "queue list", "queue show dns0", "uplink list", "uplink show wan0",
    "egress show", "flow list", "flow count", "neighbor list", "route list", "counters", "config show", "version"])
def test_every_table_for_people_and_programs(wv, command):
  code, out, err = wv.daemon.raw(*command.split())
  assert code == 0, err
  json.loads(out)
  code, out, err = wv.daemon.raw(*command.split(), json_output=False)
  assert code == 0 and out.strip(), err


@pytest.mark.parametrize("command", [
    "service show nosuch", "queue show nosuch", "uplink show nosuch", "queue drain nosuch", "service remove nosuch",
    "flow list --client=192.0.2.300", "flow list --service=nosuch", "flow list --proto=xyz",
    "explain udp 1.2.3.4 5.6.7.8:53", "explain udp 192.0.2.1:1 198.51.100.53:53 --from=nosuch",
    "config check /nonexistent.yaml", "service set dns --queues=nosuch", "service set dns --ports=udp/70000",
    "egress set --ports=5-1", "queue set dns0 --device=bogus:x"])
def test_exit_1_refused_with_one_line(wv, command):
  generation = wv.ctl("status")["generation"]
  code, _, err = wv.daemon.raw(*command.split())
  assert code == 1, f"exit {code}: {err}"
  assert len(err.strip().splitlines()) == 1, err
  assert wv.ctl("status")["generation"] == generation


@pytest.mark.parametrize("command", ["", "nosuch", "service nosuch", "service show dns extra words", "status --nosuch=1",
                                     "explain udp", "--nosuch"])
def test_exit_2_usage(wv, command):
  code, out, err = wv.daemon.raw(*command.split())
  assert code == 2, f"exit {code}: {out}{err}"
  assert err.strip()


def test_exit_3_daemon_not_reachable(wv):
  code, _, err = godwitctl("status", socket="/nonexistent/godwit.sock")
  assert code == 3 and len(err.strip().splitlines()) == 1, (code, err)


@pytest.mark.parametrize("argv", ["--help", "service --help", "service set --help", "explain --help"])
def test_help_teaches(wv, argv):
  code, out, _ = wv.daemon.raw(*argv.split(), json_output=False)
  assert code == 0 and len(out.splitlines()) > 3


def test_metrics_page(wv):
  """Not in the standard config: the default address is the node's own loopback."""
  out = wv.n.run("curl", "-s", "-m", "30", "--noproxy", "*", "http://127.0.0.1:9467/metrics", check=False)
  assert "godwit" in out and "# TYPE" in out
