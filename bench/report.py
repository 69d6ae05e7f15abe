#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Tables and plots of Google Benchmark's JSON.

  report.py table RESULTS.json...        on the screen
  report.py targets RESULTS.json...      only what has a floor and a goal (targets.py)
  report.py compare OLD.json NEW.json    what both have measured
  report.py merge OUT.json RESULTS.json...
  report.py plot DIR RESULTS.json        SVG: one of bars for each program,
                                         clk over flows, clk by stage,
                                         rate over flows, latency
"""

import html
import json
import math
import pathlib
import re
import statistics
import sys

sys.dont_write_bytecode = True
from targets import targets_of  # noqa: E402

NANOSECONDS = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}
STANDARD = {"name", "run_name", "run_type", "family_index", "per_family_instance_index",
            "repetitions", "repetition_index", "threads", "iterations", "real_time", "cpu_time",
            "time_unit", "aggregate_name", "aggregate_unit", "label", "program",
            "error_occurred", "error_message", "items_per_second", "bytes_per_second"}
SHOWN_FIRST = ["clk", "calib"]
COLOURS = ["#3b6ea5", "#c8553d", "#588157", "#8e6c8a", "#d4a017", "#4a4e69", "#2a9d8f", "#9d4edd", "#e07a5f"]
STAGES = ["rx", "parse", "find", "make_hop", "rewrite", "guard_tx"]


def load(path):
    results = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    for run in results["benchmarks"]:
        run.setdefault("program", pathlib.Path(path).stem)
    return results


def measured(path):
    """With repetitions their medians, without them the runs."""
    runs = [run for run in load(path)["benchmarks"] if not run.get("error_occurred")]
    medians = [run for run in runs if run.get("aggregate_name") == "median"]
    return medians or [run for run in runs if run.get("run_type") != "aggregate"]


def shown(number):
    """Four digits, never an exponent."""
    return f"{number:.0f}" if abs(number) >= 1000 else f"{number:.4g}"


def name_of(run):
    return re.sub(r"/iterations:\d+|/manual_time|/repeats:\d+|_median", "", run["name"])


def packets_per_second(run):
    return run.get("packets", run.get("items_per_second"))


def ns_per_packet(run):
    rate = packets_per_second(run)
    if rate:
        return 1e9 / rate
    return run.get("p50_ns", run["real_time"] * NANOSECONDS[run["time_unit"]])


def counters(run):
    rest = {key: value for key, value in run.items()
            if key not in STANDARD and key != "packets" and key not in SHOWN_FIRST}
    return "  ".join(f"{key}={value:.0f}" if key == "checksum" else f"{key}={shown(value)}"
                     for key, value in rest.items() if isinstance(value, (int, float)))


def table(paths):
    for path in paths:
        runs = measured(path)
        width = max((len(name_of(run)) for run in runs), default=0)
        print(f"{'':{width}}  {'ns':>11}           {'M/s':>9}  {'clk':>7} {'calib':>6}")
        for run in runs:
            rate = packets_per_second(run)
            unit = "a packet" if rate else "p50" if "p50_ns" in run else "a run"
            millions = f"{rate / 1e6:9.3f}" if rate else " " * 9
            first = [f"{run[key]:.1f}" if key in run else "" for key in SHOWN_FIRST]
            print(f"{name_of(run):{width}}  {ns_per_packet(run):11.1f} {unit:8}  {millions}  "
                  f"{first[0]:>7} {first[1]:>6}  {counters(run)}".rstrip())


def targets(paths):
    """One line for each figure that has a floor; how many of them are reached."""
    runs = [run for path in paths for run in measured(path)]
    by_name = {name_of(run): run for run in runs}
    lines = [(name, target, by_name[name].get("calib")) for name in by_name for target in targets_of(name, by_name)]
    if not lines:
        return
    width = max(len(name) for name, _, _ in lines)
    print(f"{'':{width}}  {'':12}  {'figure':>8} {'floor':>8} {'goal':>8}  {'calib':>6}")
    for name, target, calib in lines:
        calibration = f"{calib:6.1f}" if calib is not None else " " * 6
        print(f"{name:{width}}  {target.what:12}  {shown(target.figure):>8} {shown(target.floor):>8} "
              f"{shown(target.goal):>8}  {calibration}  {target.reached()}")
    goals = sum(target.reached() == "goal" for _, target, _ in lines)
    floors = sum(target.reached() == "floor" for _, target, _ in lines) + goals
    print(f"{len(lines)} figures: {floors} at their floor or better, {goals} at their goal")


def compare(old_path, new_path):
    """Costs side by side. A row of another machine says more about that: so the calibration goes with it."""
    old, new = ({name_of(run): run for run in measured(path)} for path in (old_path, new_path))
    both = [name for name in new if name in old]
    width = max((len(name) for name in both), default=0)
    print(f"{'':{width}}  {'':9} {'old':>9} {'new':>9} {'change':>8}  calib")
    for name in both:
        what, before, after = figures(old[name], new[name])
        calibrations = [f"{run['calib']:.1f}" for run in (old[name], new[name]) if "calib" in run]
        print(f"{name:{width}}  {what:9} {shown(before):>9} {shown(after):>9} {(after / before - 1) * 100:+7.1f}%  "
              f"{' -> '.join(calibrations)}".rstrip())
    for names, where in (([name for name in old if name not in new], "old"), ([n for n in new if n not in old], "new")):
        if names:
            print(f"only in the {where} one: {', '.join(names)}")


def figures(old, new):
    """What of a row is compared: the figure that says most of it."""
    for key in ("ratio", "p50_x", "clk"):
        if old.get(key) and key in new:
            return key, old[key], new[key]
    return "ns", ns_per_packet(old), ns_per_packet(new)


def merge(out, paths):
    merged = {"context": {}, "benchmarks": []}
    for path in paths:
        results = load(path)
        merged["context"] |= results["context"]
        merged["benchmarks"] += results["benchmarks"]
    pathlib.Path(out).write_text(json.dumps(merged, indent=2) + "\n", encoding="utf-8")


def text(x, y, words, anchor="start", size=12):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{html.escape(words)}</text>'


def svg(width, height, title, parts):
    return "\n".join(
        [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif">',
         '<rect width="100%" height="100%" fill="white"/>', text(10, 22, title, size=15), *parts, "</svg>", ""])


def bar_chart(title, rows):
    """rows: (name, [(label, value), ...]). A bar each, from zero, its parts one after another."""
    row, left, width = 22, 330, 420
    longest = max(sum(value for _, value in parts) for _, parts in rows)
    labels = [label for label, _ in rows[0][1]]
    drawn = []
    for index, label in enumerate(labels if len(labels) > 1 else []):
        drawn.append(f'<rect x="{left + 90 * index}" y="34" width="10" height="10" fill="{COLOURS[index]}"/>')
        drawn.append(text(left + 90 * index + 14, 44, label))
    top = 60 if len(labels) > 1 else 40
    for index, (name, parts) in enumerate(rows):
        x, y = left, top + row * index
        drawn.append(text(left - 8, y + 13, name, "end"))
        for colour, (_, value) in zip(COLOURS, parts):
            length = width * value / longest
            drawn.append(f'<rect x="{x:.1f}" y="{y}" width="{length:.1f}" height="{row - 6}" fill="{colour}"/>')
            x += length
        drawn.append(text(x + 5, y + 13, f"{sum(value for _, value in parts):.1f}"))
    return svg(left + width + 110, top + 10 + row * len(rows), title, drawn)


def grid_step(most):
    """A round number of which some five fit."""
    step = 10 ** math.floor(math.log10(most / 2))
    return next(step * by for by in (1, 2, 5, 10) if most / (step * by) <= 6)


def line_chart(title, series):
    """series: {name: {flows: figure}}. Flows on a logarithmic scale, figures from zero."""
    left, top, width, height = 60, 50, 520, 300
    flows = sorted({x for points in series.values() for x in points})
    most = max(y for points in series.values() for y in points.values()) * 1.1
    bits = [x.bit_length() for x in flows]
    span = max(bits[-1] - bits[0], 1)

    def at(x, y):
        return left + width * (x.bit_length() - bits[0]) / span, top + height * (1 - y / most)

    drawn = [f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="none" stroke="#999"/>']
    drawn += [text(at(x, 0)[0], top + height + 18, f"{x:,}", "middle") for x in flows]
    step = grid_step(most)
    for y in (step * count for count in range(int(most / step) + 1)):
        level = at(flows[0], y)[1]
        drawn.append(f'<line x1="{left}" x2="{left + width}" y1="{level:.1f}" y2="{level:.1f}" stroke="#ddd"/>')
        drawn.append(text(left - 6, level + 4, f"{y:g}", "end"))
    for index, (name, points) in enumerate(series.items()):
        colour = "#999" if name in ("calibration", "macswap") else COLOURS[index % len(COLOURS)]
        line = " ".join("{:.1f},{:.1f}".format(*at(x, y)) for x, y in sorted(points.items()))
        drawn.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        drawn.append(f'<rect x="{left + width + 15}" y="{top + 20 * index}" width="12" height="4" fill="{colour}"/>')
        drawn.append(text(left + width + 33, top + 20 * index + 7, name))
    drawn.append(text(left + width / 2, top + height + 38, "flows", "middle"))
    return svg(left + width + 190, top + height + 55, title, drawn)


def flow_series(runs):
    """Rows NAME/FAMILY/FLOWS, and the calibration of the first of them."""
    series, calibration = {}, {}
    for run in runs:
        found = re.fullmatch(r"(\w+/v[46])/(\d+)", name_of(run))
        if not found or "calib" not in run:
            continue
        flows = int(found[2])
        series.setdefault(found[1], {})[flows] = run["clk"]
        calibration.setdefault(flows, run["calib"])
    return series | {"calibration": calibration} if series else {}


def rate_series(runs):
    """Rows memif/NAME/FAMILY/FLOWS; the yardstick is the median of what stood beside them."""
    series, yardstick = {}, {}
    for run in runs:
        found = re.fullmatch(r"memif/(\w+/v[46])/(\d+)", name_of(run))
        if found and "macswap_Mpps" in run:
            series.setdefault(found[1], {})[int(found[2])] = run["packets"] / 1e6
            yardstick.setdefault(int(found[2]), []).append(run["macswap_Mpps"])
    middle = {flows: statistics.median(rates) for flows, rates in yardstick.items()}
    series = {name: points for name, points in series.items() if len(points) > 1}
    return series | {"macswap": middle} if series else {}


def latency_rows(runs):
    rows = []
    for run in runs:
        for who in ("", "macswap_"):
            if f"{who}p50_ns" in run and run.get("pace_Mpps"):
                name = name_of(run).removesuffix("/latency") if not who else f"macswap, {run['pace_Mpps']:.1f} Mpps"
                p50, p99 = run[f"{who}p50_ns"] / 1e3, run[f"{who}p99_ns"] / 1e3
                rows.append((name, [("p50", p50), ("to p99", max(p99 - p50, 0))]))
    return rows


def plot(directory, path):
    directory = pathlib.Path(directory)
    runs = measured(path)
    programs = {}
    for run in runs:
        if packets_per_second(run) or "p50_ns" in run:
            programs.setdefault(run["program"], []).append((name_of(run), [("ns", ns_per_packet(run))]))
    for program, rows in programs.items():
        chart = bar_chart(f"{program}: nanoseconds per packet", rows)
        (directory / f"{program}.svg").write_text(chart, encoding="utf-8")
    stages = [(name_of(run), [(stage, run[f"clk_{stage}"]) for stage in STAGES])
              for run in runs if f"clk_{STAGES[0]}" in run]
    if stages:
        chart = bar_chart("TSC clocks per packet, by stage", stages)
        (directory / "stages.svg").write_text(chart, encoding="utf-8")
    series = flow_series(runs)
    if series:
        chart = line_chart("TSC clocks per packet over flows", series)
        (directory / "flows.svg").write_text(chart, encoding="utf-8")
    rates = rate_series(runs)
    if rates:
        chart = line_chart("Mpps through godwitd over memif, over flows", rates)
        (directory / "rates.svg").write_text(chart, encoding="utf-8")
    latencies = latency_rows(runs)
    if latencies:
        chart = bar_chart("microseconds from link to link at half load, p50 and p99", latencies)
        (directory / "latency.svg").write_text(chart, encoding="utf-8")


def main():
    verb, *rest = sys.argv[1:] or [""]
    if verb == "table":
        table(rest)
    elif verb == "targets":
        targets(rest)
    elif verb == "compare":
        compare(*rest)
    elif verb == "merge":
        merge(rest[0], rest[1:])
    elif verb == "plot":
        plot(rest[0], rest[1])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
