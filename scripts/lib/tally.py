#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Counts test results and prints "PASSED FAILED SKIPPED", then the failed names.

  tally.py meson BUILD/meson-logs/testlog.json   a gtest counts as its cases
  tally.py junit RESULTS.xml                     what pytest writes
"""

import json
import re
import sys
import xml.etree.ElementTree

GTEST_TOTAL = re.compile(r"^\[==========\] (\d+) tests? from .* ran\.", re.M)
GTEST_PASSED = re.compile(r"^\[  PASSED  \] (\d+) tests?\.", re.M)
GTEST_SKIPPED = re.compile(r"^\[  SKIPPED \] (\d+) tests?,", re.M)
GTEST_FAILED = re.compile(r"^\[  FAILED  \] (\S+\.\S+) \(\d+ ms\)", re.M)
GOOD = {"OK", "EXPECTEDFAIL"}


def tally_meson(path):
    passed, failed, skipped, names = 0, 0, 0, []
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            test = json.loads(line)
            output = test.get("stdout") or ""
            cases = GTEST_TOTAL.search(output)
            broken = GTEST_FAILED.findall(output)
            if test["result"] == "SKIP":
                skipped += 1
            elif cases is None:
                passed += test["result"] in GOOD
                failed += test["result"] not in GOOD
            else:
                left_out = GTEST_SKIPPED.search(output)
                skipped += int(left_out.group(1)) if left_out else 0
                right = GTEST_PASSED.search(output)
                passed += int(right.group(1)) if right else 0
                failed += len(broken)
            if test["result"] not in GOOD | {"SKIP"}:
                # A crash after the last case is a failure of its own.
                failed += cases is not None and not broken
                names.append(f"{test['name']} ({test['result']}) {' '.join(broken)}".rstrip())
    return passed, failed, skipped, names


def tally_junit(path):
    passed, failed, skipped, names = 0, 0, 0, []
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
            names.append(f"{case.get('classname')}.{case.get('name')}")
        elif case.find("skipped") is not None:
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped, names


def main():
    kind, path = sys.argv[1:3]
    tally = {"meson": tally_meson, "junit": tally_junit}[kind]
    passed, failed, skipped, names = tally(path)
    print(passed, failed, skipped)
    for name in names:
        print(name)


if __name__ == "__main__":
    main()
