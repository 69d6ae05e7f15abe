#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Instructions a packet, counted by callgrind: the same on any machine, however busy.

  instructions.py PIPELINE_BENCH                  held against instructions.json
  instructions.py PIPELINE_BENCH --record REASON  writes what it counts there

Fails where a row takes over 3% more than is recorded. Whoever means it records
it anew, with the reason.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

RECORDED = pathlib.Path(__file__).with_name("instructions.json")
ROWS = ("SteerIn/v4/1024", "SteerReply/v4/1024", "NatOut/v4/1024", "NatReturn/v4/1024",
        "SteerIn/v6/1024", "NatOut/v6/1024", "NewInbound/v4/65536/full:0", "NewMapping/v4/65536/full:0")
ALLOWED = 0.03


def count(bench, row):
  """Instructions a packet of `row`."""
  with tempfile.TemporaryDirectory() as folder:
    profile = pathlib.Path(folder, "profile")
    done = subprocess.run(
      ["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}",
       "--toggle-collect=godwit::Pipeline::CountedTurn*", bench,
       f"--benchmark_filter=^{row}/", "--benchmark_format=json"],
      env={**os.environ, "GODWIT_BENCH_SIZE": "count"}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
      raise SystemExit(f"instructions: {row}: callgrind ends with {done.returncode}:\n{done.stderr[-2000:]}")
    frames = json.loads(done.stdout[done.stdout.index("{"):])["benchmarks"][0]["frames"]
    total = int(re.search(r"^(?:totals|summary): (\d+)", profile.read_text(), re.M).group(1))
  return total / frames


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument("bench")
  parser.add_argument("--record", metavar="REASON")
  options = parser.parse_args()
  counted = {row: round(count(options.bench, row), 1) for row in ROWS}
  if options.record:
    RECORDED.write_text(json.dumps({"reason": options.record, "rows": counted}, indent=2) + "\n")
    return 0
  recorded = json.loads(RECORDED.read_text())["rows"]
  more = 0
  for row, now in counted.items():
    change = now / recorded[row] - 1
    too_much = change > ALLOWED
    more += too_much
    print(f"{row:32} {now:8.1f}  {change:+7.1%}{'  more than 3%' if too_much else ''}")
  return 1 if more else 0


if __name__ == "__main__":
  sys.exit(main())
