#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""godwitd between a generator's two links, and testpmd's macswap in the same place, by turns.

  end_to_end.py --programs DIR --generator FILE --out FILE.json [--filter REGEX] [--smoke]

Rows are named LINK/WHAT/FAMILY/FLOWS[/more] and written as Google Benchmark writes its own, so that report.py shows
them beside those. A pair is one run of godwitd's and one of macswap's right after it; `ratio` is the median over the
pairs. Any result that is not right ends the program: docs/benchmarks.md says what is looked at.
"""

import argparse
import json
import pathlib
import re
import signal
import statistics
import sys

sys.dont_write_bytecode = True
import bed  # noqa: E402

WAYS = {("inbound", "in"): "SteerIn", ("inbound", "out"): "SteerReply",
        ("originated", "out"): "NatOut", ("originated", "in"): "NatReturn"}
PROTOCOLS = {"udp": 17, "tcp": 6}
# RFC 6985's a (64), d (512), g (1518) bytes, in the order of conformance.md 4.2; without the FCS.
IMIX = ",".join(str({"a": 60, "d": 508, "g": 1514}[letter]) for letter in "aadaadaadagd")
# Lost on the way, of all frames sent, where a full ring holds the sender back. A generator that lost its CPU for a
# moment loses a ring of frames.
MOST_LOST = 0.02
# Frames that are nobody's measurement: ARP, ND, what the kernel says to its links.
FEW = 64
MOST_VOID = 4
# What a flood may add to the daemon's memory and to its log.
FLOOD_MIB = 4
FLOOD_LINES = 20
FLOODS = ("syn", "misses", "scan", "fragments", "errors", "broken")
# 64-byte frames of a link of 10 Gbit/s: what is legal and what is not, together.
LINE_RATE = 14_880_952


class Group:
    """Rows that are measured on the same flows."""

    def __init__(self, link, kind, family=4, flows=65536, protocol="udp", sizes="0", name="", latency=False):
        self.link, self.kind, self.family, self.flows = link, kind, family, flows
        self.protocol, self.sizes, self.latency = protocol, sizes, latency
        self.tail = "/".join([f"v{family}", str(flows), *([name] if name else [])])
        self.ways = [way for of, way in WAYS if of == kind]

    def row(self, way):
        return f"{self.link}/{WAYS[self.kind, way]}/{self.tail}"


def groups(smoke):
    for kind in ("inbound", "originated"):
        for family in (4, 6):
            for flows in (65536,) if smoke else (1024, 16384, 65536, 262144, 1048576):
                yield Group("memif", kind, family, flows, latency=flows == 65536 and (family == 4 or not smoke))
        if not smoke:
            yield Group("memif", kind, protocol="tcp", name="tcp")
            for family in (4, 6):
                yield Group("memif", kind, family, sizes=IMIX, name="imix")
                yield Group("memif", kind, family, sizes="1514", name="size:1518")
        for link in ("xdp", "afpacket"):
            for family in (4,) if smoke else (4, 6):
                yield Group(link, kind, family, flows=1024)


class Measurement:
    def __init__(self, stand, smoke):
        self.stand, self.rows = stand, []
        self.pairs, self.ms, self.latency_ms = (3, 80, 100) if smoke else (7, 400, 1000)
        self.loses = stand.link != "memif"
        if smoke and self.loses:
            self.pairs = 2

    def tell(self, device, verb, **words):
        outcome = self.stand.generator.tell(verb, device=device, **words)
        if outcome["wrong"] or not outcome.get("all", True):
            who = "macswap" if device else "godwitd"
            raise bed.Wrong(f"{who}, {self.group.tail} {self.group.kind}, {verb} {words}: {outcome}")
        return outcome

    def run(self, device, verb, **words):
        """One measurement on one of the two. A void one is repeated: someone had a CPU for longer than is waited."""
        self.stand.turn_of(device)
        for _ in range(MOST_VOID):
            before = self.stand.counters() if device == 0 else None
            outcome = self.tell(device, verb, **words)
            why = self.void(outcome, before)
            if not why:
                return outcome
        raise bed.Wrong(f"{why}: {self.group.tail} {self.group.kind}, {outcome}")

    def void(self, outcome, before):
        """Why it says nothing, or an empty text: what became of each frame must be known, by godwitd's counters too."""
        lost = outcome["sent"] - outcome["received"]
        if not outcome["pps"] or not outcome["looked_at"]:
            return "nothing came"
        if lost < 0 or (not self.loses and lost > MOST_LOST * outcome["sent"] + FEW):
            return f"{lost} frames are missing"
        if before and not self.loses:
            received, dropped = (now - then for now, then in zip(self.stand.counters(), before))
            if not 0 <= received - outcome["sent"] <= FEW or abs(dropped - lost) > FEW:
                return f"godwitd counted {received} received, {dropped} dropped"
        return ""

    def measure(self, group, wanted):
        self.group = group
        ways = [way for way in group.ways
                if wanted(group.row(way)) or (group.latency and wanted(group.row(way) + "/latency"))]
        if not ways:
            return
        for device in (0, 1):
            self.stand.turn_of(device)
            if device == 0:
                self.stand.ctl_text("flow", "flush")
            self.tell(device, "flows", family=group.family, protocol=PROTOCOLS[group.protocol],
                      originated=int(group.kind == "originated"), plain=device, flows=group.flows, sizes=group.sizes,
                      service=bed.SERVICE[group.family], unicast=bed.UNICAST[group.family])
        for way in ways:
            rate = self.rate(group, way)
            if group.latency and wanted(group.row(way) + "/latency"):
                self.latency(group, way, rate / 2)

    def rate(self, group, way):
        pairs = [[self.run(device, "rate", way=way, ms=self.ms) for device in (0, 1)] for _ in range(self.pairs)]
        ours, plain = (statistics.median(pair[device]["pps"] for pair in pairs) for device in (0, 1))
        lost = [sum(pair[device]["sent"] - pair[device]["received"] for pair in pairs)
                / sum(pair[device]["sent"] for pair in pairs) for device in (0, 1)]
        self.add(group.row(way), ours, sum(pair[0]["received"] for pair in pairs), {
            "packets": ours, "ratio": statistics.median(pair[0]["pps"] / pair[1]["pps"] for pair in pairs),
            "macswap_Mpps": plain / 1e6, "lost": lost[0], "macswap_lost": lost[1],
            "calib": self.stand.generator.tell("calibrate", lines=2 * group.flows)["calib"]})
        return ours

    def latency(self, group, way, pace):
        pairs = [[self.run(device, "latency", way=way, ms=self.latency_ms, pace=int(pace)) for device in (0, 1)]
                 for _ in range(self.pairs)]
        middle = {f"{who}{key}": statistics.median(pair[device][key] for pair in pairs)
                  for device, who in enumerate(("", "macswap_")) for key in ("p50_ns", "p99_ns", "p99_all_ns")}
        self.add(group.row(way) + "/latency", pace, sum(pair[0]["received"] for pair in pairs), {
            **middle, "p50_x": statistics.median(pair[0]["p50_ns"] / pair[1]["p50_ns"] for pair in pairs),
            "p99_x": statistics.median(pair[0]["p99_ns"] / pair[1]["p99_ns"] for pair in pairs),
            "pace_Mpps": pace / 1e6, "late": sum(run["late"] for pair in pairs for run in pair)})

    def floods(self, wanted):
        """Half of the rate that there is, and beside it, on the same link, what fills the line."""
        group = self.group = Group("memif", "inbound", flows=16384)
        kinds = [kind for kind in FLOODS if wanted(self.flood_row(kind))]
        if not kinds:
            return
        self.stand.turn_of(0)
        self.stand.ctl_text("flow", "flush")
        for originated in (1, 0):    # mappings, that nothing may happen to, and the flows that are measured
            self.tell(0, "flows", family=4, protocol=17, originated=originated, plain=0, flows=group.flows, sizes="0",
                      service=bed.SERVICE[4], unicast=bed.UNICAST[4])
        rate = statistics.median(self.run(0, "rate", way="in", ms=self.ms)["pps"] for _ in range(self.pairs))
        for kind in kinds:
            before = self.stand.standing()
            pairs = [[self.tell(0, "flooded", way="in", ms=self.ms, pace=int(rate / 2), kind=kind,
                                flood_pace=int(flood * (LINE_RATE - rate / 2))) for flood in (0, 1)]
                     for _ in range(self.pairs)]
            self.still_stands(kind, before)
            middle = [{key: statistics.median(pair[flood][key] for pair in pairs)
                       for key in ("pps", "goodput", "flood_pps")} for flood in (0, 1)]
            self.add(self.flood_row(kind), middle[1]["pps"], sum(pair[1]["received"] for pair in pairs), {
                "goodput": statistics.median(pair[1]["goodput"] / (pair[0]["goodput"] or 1) for pair in pairs),
                "without": middle[0]["goodput"], "pace_Mpps": rate / 2e6, "flood_Mpps": middle[1]["flood_pps"] / 1e6})

    @staticmethod
    def flood_row(kind):
        return f"memif/Flood/{kind}/v4"

    def still_stands(self, kind, before):
        """Mappings are there, memory and the log have not grown; counters add up."""
        self.stand.counters()
        now = self.stand.standing()
        if now["mappings"] != before["mappings"]:
            raise bed.Wrong(f"{kind}: {before['mappings']} mappings before, {now['mappings']} after")
        if now["MiB"] > before["MiB"] + FLOOD_MIB:
            raise bed.Wrong(f"{kind}: {before['MiB']:.0f} MiB before, {now['MiB']:.0f} after")
        if now["lines"] > before["lines"] + FLOOD_LINES:
            raise bed.Wrong(f"{kind}: {now['lines'] - before['lines']} lines in the log")

    def cold_start(self):
        figures = self.stand.cold_start
        self.add(f"{self.stand.link}/ColdStart", 1 / figures["start_s"], 1, figures)

    def add(self, name, rate, iterations, counters):
        row = {"name": name, "run_name": name, "run_type": "iteration", "iterations": iterations,
               "real_time": 1e9 / rate, "cpu_time": 1e9 / rate, "time_unit": "ns", **counters}
        self.rows.append(row)


def arguments():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--programs", required=True)
    parser.add_argument("--generator", required=True, type=lambda path: str(pathlib.Path(path).resolve()))
    parser.add_argument("--out", required=True)
    parser.add_argument("--filter", default=".")
    parser.add_argument("--smoke", action="store_true")
    return parser.parse_args()


def main():
    options = arguments()
    # Everything is taken down on these ways out too; Python does so for some of them, when it is not in the background.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda caught, _: sys.exit(128 + caught))
    wanted = re.compile(options.filter).search
    rows = []
    try:
        for link in ("memif", "xdp", "afpacket"):
            of_link = [group for group in groups(options.smoke) if group.link == link]
            names = ["memif/ColdStart"] * (link == "memif") + [group.row(way) + more for group in of_link for way in group.ways
                     for more in (["", "/latency"] if group.latency else [""])]
            if link == "memif" and not options.smoke:
                names += [Measurement.flood_row(kind) for kind in FLOODS]
            if not any(wanted(name) for name in names):
                continue
            max_flows = 2 * max(group.flows for group in of_link)
            with bed.Bed(link, pathlib.Path(options.programs).resolve(), options.generator, max_flows) as stand:
                measurement = Measurement(stand, options.smoke)
                if stand.cold_start and wanted(f"{link}/ColdStart"):
                    measurement.cold_start()
                for group in of_link:
                    measurement.measure(group, wanted)
                if link == "memif" and not options.smoke:
                    measurement.floods(wanted)
                rows += measurement.rows
    except (bed.Missing, bed.Wrong) as why:
        sys.exit(f"end_to_end: {why}")
    results = {"context": {"yardstick": f"testpmd macswap, burst {bed.YARDSTICK_BURST}"}, "benchmarks": rows}
    pathlib.Path(options.out).write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
