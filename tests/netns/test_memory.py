# SPDX-License-Identifier: BSD-3-Clause
"""Memory is taken at the start: nodes that start together, and devices that come later."""

import contextlib
import fcntl
import pathlib
import re
import time

import pytest
from harness.daemon import Daemon, Refused
from harness.netns import Netns
from harness.world import WORKER_CPU, changed, standard_config

FREE = pathlib.Path("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages")
TURN = pathlib.Path("/run/godwit/hugepages.lock")


def small(**dataplane):
  return changed(standard_config(queues=("crawl0",)), lambda c: c["dataplane"].update(max_flows=4096, **dataplane))


def more(config, n):
  def edit(c):
    names = [f"more{i}" for i in range(n)]
    c["queues"] += [{"name": name, "device": f"veth:{name}"} for name in names]
    c["services"] += [{"name": "more", "queues": names}]
  return changed(config, edit)


@contextlib.contextmanager
def nodes(n, config):
  with contextlib.ExitStack() as stack:
    started = []
    for i in range(n):
      ns = Netns(f"m{i}")
      stack.callback(ns.close)
      daemon = Daemon(ns, config, wait=False)
      stack.callback(daemon.close)
      started.append(daemon)
    yield started


def test_nodes_that_start_together_share_the_hugepages():
  """More of them than there are hugepages for: the last ones do without."""
  free = int(FREE.read_text()) * 2 if FREE.exists() else 0
  n = 5
  with nodes(n, small(workers=1)) as started:
    for daemon in started:
      daemon.wait_ready(60)
    pages = [line for daemon in started for line in daemon.log().splitlines() if "hugepages: " in line]
    assert len(pages) == n
    if free > 1000:
      assert any("hugepages: on" in line for line in pages), pages


@pytest.mark.parametrize("pages, least", [("off", 0), ("auto", 8)])
def test_a_start_that_hangs_holds_no_other_back(pages, least):
  """Somebody took his turn to count the hugepages, and never gives it back."""
  TURN.parent.mkdir(mode=0o755, exist_ok=True)
  with open(TURN, "a", encoding="ascii") as turn:
    fcntl.flock(turn, fcntl.LOCK_EX)
    begin = time.monotonic()
    with nodes(1, small(workers=1, hugepages=pages)) as (daemon,):
      daemon.wait_ready(60)
    assert time.monotonic() - begin > least    # with `auto` it has waited for a while


def test_required_hugepages_that_are_not_there_stop_the_start():
  """64 workers and 41 AF_XDP queues take some 27 GiB: no machine of a test has reserved so much."""
  config = more(small(workers=64, cpus=[WORKER_CPU], hugepages="required"), 40)
  with nodes(1, config) as (daemon,):
    assert daemon.process.wait(60) == 1
    assert "hugepages: required, but " in daemon.log() and "MiB wanted" in daemon.log()


@pytest.mark.parametrize("pages", ["off", "auto"])
def test_eight_devices_more_and_then_a_refusal_that_names_the_limit(pages):
  config = small(workers=1, hugepages=pages)
  with nodes(1, config) as (daemon,):
    daemon.wait_ready()
    daemon.apply(more(config, 8))
    assert len(daemon.ctl("queue", "list")["queues"]) == 9
    with pytest.raises(Refused) as refused:
      for n in range(9, 40):
        daemon.apply(more(config, n))
    assert re.search(r"no \d+ buffers \(\d+ MiB\)|ethernet ports that this DPDK has are taken", refused.value.err), refused.value.err
    shown = daemon.ctl("queue", "list")["queues"]
    assert len(shown) == n and all(q["name"] == "crawl0" or int(q["name"][4:]) < n - 1 for q in shown)
