# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures and standing checks for every test of this folder; see README.md."""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

from harness import daemon as daemon_module  # noqa: E402
from harness import netns, packets, world  # noqa: E402


def pytest_configure(config):
  config.addinivalue_line("markers", "no_daemon: runs without godwitd")


def known_open():
  """(part of a test's id, reason) of what fails today: known_open.txt."""
  path = pathlib.Path(__file__).resolve().parent / "known_open.txt"
  lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
  return [tuple(part.strip() for part in line.split("  ", 1)) for line in lines]


def pytest_sessionstart():
  netns.sweep()


def pytest_collection_modifyitems(items):
  for part, reason in known_open():
    for item in items:
      if part in item.nodeid:
        item.add_marker(pytest.mark.xfail(reason=reason, strict=False))
  if os.geteuid() != 0:
    for item in items:
      item.add_marker(pytest.mark.skip(reason="needs root: namespaces and raw sockets"))


@pytest.fixture(autouse=True)
def _godwit_is_built(request):
  if not daemon_module.present() and not request.node.get_closest_marker("no_daemon"):
    pytest.exit(f"{daemon_module.GODWITD} and godwitctl are not there: build them, or set GODWIT_BIN", returncode=2)


@pytest.fixture(params=packets.FAMILIES, ids=str)
def ip(request):
  """The addresses of one family: every test that takes it has a twin."""
  return request.param


@pytest.fixture(scope="module", params=world.UPLINKS)
def w(request):
  """The standard world, once for each kind of uplink."""
  with world.World(kind=request.param) as node:
    yield node


@pytest.fixture(scope="module")
def wv():
  """The standard world on the plainest uplink."""
  with world.World(kind="veth") as node:
    yield node


@pytest.fixture(autouse=True)
def _standing(_godwit_is_built):
  """What holds after every test, in every world that is up: alive, balanced, no leak."""
  for w in world.live:
    if w.daemon and not w.daemon.alive():
      w.restart()    # a test before this one ended it: that test has failed, this one gets a node
    w.reset()
  yield
  for w in list(world.live):
    w.check_standing()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
  outcome = yield
  report = outcome.get_result()
  if report.failed:
    for w in world.live:
      if w.daemon:
        report.sections.append((f"godwitd log ({w.kind})", w.daemon.log()))
