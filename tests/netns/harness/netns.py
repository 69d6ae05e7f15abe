# SPDX-License-Identifier: BSD-3-Clause
"""Network namespaces with names of our own, and sockets opened inside them."""

import contextlib
import ctypes
import itertools
import os
import subprocess

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_serial = itertools.count(1)
# Seconds for what must come: it costs them only when a test fails, and a busy machine needs some.
PATIENCE = 10.0
PREFIX = f"gwbb{os.getpid()}"


def sh(*argv, check=True, timeout=60):
  """Runs a command and returns its stdout; raises with its stderr when it fails."""
  done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=timeout, check=False,
                        env={**os.environ, "LC_ALL": "C.UTF-8"})
  if check and done.returncode:
    raise RuntimeError(f"{' '.join(map(str, argv))}: exit {done.returncode}: {done.stderr.strip()}")
  return done.stdout


def sweep():
  """Removes what a run that was killed has left: its namespaces bear its process number, and ours is our own."""
  for name in os.listdir("/run/netns") if os.path.isdir("/run/netns") else ():
    number = name.removeprefix("gwbb").split("-")[0]
    if name.startswith("gwbb") and number.isdecimal() and (
        int(number) == os.getpid() or not os.path.exists(f"/proc/{number}")):
      _remove(name)


def _remove(name):
  for pid in sh("ip", "netns", "pids", name, check=False).split():
    # Only what was started inside a namespace of these tests can be here.
    with contextlib.suppress(ProcessLookupError):
      os.kill(int(pid), 9)
  sh("ip", "netns", "del", name, check=False)


class Netns:
  """A namespace with a unique name, its loopback up; `close()` removes it."""

  def __init__(self, role):
    self.name = f"{PREFIX}-{next(_serial)}{role}"
    self.path = f"/run/netns/{self.name}"
    sh("ip", "netns", "add", self.name)
    self.ip("link", "set", "lo", "up")
    # These a new namespace has from the machine's own; as a kernel comes they are all 0.
    self.sysctl(**{f"net__ipv4__conf__{which}__{key}": 0 for which in ("all", "default", "lo")
                   for key in ("rp_filter", "arp_ignore", "arp_announce", "accept_local", "forwarding")})

  def close(self):
    _remove(self.name)

  def ip(self, *argv, check=True):
    return sh("ip", "-n", self.name, *argv, check=check)

  def enter(self, *argv):
    """The argv that runs a program in here. The mounts stay as they are, unlike with `ip netns exec`."""
    return ["nsenter", f"--net={self.path}", *[str(a) for a in argv]]

  def run(self, *argv, check=True, timeout=60):
    return sh(*self.enter(*argv), check=check, timeout=timeout)

  def sysctl(self, **settings):
    """sysctl(net__ipv4__ip_forward=0): two underscores stand for a dot. Inside /proc/sys of this namespace."""
    with self.inside():
      for key, value in settings.items():
        with open("/proc/sys/" + key.replace("__", "/"), "w", encoding="ascii") as f:
          f.write(str(value))

  def set_interface(self, family, ifname, key, value):
    with self.inside(), contextlib.suppress(FileNotFoundError):
      with open(f"/proc/sys/net/{family}/conf/{ifname}/{key}", "w", encoding="ascii") as f:
        f.write(str(value))

  def links(self):
    return {line.split(":")[1].strip().split("@")[0] for line in self.ip("-o", "link").splitlines()}

  def has_link(self, ifname):
    return ifname in self.links()

  def no_offloads(self, ifname):
    """What the kernel sends from here then carries full checksums and one segment a packet."""
    for feature in ("tx", "tso", "gso", "gro", "rxvlan", "txvlan"):
      self.run("ethtool", "-K", ifname, feature, "off", check=False)

  @contextlib.contextmanager
  def inside(self):
    """This thread is in the namespace for as long as the block lasts: sockets made in it stay there."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(self.path, os.O_RDONLY)
    try:
      _setns(there)
      yield
    finally:
      _setns(home)
      os.close(home)
      os.close(there)


def _setns(fd):
  if _LIBC.setns(fd, _CLONE_NEWNET):
    raise OSError(ctypes.get_errno(), "setns")


def veth(ns_a, name_a, ns_b, name_b, mtu=1500):
  """A pair between two namespaces, both ends up, offloads off, without addresses."""
  ns_a.ip("link", "add", name_a, "mtu", mtu, "type", "veth", "peer", "name", name_b, "mtu", mtu, "netns", ns_b.name)
  for ns, name in ((ns_a, name_a), (ns_b, name_b)):
    ns.no_offloads(name)
    ns.ip("link", "set", name, "up")
