# SPDX-License-Identifier: BSD-3-Clause
"""The floors and goals that figures are held against: what must hold, and what would be well ahead of every peer."""

import dataclasses
import re

STEER = {1024: (80, 45), 65536: (95, 55), 1048576: (130, 90), 4194304: (150, 110)}
TRANSLATE = {1024: (95, 55), 65536: (110, 65), 1048576: (150, 100), 4194304: (170, 120)}
PLAIN = r"/v[46]/(\d+)"

# Of a row by its name: which counter, floor, goal; a higher figure is better where the floor is under the goal.
ROWS = [
    (r"New(Inbound)/v[46]/.*", "clk", (450, 250)),
    (r"New(Mapping)/v[46]/.*", "clk", (600, 350)),
    (r"L4portPoolBurstBench/(990)", "p99_ns", (1000, 300)),
    (r"L4portPoolBench/(990)", "p99_ns", (1000, 300)),
    (r"memif/Steer(In|Reply)/v[46]/65536", "ratio", (0.55, 0.70)),
    (r"memif/Nat(Out|Return)/v[46]/65536", "ratio", (0.50, 0.65)),
    (r"memif/\w+/v[46]/(65536)/latency", "p50_x", (1.5, 1.2)),
    (r"memif/\w+/v[46]/(65536)/latency", "p99_x", (2.0, 1.5)),
    (r"memif/(ColdStart)", "start_s", (2, 1)),
    (r"memif/(ColdStart)", "memory_MiB", (100, 100)),
    (r".*", "bytes_per_flow", (192, 128)),
]
# Of a row beside its twin, which has everything but this: how many times its cost.
TWINS = [(r"(services:10000|queues:256)", (1.10, 1.03)), (r"(imix|size:1518|vlan|workers:2|v6)", (1.5, 1.2))]


@dataclasses.dataclass
class Target:
    what: str
    figure: float
    floor: float
    goal: float

    def reached(self):
        higher = self.goal > self.floor
        for name, limit in (("goal", self.goal), ("floor", self.floor)):
            if self.figure >= limit if higher else self.figure <= limit:
                return name
        return "MISSED"


def targets_of(name, by_name):
    """Of the row `name` of {name: row}."""
    row = by_name[name]
    for pattern, limits in ((rf"Steer(?:In|Reply){PLAIN}", STEER), (rf"Nat(?:Out|Return){PLAIN}", TRANSLATE)):
        found = re.fullmatch(pattern, name)
        if found and int(found[1]) in limits and "clk" in row:
            yield Target("clk", row["clk"], *limits[int(found[1])])
    for pattern, key, limits in ROWS:
        if key in row and re.fullmatch(pattern, name):
            yield Target(key, row[key], *limits)
    twin, limits = twin_of(name)
    if twin in by_name and row.get("clk") and by_name[twin].get("clk"):
        yield Target("x its twin", row["clk"] / by_name[twin]["clk"], *limits)


def twin_of(name):
    parts = name.split("/")
    for pattern, limits in TWINS:
        for at, part in enumerate(parts):
            if re.fullmatch(pattern, part):
                return "/".join(parts[:at] + (["v4"] if part == "v6" else []) + parts[at + 1:]), limits
    return None, None
