#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Tables and plots of Google Benchmark's JSON.

  report.py table RESULTS.json...        on the screen
  report.py merge OUT.json RESULTS.json...
  report.py plot DIR RESULTS.json        one SVG for each program: DIR/NAME.svg
"""

import html
import json
import pathlib
import sys

NANOSECONDS = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}
STANDARD = {"name", "run_name", "run_type", "family_index", "per_family_instance_index",
            "repetitions", "repetition_index", "threads", "iterations", "real_time", "cpu_time",
            "time_unit", "aggregate_name", "aggregate_unit", "label", "program",
            "error_occurred", "error_message", "items_per_second", "bytes_per_second"}


def load(path):
    results = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    for run in results["benchmarks"]:
        run.setdefault("program", pathlib.Path(path).stem)
    return results


def packets_per_second(run):
    return run.get("packets", run.get("items_per_second"))


def ns_per_packet(run):
    rate = packets_per_second(run)
    if rate:
        return 1e9 / rate
    return run["real_time"] * NANOSECONDS[run["time_unit"]]


def counters(run):
    shown = {key: value for key, value in run.items() if key not in STANDARD and key != "packets"}
    return "  ".join(f"{key}={value:g}" if isinstance(value, (int, float)) else f"{key}={value}"
                     for key, value in shown.items())


def table(paths):
    for path in paths:
        runs = [run for run in load(path)["benchmarks"] if not run.get("error_occurred")]
        width = max((len(run["name"]) for run in runs), default=0)
        for run in runs:
            rate = packets_per_second(run)
            unit = "ns/packet" if rate else "ns/run"
            millions = f"{rate / 1e6:9.3f} M/s" if rate else " " * 13
            print(f"{run['name']:{width}}  {ns_per_packet(run):12.1f} {unit:9} {millions}  {counters(run)}".rstrip())


def merge(out, paths):
    merged = {"context": {}, "benchmarks": []}
    for path in paths:
        results = load(path)
        merged["context"] = results["context"]
        merged["benchmarks"] += results["benchmarks"]
    pathlib.Path(out).write_text(json.dumps(merged, indent=2) + "\n", encoding="utf-8")


def bar_chart(title, rows):
    """rows: (name, nanoseconds). One horizontal bar each, from zero."""
    row, left, width = 22, 330, 420
    height = 50 + row * len(rows)
    longest = max(value for _, value in rows)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 110}" height="{height}" '
             f'font-family="sans-serif" font-size="12">',
             '<rect width="100%" height="100%" fill="white"/>',
             f'<text x="10" y="22" font-size="15">{html.escape(title)}: nanoseconds per packet</text>']
    for index, (name, value) in enumerate(rows):
        y = 40 + row * index
        length = width * value / longest
        parts.append(f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{html.escape(name)}</text>')
        parts.append(f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{row - 6}" fill="#3b6ea5"/>')
        parts.append(f'<text x="{left + length + 5:.1f}" y="{y + 13}">{value:.1f}</text>')
    return "\n".join(parts + ["</svg>", ""])


def plot(directory, path):
    programs = {}
    for run in load(path)["benchmarks"]:
        if run.get("run_type") != "aggregate" and not run.get("error_occurred"):
            programs.setdefault(run["program"], []).append((run["name"], ns_per_packet(run)))
    for program, rows in programs.items():
        (pathlib.Path(directory) / f"{program}.svg").write_text(bar_chart(program, rows), encoding="utf-8")


def main():
    verb, *rest = sys.argv[1:]
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
