#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""docs/rfc-compliance.md against the tests. Usage: rfc_table.py [ROOT]

A row is named by a pytest function (test_ANY_07_...) or anywhere in a *_test.cc
(ANY-07, or Any07 in a test's name). Prints one line for each row that is named
and not in the table with that file, or in the table and not named there; rows
marked * are held without a name and need only their files. Rows without a test
are no M rows, one in ten of the S rows at most, and each with its reason; no
number is left out. Exit code 1 when there is one.
"""

import collections
import pathlib
import re
import sys

PREFIXES = "ANY|MAP|HPN|FLT|TMR|TCP|UDP|CHK|ICE|ICQ|FRG|IPH|V6|OTH|L2|EXH|LOG|CFG|MBF"
PYTEST = re.compile(r"^\s*def (test_\w+)", re.M)
IN_NAME = re.compile(rf"(?<![A-Z0-9])({PREFIXES})_(\d\d)(?!\d)")
IN_TEXT = re.compile(rf"\b({PREFIXES})-(\d\d)\b")
GTEST = re.compile(r"^TEST\w*\(\s*\w+,\s*(\w+)", re.M)
IN_GTEST = re.compile(rf"({'|'.join(p.capitalize() for p in PREFIXES.split('|'))})(\d\d)(?!\d)")
ROW = re.compile(rf"^\| ((?:{PREFIXES})-\d\d)( \*)? \| ([MSY])\b.*\| ([^|]*) \|$", re.M)


def rows_in(path):
    """The rows that the tests of one file name."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        found = [row for name in PYTEST.findall(text) for row in IN_NAME.findall(name)]
    else:
        found = IN_TEXT.findall(text)
        found += [row for name in GTEST.findall(text) for row in IN_GTEST.findall(name)]
    return {f"{prefix.upper()}-{number}" for prefix, number in found}


def named(tests):
    """Row -> the files under tests/ that name it."""
    files = collections.defaultdict(set)
    paths = list(tests.rglob("test_*.py")) + list(tests.rglob("*_test.cc"))
    for path in paths:
        for row in rows_in(path):
            files[row].add(str(path.relative_to(tests)))
    return files


def breaches(root):
    tests = root / "tests"
    files = named(tests)
    with_test, without = (root / "docs/rfc-compliance.md").read_text(encoding="utf-8").split("\n## Rows without")
    seen = set()
    for line in with_test.splitlines():
        row = ROW.match(line)
        if not row:
            continue
        name, unnamed, _, cell = row.groups()
        seen.add(name)
        listed = {part.split(" (")[0].strip() for part in cell.split(",")}
        for file in sorted(listed):
            if not (tests / file).exists():
                yield f"{name}: {file} is not there"
            elif not unnamed and file not in files[name]:
                yield f"{name}: {file} does not name it"
        for file in sorted(files[name] - listed):
            yield f"{name}: {file} names it and is not listed"
    for name in sorted(set(files) - seen):
        yield f"{name}: named by {', '.join(sorted(files[name]))} and not among the rows with a test"
    yield from waived(ROW.findall(with_test), ROW.findall(without))


def waived(with_test, without):
    """What is wrong with the rows that have no test, or are not there."""
    for name, _, level, reason in without:
        if level == "M":
            yield f"{name}: an M row without a test"
        if reason.strip() in ("", "-"):
            yield f"{name}: without a test and without a reason"
    all_s = [name for name, _, level, _ in with_test + without if level == "S"]
    waived_s = [name for name, _, level, _ in without if level == "S"]
    if len(waived_s) * 10 > len(all_s):
        yield f"{', '.join(waived_s)}: {len(waived_s)} of {len(all_s)} S rows are waived, more than one in ten"
    names = {name for name, *_ in with_test + without}
    for prefix in PREFIXES.split("|"):
        last = max((int(name[-2:]) for name in names if name.startswith(f"{prefix}-")), default=0)
        for number in range(1, last + 1):
            if f"{prefix}-{number:02}" not in names:
                yield f"{prefix}-{number:02}: is not there"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2])
    found = list(breaches(root))
    print("\n".join(found) if found else "rfc-compliance.md agrees with the tests")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
