# SPDX-License-Identifier: BSD-3-Clause
"""The raw end of a link: what the test sends and sees there, with ARP and ND answered on the side."""

import collections
import socket
import struct
import threading
import time

from harness.netns import PATIENCE
from harness.packets import checksum, mac_bytes, packed, parse, pseudo, text

_ETH_P_ALL = 0x0003
_SOL_PACKET = 263
_PACKET_AUXDATA = 8
_PACKET_IGNORE_OUTGOING = 23
_SO_RCVBUFFORCE = 33
_TP_STATUS_VLAN_VALID = 0x10
# ICMPv6 that only concerns the link: MLD, router and neighbour discovery.
_LINK_TYPES = {130, 131, 132, 133, 134, 135, 136, 137, 143}

Frame = collections.namedtuple("Frame", "raw dst src vlan ethertype l3 time")


def split(raw, when=0.0):
  """Ethernet bytes -> Frame; one tag at most is taken off."""
  kind, vlan, start = struct.unpack("!H", raw[12:14])[0], None, 14
  if kind == 0x8100:
    vlan, kind = struct.unpack("!HH", raw[14:18])
    start = 18
  return Frame(raw, raw[0:6].hex(":"), raw[6:12].hex(":"), vlan, kind, raw[start:], when)


class Wire:
  """A link's far end. `hosts` is who answers ARP and ND here: {address: MAC}, or ANY for every address."""
  ANY = object()

  def __init__(self, ns, ifname, mac, hosts):
    self.ns, self.ifname, self.mac, self.hosts = ns, ifname, mac, hosts
    self.peer = None         # the MAC behind the other end, once asked
    self.vlan = None         # the tag of all we send
    self.seen = []           # IP frames that are not link chatter
    self.chatter = []        # ARP, ND, MLD
    self.everything = []     # all of it: the leak check reads this
    self.keep = True         # False while a flood is measured by `on_frame`
    self.on_frame = None
    self._changed = threading.Condition()
    with ns.inside():
      self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
      self._socket.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
      self._socket.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
      self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 26)
      self._socket.bind((ifname, _ETH_P_ALL))
    self._socket.settimeout(0.2)
    self._stop = False
    self._reader = threading.Thread(target=self._read, name=f"wire-{ifname}", daemon=True)
    self._reader.start()

  def close(self):
    self._stop = True
    self._reader.join(2)
    self._socket.close()

  # -- sending ---------------------------------------------------------------------------------------------------

  def send_frame(self, raw):
    while True:
      try:
        self._socket.send(raw)
        return
      except (socket.timeout, BlockingIOError, OSError) as error:
        if getattr(error, "errno", None) not in (11, 105, None):
          raise
        time.sleep(0.0005)

  def frame(self, l3, dst=None, src=None, ethertype=None):
    kind = ethertype or (0x86DD if l3[:1] and l3[0] >> 4 == 6 else 0x0800)
    tag = b"" if self.vlan is None else struct.pack("!HH", 0x8100, self.vlan)
    return mac_bytes(dst or self.peer) + mac_bytes(src or self.mac) + tag + struct.pack("!H", kind) + l3

  def send(self, l3, **ether):
    self.send_frame(self.frame(l3, **ether))

  def send_all(self, packets, burst=64, pause=0.001):
    """In bursts that the rings of a small machine can hold."""
    for i, l3 in enumerate(packets):
      self.send(l3)
      if i % burst == burst - 1:
        time.sleep(pause)

  # -- receiving -------------------------------------------------------------------------------------------------

  def clear(self):
    with self._changed:
      self.seen, self.chatter, self.everything = [], [], []

  def packets(self):
    with self._changed:
      return [parse(f.l3) for f in self.seen]

  def frames(self, match=None):
    with self._changed:
      return [f for f in self.seen if match is None or match(parse(f.l3))]

  def wait_frames(self, match=None, n=1, timeout=PATIENCE, chatter=False):
    """The frames that match, as soon as there are `n` of them or when the time is over."""
    end = time.monotonic() + timeout
    taken, got = 0, []
    with self._changed:
      while True:
        source = self.chatter if chatter else self.seen
        for f in source[taken:]:
          if match is None or match(f if chatter else parse(f.l3)):
            got.append(f)
        taken = len(source)
        left = end - time.monotonic()
        if len(got) >= n or left <= 0:
          return got
        self._changed.wait(left)

  def wait(self, match=None, n=1, timeout=PATIENCE):
    return [parse(f.l3) for f in self.wait_frames(match, n, timeout)]

  def _read(self):
    while not self._stop:
      try:
        raw, ancillary, _, _ = self._socket.recvmsg(65600, 64)
      except socket.timeout:
        continue
      except OSError:
        if self._stop:
          return
        time.sleep(0.02)    # the link went down or away: a test may do that
        continue
      for level, kind, data in ancillary:
        if level == _SOL_PACKET and kind == _PACKET_AUXDATA:
          status, _, _, _, _, tci, tpid = struct.unpack("IIIHHHH", data)
          if status & _TP_STATUS_VLAN_VALID:
            raw = raw[:12] + struct.pack("!HH", tpid or 0x8100, tci) + raw[12:]
      self._take(raw)

  def _take(self, raw):
    hook = self.on_frame
    if hook is not None and hook(raw):
      return
    if len(raw) < 14:
      return
    f = split(raw, time.monotonic())
    link_only = f.ethertype not in (0x0800, 0x86DD)
    if f.ethertype == 0x86DD and len(f.l3) > 40:
      at = 48 if f.l3[6] == 0 else 40
      link_only = (f.l3[6] == 58 or f.l3[6] == 0) and len(f.l3) > at and f.l3[at] in _LINK_TYPES
    elif f.ethertype == 0x0800 and len(f.l3) >= 20 and f.l3[9] == 2:
      link_only = True
    with self._changed:
      if self.keep:
        self.everything.append(f)
        (self.chatter if link_only else self.seen).append(f)
      self._changed.notify_all()
    if link_only:
      self._answer(f)

  # -- neighbours ------------------------------------------------------------------------------------------------

  def _mac_of(self, address):
    if self.hosts is Wire.ANY:
      return self.mac
    return self.hosts.get(address)

  def _answer(self, f):
    if f.ethertype == 0x0806 and f.l3[6:8] == b"\0\x01":
      mac = self._mac_of(text(f.l3[24:28]))
      if mac and f.l3[14:18] != b"\0\0\0\0":
        self.send_frame(arp(2, mac, f.l3[24:28], f.src, f.l3[14:18], f.src, self.vlan))
    elif f.ethertype == 0x86DD and f.l3[6] == 58 and f.l3[40] == 135 and any(f.l3[8:24]):
      mac = self._mac_of(text(f.l3[48:64]))
      if mac:
        self.send(advertisement(f.l3[48:64], f.l3[8:24], mac), dst=f.src, src=mac)

  def ask(self, address, source, timeout=PATIENCE, tries=25):
    """ARP or ND as a host would: the MAC of `address`, or None when nobody answers."""
    target = packed(address)
    for _ in range(tries):
      with self._changed:
        start = len(self.chatter)
      if len(target) == 4:
        self.send_frame(arp(1, self.mac, packed(source), "00:00:00:00:00:00", target, "ff:ff:ff:ff:ff:ff", self.vlan))
      else:
        self.send(solicitation(target, packed(source), self.mac), dst="33:33:ff:" + target[13:].hex(":"))
      end = time.monotonic() + timeout / tries
      with self._changed:
        while True:
          for f in self.chatter[start:]:
            mac = _answer_for(f, target)
            if mac:
              return mac
          left = end - time.monotonic()
          if left <= 0:
            break
          self._changed.wait(left)
    return None


def arp(opcode, sender_mac, sender_ip, target_mac, target_ip, dst, vlan=None):
  tag = b"" if vlan is None else struct.pack("!HH", 0x8100, vlan)
  return (mac_bytes(dst) + mac_bytes(sender_mac) + tag + b"\x08\x06\0\x01\x08\0\x06\x04" + struct.pack("!H", opcode)
          + mac_bytes(sender_mac) + sender_ip + mac_bytes(target_mac) + target_ip + bytes(18))


def _nd(kind, flags, target, src, dst, option, hlim=255):
  body = struct.pack("!BBHI", kind, 0, 0, flags) + target + option
  body = body[:2] + struct.pack("!H", checksum(pseudo(src, dst, 58, len(body)) + body)) + body[4:]
  return struct.pack("!IHBB", 6 << 28, len(body), 58, hlim) + src + dst + body


def advertisement(target, dst, mac, flags=0x60000000, **fields):
  return _nd(136, flags, target, target, dst, b"\x02\x01" + mac_bytes(mac), **fields)


def solicitation(target, src, mac, **fields):
  group = packed("ff02::1:ff00:0")[:13] + target[13:]
  return _nd(135, 0, target, src, group, b"\x01\x01" + mac_bytes(mac), **fields)


def _answer_for(f, target):
  if f.ethertype == 0x0806 and f.l3[6:8] == b"\0\x02" and f.l3[14:18] == target:
    return f.l3[8:14].hex(":")
  if f.ethertype == 0x86DD and f.l3[6] == 58 and f.l3[40] == 136 and f.l3[48:64] == target:
    return f.l3[66:72].hex(":") if len(f.l3) >= 72 and f.l3[64] == 2 else f.src
  return None
