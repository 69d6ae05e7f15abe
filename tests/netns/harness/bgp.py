# SPDX-License-Identifier: BSD-3-Clause
"""Real routing daemons in namespaces: BIRD 2 and FRR, with the lines that docs/operations.md gives."""

import contextlib
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

from harness.daemon import ROOT

FRR = pathlib.Path("/usr/lib/frr")


def documented(name):
  """The block of docs/operations.md whose first line is `name`, and perhaps a colon and more."""
  text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
  blocks = [b for b in re.findall(r"^```\n(.*?)^```$", text, re.M | re.S) if re.match(f"[#!] {re.escape(name)}(:|$)", b, re.M)]
  assert len(blocks) == 1, f"docs/operations.md has {len(blocks)} blocks for {name}"
  return blocks[0]


class Process:
  """Children in a namespace, ended by their number; their files go with them. FRR's drop root: they must read these."""

  def __init__(self, ns, role):
    self.ns, self.children = ns, []
    self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"gwbgp-{role}-"))
    self.directory.chmod(0o755)

  def start(self, *argv):
    with open(self.directory / "log", "ab") as log:
      self.children.append(subprocess.Popen(self.ns.enter(*argv), stdin=subprocess.DEVNULL, stdout=log, stderr=log))

  def write(self, name, text):
    path = self.directory / name
    path.write_text(text, encoding="utf-8")
    return path

  def log(self):
    return (self.directory / "log").read_text(errors="replace")[-4000:]

  def close(self):
    for child in reversed(self.children):
      if child.poll() is None:
        child.send_signal(signal.SIGTERM)
      try:
        child.wait(5)
      except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    shutil.rmtree(self.directory, ignore_errors=True)


class Bird(Process):
  def __init__(self, ns, role, config):
    super().__init__(ns, role)
    self.control = self.directory / "ctl"
    self.start("bird", "-f", "-c", self.write("bird.conf", config), "-s", self.control, "-P", self.directory / "pid")

  def routes(self):
    """{prefix: what `birdc show route all` says of it} of its main tables."""
    done = subprocess.run(["birdc", "-s", str(self.control), "show", "route", "all"], capture_output=True, text=True,
                          timeout=30, check=False)
    found, prefix = {}, None
    for line in done.stdout.splitlines():
      if line[:1].isalnum() and "/" in line.split()[0]:
        prefix = line.split()[0]
      if prefix:
        found[prefix] = found.get(prefix, "") + line + "\n"
    return found

  def session_is_up(self):
    done = subprocess.run(["birdc", "-s", str(self.control), "show", "protocols"], capture_output=True, text=True,
                          timeout=30, check=False)
    return "Established" in done.stdout


class Frr(Process):
  """zebra and bgpd; each reads all of the configuration and takes what it knows."""

  def __init__(self, ns, role, config):
    super().__init__(ns, role)
    self.directory.chmod(0o777)    # they run as frr
    path = self.write("frr.conf", config)
    common = ["-f", path, "-z", self.directory / "zserv", "--vty_socket", self.directory]
    self.start(FRR / "zebra", *common, "-i", self.directory / "zebra.pid")
    end = time.monotonic() + 20
    while not (self.directory / "zserv").exists() and time.monotonic() < end:
      time.sleep(0.05)
    self.start(FRR / "bgpd", *common, "-i", self.directory / "bgpd.pid")

  def show(self, *words):
    with contextlib.suppress(subprocess.TimeoutExpired):
      return subprocess.run(["vtysh", "--vty_socket", str(self.directory), "-c", " ".join(words)], timeout=30,
                            capture_output=True, text=True, check=False).stdout
    return ""
