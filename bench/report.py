#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Tables and plots of Google Benchmark's JSON.

  report.py table RESULTS.json...        on the screen
  report.py merge OUT.json RESULTS.json...
  report.py plot DIR RESULTS.json        SVG: one of bars for each program,
                                         clk over flows, clk by stage
"""

import html
import json
import pathlib
import re
import sys

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
    shown = {key: value for key, value in run.items()
             if key not in STANDARD and key != "packets" and key not in SHOWN_FIRST}
    return "  ".join(f"{key}={value:.4g}" if key != "checksum" else f"{key}={value:.0f}"
                     for key, value in shown.items() if isinstance(value, (int, float)))


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


def merge(out, paths):
    merged = {"context": {}, "benchmarks": []}
    for path in paths:
        results = load(path)
        merged["context"] = results["context"]
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


def line_chart(title, series):
    """series: {name: {flows: clk}}. Flows on a logarithmic scale, clk from zero."""
    left, top, width, height = 60, 50, 520, 300
    flows = sorted({x for points in series.values() for x in points})
    most = max(y for points in series.values() for y in points.values()) * 1.1
    bits = [x.bit_length() for x in flows]
    span = max(bits[-1] - bits[0], 1)

    def at(x, y):
        return left + width * (x.bit_length() - bits[0]) / span, top + height * (1 - y / most)

    drawn = [f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="none" stroke="#999"/>']
    drawn += [text(at(x, 0)[0], top + height + 18, f"{x:,}", "middle") for x in flows]
    step = 50 if most > 150 else 20
    for y in range(0, int(most) + 1, step):
        level = at(flows[0], y)[1]
        drawn.append(f'<line x1="{left}" x2="{left + width}" y1="{level:.1f}" y2="{level:.1f}" stroke="#ddd"/>')
        drawn.append(text(left - 6, level + 4, str(y), "end"))
    for index, (name, points) in enumerate(series.items()):
        colour = "#999" if name == "calibration" else COLOURS[index % len(COLOURS)]
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


def main():
    verb, *rest = sys.argv[1:] or [""]
    if verb == "table":
        table(rest)
    elif verb == "merge":
        merge(rest[0], rest[1:])
    elif verb == "plot":
        plot(rest[0], rest[1])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
