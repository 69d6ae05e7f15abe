#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Counts test results: prints "PASSED FAILED SKIPPED", then a line for each that failed or was skipped.

  tally.py meson BUILD/meson-logs/testlog.json   a gtest counts as its cases
  tally.py junit RESULTS.xml                     what pytest writes

The lines: "failed NAME" and "skipped NAME: REASON".
"""

import json
import re
import sys
import xml.etree.ElementTree

GTEST_TOTAL = re.compile(r"^\[==========\] (\d+) tests? from .* ran\.", re.M)
GTEST_PASSED = re.compile(r"^\[  PASSED  \] (\d+) tests?\.", re.M)
# "S.n (3 ms)", with parameters "I/S.n/0, where GetParam() = 7 (3 ms)".
GTEST_FAILED = re.compile(r"^\[  FAILED  \] (\S+\.[^\s,]+)(?:, where .*)? \(\d+ ms\)", re.M)
GTEST_SKIPPED = re.compile(r"^\[  SKIPPED \] (\S+\.[^\s,]+)(?:, where .*)? \(\d+ ms\)", re.M)
# What GTEST_SKIP() was given stands before the case's own line.
GTEST_REASON = re.compile(r": Skipped\n(.*)")
GOOD = {"OK", "EXPECTEDFAIL"}


def gtest_skips(name, output):
  skips, begin = [], 0
  for case in GTEST_SKIPPED.finditer(output):
    reason = GTEST_REASON.findall(output, begin, case.start())
    skips.append(f"{name} {case.group(1)}: {reason[-1] if reason else 'no reason given'}")
    begin = case.end()
  return skips


def tally_meson(path):
  passed, failed, skips = 0, [], []
  with open(path, encoding="utf-8") as lines:
    for line in lines:
      test = json.loads(line)
      name, result, output = test["name"], test["result"], test.get("stdout") or ""
      if result == "SKIP":
        said = (test.get("stderr") or output).strip().splitlines()
        skips.append(f"{name}: {said[-1] if said else 'no reason given'}")
      elif GTEST_TOTAL.search(output) is None:
        passed += result in GOOD
        failed += [f"{name} ({result})"] * (result not in GOOD)
      else:
        skips += gtest_skips(name, output)
        passed += sum(int(n) for n in GTEST_PASSED.findall(output))
        broken = [f"{name} {case}" for case in GTEST_FAILED.findall(output)]
        # A crash after the last case is a failure of its own.
        failed += broken or [f"{name} ({result})"] * (result not in GOOD)
  return passed, failed, skips


def tally_junit(path):
  # A case whose teardown fails as well is there twice.
  results = {}
  for case in xml.etree.ElementTree.parse(path).iter("testcase"):
    results.setdefault(f"{case.get('classname')}.{case.get('name')}", []).append(case)
  passed, failed, skips = 0, [], []
  for name, cases in results.items():
    skipped = [s for case in cases if (s := case.find("skipped")) is not None]
    if any(case.find(bad) is not None for case in cases for bad in ("failure", "error")):
      failed.append(name)
    elif skipped:
      skips.append(f"{name}: {skipped[0].get('message') or 'no reason given'}")
    else:
      passed += 1
  return passed, failed, skips


def main():
  kind, path = sys.argv[1:3]
  passed, failed, skips = {"meson": tally_meson, "junit": tally_junit}[kind](path)
  print(passed, len(failed), len(skips))
  for name in failed:
    print("failed", name)
  for name in skips:
    print("skipped", " ".join(name.split()))


if __name__ == "__main__":
  main()
