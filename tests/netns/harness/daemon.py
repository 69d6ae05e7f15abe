# SPDX-License-Identifier: BSD-3-Clause
"""godwitd as a child of the test, and godwitctl as an operator would call it."""

import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
BIN = pathlib.Path(os.environ.get("GODWIT_BIN", ROOT / "build")).resolve()
GODWITD, GODWITCTL = BIN / "godwitd", BIN / "godwitctl"


def present():
  return os.access(GODWITD, os.X_OK) and os.access(GODWITCTL, os.X_OK)


class Refused(Exception):
  """godwitctl exited with something else than 0."""

  def __init__(self, argv, code, out, err):
    super().__init__(f"godwitctl {' '.join(argv)}: exit {code}\n{err or out}")
    self.code, self.out, self.err = code, out, err


def godwitctl(*argv, socket=None, json_output=True, timeout=60):
  """Returns (exit code, stdout, stderr)."""
  command = [str(GODWITCTL)]
  if socket:
    command += ["--socket", str(socket)]
  if json_output:
    command += ["--json"]
  done = subprocess.run(command + [str(a) for a in argv], capture_output=True, text=True, timeout=timeout, check=False)
  return done.returncode, done.stdout, done.stderr


class Daemon:
  """One godwitd in a namespace. `config` is a dict, or text that is written as it is."""

  def __init__(self, ns, config, ready_within=60, wait=True, env=None, directory=None):
    self._own_directory = None if directory else tempfile.TemporaryDirectory(prefix="gwbb-")
    self.directory = pathlib.Path(directory or self._own_directory.name)
    self.ns, self.config = ns, config
    self.file = self.directory / "godwit.yaml"
    self.socket = self.directory / "control.sock"
    self.log_file = self.directory / "godwitd.log"
    self.write(config)
    # The log is a file: a pipe that nobody reads would stop the daemon.
    with open(self.log_file, "ab") as log:
      self.process = subprocess.Popen(
          ns.enter(GODWITD, "--config", self.file, "--socket", self.socket), stdin=subprocess.DEVNULL, stdout=log,
          stderr=log, env={**os.environ, **(env or {})})
    if wait:
      try:
        self.wait_ready(ready_within)
      except BaseException:
        self.stop(within=1)
        raise

  def write(self, config, name=None):
    path = self.directory / (name or self.file.name)
    path.write_text(config if isinstance(config, str) else yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return path

  def log(self, tail=60):
    try:
      return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-tail:])
    except FileNotFoundError:
      return ""

  def alive(self):
    return self.process.poll() is None

  def wait_ready(self, within=60):
    end = time.monotonic() + within
    why = ""
    while time.monotonic() < end:
      if not self.alive():
        raise RuntimeError(f"godwitd exited with {self.process.returncode} before it was ready:\n{self.log()}")
      code, out, err = self.raw("status")
      if code == 0 and json.loads(out).get("ready"):
        return
      why = err or out
      time.sleep(0.03)
    raise RuntimeError(f"godwitd not ready after {within} s: {why}\n{self.log()}")

  def raw(self, *argv, json_output=True):
    return godwitctl(*argv, socket=self.socket, json_output=json_output)

  def ctl(self, *argv):
    """The parsed JSON of a command that must succeed; Refused otherwise."""
    code, out, err = self.raw(*argv)
    if code:
      raise Refused([str(a) for a in argv], code, out, err)
    return json.loads(out) if out.strip() else {}

  def apply(self, config, name="next.yaml"):
    """Applies the config and returns the reply; a Refused leaves everything as it is."""
    reply = self.ctl("config", "apply", self.write(config, name))
    self.config = config
    return reply

  def stop(self, within=30):
    """SIGTERM, then SIGKILL if it takes too long. Returns the exit code."""
    if self.alive():
      self.process.send_signal(signal.SIGTERM)
      try:
        self.process.wait(within)
      except subprocess.TimeoutExpired:
        self.process.kill()
    return self.process.wait(30)

  def close(self):
    self.stop(within=10)
    if self._own_directory:
      self._own_directory.cleanup()
