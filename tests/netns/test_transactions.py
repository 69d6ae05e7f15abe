# SPDX-License-Identifier: BSD-3-Clause
"""A change that nobody confirms goes by itself, and one can go back to any of the last ten: each a transaction like any
other, under which established flows live on."""

import subprocess
import time

import pytest
from harness import packets as pk
from harness.daemon import GODWITCTL
from harness.world import World, changed, service, standard_config
from test_changes import Load
from test_originate import comes_back, mapping

QUEUES = ("dns0", "dns1", "web0", "crawl0")


def base():
  return standard_config(queues=QUEUES)


def with_extra(l4port=5353):
  """The base and one service more, on addresses that nothing else uses."""
  return changed(base(), lambda c: c["services"].append(
      {"name": "extra", "addresses": [pk.V4.VIPD, pk.V6.VIPD], "ports": [f"udp/{l4port}"], "queues": ["web0"]}))


@pytest.fixture(scope="module")
def node():
  with World(base()) as w:
    yield w


@pytest.fixture(autouse=True)
def back_to_base(node):
  yield
  if node.daemon.alive():
    if state(node)["unconfirmed"]:
      node.ctl("config", "rollback")
    node.apply(base())


def state(w):
  return w.ctl("status")["config"]


def generation(w):
  return int(w.ctl("status")["generation"])


def shown(w):
  return w.ctl("config", "show")["text"]


def apply_on_trial(w, config, within):
  w.allowed.widen(type(w.allowed).of(config))
  return w.ctl("config", "apply", w.daemon.write(config, "trial.yaml"), f"--confirm-within={within}")


def wait_until_over(w, within=30):
  end = time.monotonic() + within
  while state(w)["unconfirmed"]:
    assert time.monotonic() < end, f"still on trial after {within} s\n{w.daemon.log()}"
    time.sleep(0.05)


def refused(w, *argv):
  """Exit 1, one line, nothing changed; returns the line."""
  before = generation(w), shown(w)
  code, out, err = w.daemon.raw(*argv, json_output=False)
  assert code == 1 and err.startswith("refused: ") and err.count("\n") == 1, f"exit {code}: {out}{err}"
  assert (generation(w), shown(w)) == before
  return err


def test_a_queue_that_a_service_has_is_not_removed(node):
  assert 'queue "dns1": is of service "dns"' in refused(node, "queue", "remove", "dns1")


def test_a_change_that_is_not_confirmed_goes_by_itself(node, ip):
  """Also when who asked for it is gone; flows from before it and the mapping live through both changes."""
  sport, p = mapping(node, "crawl0", "tcp", ip.I1, ip.S, 443)
  client = node.l4port()
  home = node.deliver(pk.udp(ip.C, ip.VIP, client, 53), "dns0", "dns1")
  before, text = generation(node), shown(node)
  node.allowed.widen(type(node.allowed).of(with_extra()))
  path = node.daemon.write(with_extra(), "trial.yaml")
  asked = subprocess.Popen([GODWITCTL, "--socket", node.daemon.socket, "config", "apply", path, "--confirm-within=8s"],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
  end = time.monotonic() + 20
  while not state(node)["unconfirmed"]:
    assert time.monotonic() < end
    time.sleep(0.01)
  asked.kill()
  asked.wait()
  trial = state(node)
  assert trial["unconfirmed"] == before + 1 and trial["back_to"] == before and 0 < trial["confirm_left_s"] <= 8
  code, out, _ = node.daemon.raw("status", json_output=False)
  assert code == 0 and f"NOT CONFIRMED: back to generation {before} in " in out
  assert node.deliver(pk.udp(ip.C, ip.VIPD, node.l4port(), 5353), "web0") == "web0"
  comes_back(node, "crawl0", pk.tcp(ip.S, ip.U, 443, p, flags="SA"), ip.I1, sport)
  wait_until_over(node)
  assert generation(node) == before + 2 and shown(node) == text
  why = f"generation {before + 1} was not confirmed: back to generation {before}"
  assert state(node)["last_change"] == why and f"generation {before + 2}: {why}" in node.daemon.log()
  node.reset()
  node.up.send(pk.udp(ip.C, ip.VIPD, node.l4port(), 5353))
  assert not node.collect(["web0"], 1, timeout=0.15), "delivered to a service that was taken back"
  comes_back(node, "crawl0", pk.tcp(ip.S, ip.U, 443, p, flags="A"), ip.I1, sport)
  assert node.deliver(pk.udp(ip.C, ip.VIP, client, 53), "dns0", "dns1") == home


def test_a_confirmed_change_stays(node):
  reply = apply_on_trial(node, with_extra(), "2s")
  assert f"back to generation {reply['generation'] - 1} in 2s" in reply["message"]
  kept = node.ctl("config", "confirm")
  assert kept["generation"] == reply["generation"] and not state(node)["unconfirmed"]
  time.sleep(3)
  assert generation(node) == reply["generation"] and "extra" in shown(node)
  assert "for good" in refused(node, "config", "confirm")


def test_nothing_is_built_on_what_may_go(node):
  path = node.daemon.write(base(), "other.yaml")
  number = apply_on_trial(node, with_extra(), "60s")["generation"]
  for words in (("config", "apply", path), ("config", "apply", path, "--confirm-within=60s"), ("config", "save"),
                ("service", "remove", "extra"), ("queue", "drain", "dns0"), ("egress", "set", "--timeouts.udp=180s")):
    assert f"generation {number} waits to be confirmed" in refused(node, *words)
  node.ctl("config", "diff", path)    # looking is free
  reply = node.ctl("config", "rollback")
  assert f"back to generation {number - 1}" in reply["message"]
  assert not state(node)["unconfirmed"] and "extra" not in shown(node)
  node.ctl("queue", "drain", "dns0")


@pytest.mark.parametrize("within", ["0s", "10ms", "25h", "soon", "-5s"])
def test_a_trial_is_from_a_second_to_a_day(node, within):
  path = node.daemon.write(with_extra(), "trial.yaml")
  assert "confirm-within" in refused(node, "config", "apply", path, f"--confirm-within={within}")


def test_rollback_to_each_of_the_last_ten(node, ip):
  sport, p = mapping(node, "crawl0", "udp", ip.I1, ip.S, 53)
  first = generation(node) + 1
  texts = {}
  for i in range(12):
    number = node.apply(with_extra(6000 + i))["generation"]
    texts[number] = shown(node)
  entries = node.ctl("config", "history")["entries"]
  assert [e["generation"] for e in entries] == list(range(first + 11, first, -1)) and len(entries) == 11
  assert [e["in_effect"] for e in entries] == [True] + [False] * 10
  assert all("6011" in "".join(e["changes"]) for e in entries[1:]) and not entries[0]["changes"]
  assert node.ctl("config", "show", f"--generation={first + 5}")["text"] == texts[first + 5]
  assert str(first) in refused(node, "config", "rollback", first)    # the eleventh before
  for n, back in enumerate((first + 10, first + 5, first + 7)):
    reply = node.ctl("config", "rollback", back)
    assert reply["generation"] == first + 12 + n and shown(node) == texts[back]
    node.deliver(pk.udp(ip.C, ip.VIPD, node.l4port(), 6000 + back - first), "web0")
  node.ctl("config", "rollback")    # the one before, that of first + 5: back and forth
  assert shown(node) == texts[first + 5]
  node.ctl("config", "rollback")
  assert shown(node) == texts[first + 7]
  comes_back(node, "crawl0", pk.udp(ip.S, ip.U, 53, p), ip.I1, sport)


def test_rollback_undoes_a_verb_and_diff_says_so_before(node):
  before, text = generation(node), shown(node)
  node.ctl("service", "set", "web", "--unmatched=silent")
  old = node.ctl("config", "show", f"--generation={before}")["text"]
  changes = node.ctl("config", "diff", node.daemon.write(old, "old.yaml"))["changes"]
  assert changes == ["service web: unmatched silent -> reject"]
  assert state(node)["last_change"] == "service set web"
  node.ctl("config", "rollback")
  assert shown(node) == text and service(node.config, "web").get("unmatched", "reject") == "reject"


def test_a_save_keeps_what_is_in_effect(node):
  text = shown(node)
  node.ctl("config", "save")
  assert node.daemon.file.read_text() == text
  assert not node.ctl("config", "diff", node.daemon.file)["changes"]


def test_CFG_01_changes_that_go_by_themselves_lose_nothing_under_traffic(node, ip):
  load = Load(node, ip, 8)
  load.start()
  taken_back = 0
  while load.is_alive():
    apply_on_trial(node, with_extra(7000 + taken_back), "1s")
    wait_until_over(node)
    node.check_standing()
    taken_back += 1
  load.join()
  assert taken_back >= 2
  assert not load.lost(), f"lost of {load.sent}: {load.lost()}"


def test_going_back_is_tried_again(node):
  """Another link has taken the name that a queue's device needs to come back: what is on trial stays until it is gone."""
  def remove(c):
    c["services"] = [s for s in c["services"] if s["name"] != "crawler"]
    c["queues"] = [q for q in c["queues"] if q["name"] != "crawl0"]
  text = shown(node)
  node.q.pop("crawl0").close()
  number = apply_on_trial(node, changed(base(), remove), "2s")["generation"]
  node.n.ip("link", "add", "crawl0", "type", "veth", "peer", "name", "elsewhere0")
  try:
    end = time.monotonic() + 30
    while not state(node)["revert_failed"]:
      assert time.monotonic() < end, node.daemon.log()
      time.sleep(0.05)
    trial = state(node)
    assert "crawl0" in trial["revert_failed"] and trial["unconfirmed"] == number and trial["confirm_left_s"] == 0
    assert "crawler" not in shown(node) and generation(node) == number
    node.deliver(pk.udp(pk.V4.C, pk.V4.VIP, node.l4port(), 53), "dns0", "dns1")
  finally:
    node.n.ip("link", "del", "crawl0")
  wait_until_over(node, within=40)
  assert shown(node) == text and generation(node) == number + 1
  assert node.daemon.log().count("does not come back: ") == 1, "the same reason twice"
  node.restart(base())


def test_a_start_reads_the_file_whatever_was_on_trial(node):
  apply_on_trial(node, with_extra(), "60s")
  log = node.daemon.log_file
  assert node.daemon.stop() == 0
  assert "was not confirmed: the next start reads" in log.read_text()
  node.restart(base())
  assert not state(node)["unconfirmed"] and "extra" not in shown(node)
