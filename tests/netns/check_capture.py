#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Holds a capture of a node's uplink to the source rule, knowing nothing of godwit.

Reads a pcap file of Ethernet frames (both directions, tcpdump -w) and counts
every frame that the node has sent, by source. A frame is right when

  * its source is one of the node's unicast addresses, or
  * its source is a service address and it answers a frame of the same capture:
    TCP or UDP with the mirrored tuple (and no bare SYN), an echo reply, or an
    ICMP error that quotes what came in, or
  * it is the link's own talk: ARP of a unicast address, neighbour discovery
    and multicast membership of a link-local address.

Everything else is wrong: shown, counted, exit code 1. A frame is the node's
when its source MAC is not --router-mac.
"""

import argparse
import collections
import ipaddress
import json
import struct
import sys

ETH_IPV4, ETH_IPV6, ETH_ARP, ETH_VLAN = 0x0800, 0x86DD, 0x0806, 0x8100
ICMP, TCP, UDP, ICMPV6, IGMP = 1, 6, 17, 58, 2
V4_ERRORS = {3, 11, 12}
V6_ERRORS = {1, 2, 3, 4}
ECHO_OF_REPLY = {(ICMP, 0): 8, (ICMPV6, 129): 128}
# Router and neighbour discovery, multicast listener reports.
V6_LINK_TALK = {131, 132, 133, 135, 136, 143}
V6_EXTENSIONS = {0, 43, 60}


class Packet:
    """An IP packet's tuple; sport and dport hold the id for ICMP echo."""

    __slots__ = ("proto", "src", "dst", "sport", "dport", "flags", "icmp",
                 "fragment", "first", "quoted")

    def __init__(self, proto, src, dst):
        self.proto, self.src, self.dst = proto, src, dst
        self.sport = self.dport = 0
        self.flags = 0
        self.icmp = None
        self.fragment = None
        self.first = True
        self.quoted = None

    def tuple(self):
        return (self.proto, self.src, self.sport, self.dst, self.dport)

    def mirrored(self):
        return (self.proto, self.dst, self.dport, self.src, self.sport)


def frames(path):
    """Yields the bytes of every frame."""
    with open(path, "rb") as file:
        header = file.read(24)
        magic = header[:4]
        if magic in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1"):
            order = "<"
        elif magic in (b"\xa1\xb2\xc3\xd4", b"\xa1\xb2\x3c\x4d"):
            order = ">"
        else:
            sys.exit(f"{path}: not a pcap file")
        if struct.unpack(order + "I", header[20:24])[0] & 0xFFFF != 1:
            sys.exit(f"{path}: not a capture of Ethernet frames")
        record = struct.Struct(order + "IIII")
        while True:
            head = file.read(16)
            if len(head) < 16:
                return
            yield file.read(record.unpack(head)[2])


def parse_l4(packet, data, quotes):
    """Fills in the part after the IP headers; quotes: look into ICMP errors."""
    if packet.proto in (TCP, UDP) and len(data) >= 4:
        packet.sport, packet.dport = struct.unpack_from("!HH", data)
        if packet.proto == TCP and len(data) >= 14:
            packet.flags = data[13]
    elif packet.proto in (ICMP, ICMPV6) and len(data) >= 8:
        packet.icmp = data[0]
        errors = V4_ERRORS if packet.proto == ICMP else V6_ERRORS
        if packet.icmp in errors:
            if quotes:
                packet.quoted = parse_ip(data[8:], False)
        else:
            packet.sport = packet.dport = struct.unpack_from("!H", data, 4)[0]


def parse_ip(data, quotes=True):
    """A Packet, or None for what is no IP packet."""
    if len(data) >= 20 and data[0] >> 4 == 4:
        packet = Packet(data[9], data[12:16], data[16:20])
        ident, offset = struct.unpack_from("!HH", data, 4)
        if offset & 0x3FFF:
            packet.fragment = ident
            packet.first = offset & 0x1FFF == 0
        rest = data[(data[0] & 15) * 4:]
    elif len(data) >= 40 and data[0] >> 4 == 6:
        proto, rest = data[6], data[40:]
        packet = Packet(proto, data[8:24], data[24:40])
        while proto in V6_EXTENSIONS and len(rest) >= 8:
            proto, rest = rest[0], rest[(rest[1] + 1) * 8:]
        if proto == 44 and len(rest) >= 8:
            packet.fragment = rest[4:8]
            packet.first = struct.unpack_from("!H", rest, 2)[0] >> 3 == 0
            proto, rest = rest[0], rest[8:]
        packet.proto = proto
    else:
        return None
    if packet.first:
        parse_l4(packet, rest, quotes)
    return packet


class Checker:
    """Sees what came in first, then judges what the node has sent."""

    def __init__(self, unicast, service):
        self.unicast = {ipaddress.ip_address(a).packed for a in unicast}
        self.service = {ipaddress.ip_address(a).packed for a in service}
        self.received = 0
        self.sent = 0
        self.asked = set()      # tuples that came in
        self.echo = set()       # (proto, src, dst, id) of echo requests
        self.answered = set()   # fragment trains whose first piece was right
        self.sources = collections.Counter()
        self.wrong = collections.Counter()

    def see_received(self, packet):
        self.received += 1
        if packet is None or not packet.first:
            return
        if packet.icmp in (8, 128):
            self.echo.add((packet.proto, packet.src, packet.dst, packet.sport))
        self.asked.add(packet.tuple())

    def judge_arp(self, data):
        sender = data[14:18]
        name = f"{ipaddress.ip_address(sender)} (ARP)"
        self.count(name, sender in self.unicast or sender == b"\0\0\0\0",
                   "ARP for an address that is not the node's own")

    def judge(self, packet):
        name = str(ipaddress.ip_address(packet.src))
        if packet.src in self.unicast:
            self.count(name, True)
        elif packet.src in self.service:
            self.count(name, *self.answers(packet))
        elif packet.src[:2] == b"\xfe\x80" or packet.src == bytes(16):
            self.count(name + " (link)", packet.icmp in V6_LINK_TALK,
                       "a link-local source beyond neighbour discovery")
        else:
            self.count(name, False, "neither a unicast nor a service address")

    def answers(self, packet):
        """(right, why not) for a frame from a service address."""
        train = (packet.src, packet.dst, packet.proto, packet.fragment)
        if not packet.first:
            return train in self.answered, "a fragment of no answer"
        right, why = self.answers_whole(packet)
        if right and packet.fragment is not None:
            self.answered.add(train)
        return right, why

    def answers_whole(self, packet):
        if packet.proto == TCP and packet.flags & 0x12 == 0x02:
            return False, "a bare SYN from a service address"
        if packet.proto in (TCP, UDP):
            return packet.mirrored() in self.asked, "it answers nothing that came in"
        if packet.quoted is not None:
            quoted = packet.quoted
            return (quoted.dst == packet.src and quoted.tuple() in self.asked,
                    "an ICMP error about nothing that came in")
        if (packet.proto, packet.icmp) in ECHO_OF_REPLY:
            request = (packet.proto, packet.dst, packet.src, packet.sport)
            return request in self.echo, "an echo reply to no request"
        return False, "a service address originates"

    def count(self, name, right, why=""):
        self.sources[name] += 1
        if not right:
            self.wrong[f"{name}: {why}"] += 1


def check(path, router_mac, unicast, service):
    checker = Checker(unicast, service)
    sent = []
    for frame in frames(path):
        ethertype, data = struct.unpack_from("!H", frame, 12)[0], frame[14:]
        if ethertype == ETH_VLAN:
            ethertype, data = struct.unpack_from("!H", data, 2)[0], data[4:]
        is_ip = ethertype in (ETH_IPV4, ETH_IPV6)
        packet = parse_ip(data) if is_ip else None
        if frame[6:12] == router_mac:
            checker.see_received(packet)
        else:
            sent.append((ethertype, data, packet))
    for ethertype, data, packet in sent:
        checker.sent += 1
        if packet is not None:
            checker.judge(packet)
        elif ethertype == ETH_ARP:
            checker.judge_arp(data)
        else:
            checker.count(f"ethertype {ethertype:#06x}", False, "neither IP nor ARP")
    return checker


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("capture")
    parser.add_argument("--router-mac", required=True)
    parser.add_argument("--unicast", nargs="+", required=True)
    parser.add_argument("--service", nargs="+", required=True)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    router_mac = bytes.fromhex(args.router_mac.replace(":", ""))
    checker = check(args.capture, router_mac, args.unicast, args.service)
    wrong = sum(checker.wrong.values())
    if args.json:
        json.dump({"received": checker.received, "sent": checker.sent,
                   "wrong": wrong, "sources": checker.sources,
                   "wrong_by_reason": checker.wrong}, sys.stdout, indent=2)
        print()
    else:
        for name, frames_of in checker.sources.most_common():
            print(f"{frames_of:9}  {name}")
        for reason, frames_of in checker.wrong.most_common():
            print(f"{frames_of:9}  WRONG: {reason}")
        print(f"{checker.sent} frames sent by the node, {wrong} with a wrong source")
    return 1 if wrong or not checker.sent else 0


if __name__ == "__main__":
    sys.exit(main())
