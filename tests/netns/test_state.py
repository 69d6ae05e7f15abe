# SPDX-License-Identifier: BSD-3-Clause
"""Flows, mappings and l4ports outlive the process: a successor on the same socket goes on with them."""

import os
import pathlib
import random
import signal

import pytest
from harness import packets as pk
from harness.world import World, changed, queue, service, standard_config
from test_mapping_changes import Mapping, open_all

QUEUES = ("dns0", "dns1", "web0", "crawl0", "vip0")
CLIENTS = 40


def config(workers=1, **egress):
  made = standard_config("veth", QUEUES, workers=workers)
  made["egress"].update(egress)
  return made


def serve(w, ip):
  """Clients of a service with two queues: their l4port, and where each is served."""
  return {sport: w.deliver(pk.udp(ip.C, ip.VIP, sport, 53), "dns0", "dns1")
          for sport in (w.l4port() for _ in range(CLIENTS))}


def still_served(w, ip, clients):
  for sport, where in clients.items():
    w.deliver(pk.udp(ip.C, ip.VIP, sport, 53), where)


def known(w):
  return {(f["kind"], f["local"], f["remote"], f.get("translated")) for f in w.flows(limit=100000)}


def state_folder(w):
  name = str(w.daemon.socket)[1:].replace("%", "%25").replace("+", "%2B").replace("/", "+")
  return pathlib.Path("/run/godwit/state") / name


@pytest.mark.parametrize("how, before, after, mapping", [
    (signal.SIGKILL, 1, 1, "per-destination"), (signal.SIGKILL, 2, 2, "endpoint-independent"),
    (signal.SIGKILL, 1, 3, "per-destination"), (signal.SIGTERM, 3, 2, "per-destination"),
    (signal.SIGTERM, 1, 3, "endpoint-independent")], ids=lambda v: getattr(v, "name", str(v)))
def test_flows_go_on_with_a_successor(how, before, after, mapping):
  with World(config(before, mapping=mapping)) as w:
    clients = {ip: serve(w, ip) for ip in pk.FAMILIES}
    flows = [flow for ip in pk.FAMILIES for flow in open_all(w, ip)]
    left = known(w)
    w.succeed(how, config(after, mapping=mapping))
    assert left <= known(w)
    for flow in flows:
      flow.goes_on()
    for ip in pk.FAMILIES:
      still_served(w, ip, clients[ip])
    # What is new gets none of their l4ports.
    theirs = {(f.proto, f.given) for f in flows if f.ip == pk.V4 and f.dst == pk.V4.S}
    assert not {(m.proto, m.given) for m in open_all(w, pk.V4)} & theirs


def test_a_second_crash_and_a_third_lose_nothing():
  with World(config()) as w:
    clients, flows = serve(w, pk.V4), open_all(w, pk.V4)
    for how in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
      w.succeed(how)
      for flow in flows:
        flow.goes_on()
      still_served(w, pk.V4, clients)


def test_what_the_next_file_no_longer_has_ends():
  with World(config()) as w:
    clients, flows = serve(w, pk.V4), open_all(w, pk.V4)
    w.succeed(config=changed(config(), lambda c: c["services"].remove(service(c, "web")),
                             lambda c: c["queues"].remove(queue(c, "web0"))))
    assert {f["queue"] for f in w.flows(limit=1000)} == {"dns0", "dns1", "crawl0"}
    still_served(w, pk.V4, clients)
    for flow in flows:
      if flow.queue == "crawl0":
        flow.goes_on()


def damage(folder, rng, share):
  """Flips a bit in this share of the entries that are in use."""
  for file in folder.glob("flows-*"):
    data = bytearray(file.read_bytes())
    for at in range(4096, len(data), 128):
      if data[at + 41] and rng.random() < share:
        data[at + rng.randrange(128)] ^= 1 << rng.randrange(8)
    file.write_bytes(data)


def test_what_is_damaged_is_left_out_and_nothing_else():
  with World(config()) as w:
    serve(w, pk.V4)
    open_all(w, pk.V4)
    left = known(w)
    w.succeed(meanwhile=lambda: damage(state_folder(w), random.Random(7), 0.5))
    now = known(w)
    assert now <= left and len(now) > len(left) / 3, (len(now), len(left))
    assert " are damaged and left out" in w.daemon.log()
    Mapping(w, pk.V4, "udp", "crawl0", pk.V4.I1, pk.V4.S)


SPOIL = {
    "cut short": lambda folder: [os.truncate(f, 5000) for f in folder.glob("flows-*")],
    "empty": lambda folder: [os.truncate(f, 0) for f in folder.iterdir()],
    "noise": lambda folder: [f.write_bytes(os.urandom(f.stat().st_size)) for f in folder.iterdir()],
    "nameless": lambda folder: (folder / "node").unlink()}


def test_spoilt_state_is_no_reason_not_to_start():
  with World(config()) as w:
    for what, spoil in SPOIL.items():
      flow = Mapping(w, pk.V4, "udp", "crawl0", pk.V4.I1, pk.V4.S)
      w.succeed(meanwhile=lambda spoil=spoil: spoil(state_folder(w)))
      assert not known(w), f"{what}: {w.daemon.log()}"
      with w.drops(1, "nat_filtered"):
        w.up.send(pk.udp(pk.V4.S, pk.V4.U, 443, flow.given))


def test_a_start_without_flows_leaves_nothing():
  with World(config()) as w:
    w.flush()
    folder = state_folder(w)
    assert folder.exists()
    w.daemon.stop()
    assert not folder.exists()


def test_an_upgrade_goes_on_in_the_same_process():
  with World(config()) as w:
    clients, flows, left = serve(w, pk.V4), open_all(w, pk.V4), known(w)
    text = w.daemon.file.read_text().replace("workers: 1", "workers: 2")
    w.daemon.file.write_text(text)
    w.allowed.widen(w.allowed)
    reply = w.ctl("upgrade")
    assert reply["generation"] == 1 and f"{len(left)} flows go on" in reply["message"], reply
    assert w.daemon.alive() and w.ctl("version")["pid"] == w.daemon.process.pid
    assert len(w.ctl("status")["workers"]) == 2 and left <= known(w)
    for flow in flows:
      flow.goes_on()
    still_served(w, pk.V4, clients)
    children = pathlib.Path(f"/proc/{w.daemon.process.pid}/task/{w.daemon.process.pid}/children").read_text().split()
    states = [pathlib.Path(f"/proc/{c}/stat").read_text().rsplit(")", 1)[1].split()[0] for c in children]
    assert "Z" not in states, states
    assert w.daemon.stop() == 0


def test_an_upgrade_to_what_would_not_be_the_same_is_refused():
  with World(config()) as w:
    as_it_is = w.daemon.file.read_text()
    for text, why in ((as_it_is + "nonsense: 1\n", "nonsense"), (as_it_is.replace("name: bb", "name: cc"), "is not what runs")):
      w.daemon.file.write_text(text)
      code, _, err = w.daemon.raw("upgrade", json_output=False)
      assert code == 1 and err.startswith("refused: ") and why in err, err
    w.daemon.file.write_text(as_it_is)
    trial = changed(w.config, lambda c: c["node"].update(name="cc"))
    w.ctl("config", "apply", w.daemon.write(trial, "trial.yaml"), "--confirm-within=60s")
    code, _, err = w.daemon.raw("upgrade", json_output=False)
    assert code == 1 and "confirm" in err, err
