# SPDX-License-Identifier: BSD-3-Clause
"""A machine whose first process is a real systemd, in namespaces of its own on this machine's files (boot.sh)."""

import contextlib
import os
import pathlib
import signal
import subprocess
import tempfile
import time

from harness.netns import PATIENCE

BOOT = pathlib.Path(__file__).resolve().parent / "boot.sh"
CGROUP = "godwit-test-"


class Failed(Exception):
  """A program in the machine ended with something else than 0."""


def sweep():
  """Removes the cgroups that a run which was killed has left: they bear its process number."""
  for line in pathlib.Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
    _, where, kind = line.split()[:3]
    if kind != "cgroup2":
      continue
    for path in pathlib.Path(where).glob(CGROUP + "*"):
      number = path.name.removeprefix(CGROUP)
      if number.isdecimal() and not os.path.exists(f"/proc/{number}"):
        _remove_cgroup(path.name)


def _remove_cgroup(name):
  # Those of processes that were just killed are busy for a moment.
  end = time.monotonic() + PATIENCE
  while True:
    done = subprocess.run(["unshare", "--mount", BOOT, "--sweep", name], capture_output=True, text=True, check=False)
    if done.returncode == 0:
      return
    if time.monotonic() > end:
      raise RuntimeError(f"cgroup {name} stays: {done.stderr}")
    time.sleep(0.1)


class Machine:
  """Boots; `close()` ends all that runs in it, and nothing of it is left."""

  def __init__(self):
    sweep()
    self.cgroup = f"{CGROUP}{os.getpid()}"
    self._console = tempfile.TemporaryFile()
    # Ends with this process, however that ends.
    self._process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--net", "--uts", "--ipc", "--propagation", "private",
         str(BOOT), self.cgroup], stdin=subprocess.DEVNULL, stdout=self._console, stderr=self._console)
    self.first = 0
    try:
      self._await_boot()
    except BaseException:
      self.close()
      raise

  def _await_boot(self):
    state = ""
    end = time.monotonic() + 60
    while time.monotonic() < end:
      assert self._process.poll() is None, self.console()
      children = pathlib.Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text(encoding="ascii")
      if children:
        self.first = int(children.split()[0])
        if os.readlink(f"/proc/{self.first}/exe").endswith("/systemd"):
          state = self.run("systemctl", "is-system-running", check=False).strip()
          if state == "running":
            return
      time.sleep(0.1)
    raise AssertionError(f"systemd is not running but {state!r}: {self.console()}\n"
                         + self.run("systemctl", "--failed", check=False))

  def console(self):
    self._console.seek(0)
    return self._console.read().decode(errors="replace")

  def call(self, *argv, timeout=120, stdin=None):
    """Returns what subprocess.run() does, of a program in the machine."""
    return subprocess.run(["nsenter", f"--target={self.first}", "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup",
                           "--root", "--wd", *map(str, argv)], capture_output=True, text=True, timeout=timeout,
                          check=False, input=stdin,
                          env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root",
                               "DEBIAN_FRONTEND": "noninteractive"})

  def run(self, *argv, check=True, timeout=120, stdin=None):
    """Its stdout; Failed, with all that it said, when it fails."""
    done = self.call(*argv, timeout=timeout, stdin=stdin)
    if check and done.returncode:
      raise Failed(f"{' '.join(map(str, argv))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout

  def put(self, source, path):
    """A file of this machine, or a text, into that one."""
    if isinstance(source, pathlib.Path):
      # Through /proc: the path there is that of its own root.
      pathlib.Path(f"/proc/{self.first}/root{path}").write_bytes(source.read_bytes())
    else:
      self.run("install", "-D", "-m", "644", "/dev/stdin", path, stdin=source)

  def has(self, path):
    return self.call("test", "-e", path).returncode == 0

  def unit(self, name, *properties):
    """The values of a unit's properties."""
    lines = self.run("systemctl", "show", name, *[f"--property={p}" for p in properties]).splitlines()
    found = dict(line.split("=", 1) for line in lines)
    return [found[p] for p in properties]

  def journal(self, name):
    return self.run("journalctl", "--no-pager", "-o", "cat", "-u", name, check=False)

  def close(self):
    if self.first:
      with contextlib.suppress(ProcessLookupError):
        os.kill(self.first, signal.SIGKILL)
    self._process.kill()
    self._process.wait()
    self._console.close()
    _remove_cgroup(self.cgroup)
