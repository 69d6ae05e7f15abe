#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The rules of the house that a script can see. Usage: tidy.py [ROOT]

Prints one line for each breach, FILE:LINE: what; exit code 1 when there is one.
"""

import pathlib
import re
import shutil
import subprocess
import sys

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 70
MAX_UNITS = 12  # a room has one idea; an x.h/x.cc pair is one unit
# Rooms whose walls would cut calls in both directions; their READMEs say why.
LARGER_ROOMS = {"dataplane/stage": 25, "control/server": 14}

SPDX_SUFFIXES = {".h", ".cc", ".c", ".py", ".sh", ".proto", ".lua", ".build"}
LENGTH_SUFFIXES = {".h", ".cc", ".c", ".py", ".sh", ".proto", ".lua"}
CODE_SUFFIXES = {".h", ".cc", ".c"}
BPF_LICENSE = "GPL-2.0"

# Left never includes right.
DATAPLANE_ORDER = ["net", "table", "snapshot", "flow", "stage", "worker"]
EAL_ROOMS = {"dataplane/device", "dataplane/stage", "dataplane/worker"}
EAL_FILES = {"dataplane/snapshot/publisher.h", "dataplane/snapshot/publisher.cc"}
ABSL_ROOMS = ("dataplane/device", "control", "bpf", "tests", "bench")
UNNAMED_IDEAS = {"common", "util", "utils", "misc", "helper", "helpers", "manager", "managers"}
MADE = re.compile(r"^(build|bench-results)|(^|/)(\.git|\.cache|__pycache__|\.pytest_cache)(/|$)")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
# A variable or parameter that is called just that.
BARE_WORD = re.compile(r"\b(?:auto|int|size_t|uint(?:8|16|32|64)_t|Be16|Be32)[&*]?\s+(port|queue)\b(?!\()")
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')
FUNCTION_START = re.compile(r"^(\s*)(?!namespace|class|struct|enum|union|extern|if|for|while|switch|do|else|return|\}|//)"
                            r"\S.*\)[^;{}]*\{$")
CONTINUED_START = re.compile(r"^(\s+)\S.*\)[^;{}]*\{$")


def tracked_files(root):
    """What git knows or would take; without git, all but what is made."""
    names = []
    if shutil.which("git"):
        listed = subprocess.run(["git", "-C", root, "ls-files", "-z", "--cached", "--others",
                                 "--exclude-standard"], capture_output=True, check=False)
        names = [name for name in listed.stdout.decode().split("\0") if name]
    if not names:
        names = [str(path.relative_to(root)) for path in root.rglob("*")
                 if not MADE.search(str(path.relative_to(root)))]
    return sorted(name for name in names if (root / name).is_file())


def without_comments(text):
    """Comments and string literals blanked, line structure kept."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), text)


def is_script(path, text):
    return path.suffix == "" and text.startswith("#!")


def check_head(path, text):
    lines = text.splitlines()[:3]
    if not any("SPDX-License-Identifier: BSD-3-Clause" in line
               or "SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0" in line
               or ("SPDX-License-Identifier:" in line and BPF_LICENSE in line) for line in lines):
        yield 1, "no SPDX line"


def check_length(path, text):
    lines = text.count("\n")
    if lines > MAX_FILE_LINES:
        yield lines, f"{lines} lines, {MAX_FILE_LINES} are allowed"


def check_unfinished(path, text):
    for number, line in enumerate(text.splitlines(), 1):
        found = UNFINISHED.search(line)
        if found and path.name != "tidy.py":
            yield number, f"{found.group(1)}: finish it or leave it out"


def function_starts(lines):
    """(line index of the signature, of its brace, indent) by layout alone."""
    for index, line in enumerate(lines):
        match = FUNCTION_START.match(line)
        balance = line.count("(") - line.count(")")
        if match and balance == 0:
            yield index, index, match.group(1)
        elif balance < 0 and CONTINUED_START.match(line):
            # The end of a signature of several lines: its first line is the
            # nearest one above that is indented less than the continuation.
            top = index
            while top > 0 and lines[top - 1].strip() and not lines[top - 1].rstrip().endswith((";", "{", "}")):
                top -= 1
            indent = re.match(r"\s*", lines[top]).group(0)
            if top < index and FUNCTION_START.match(f"{indent}x() {{"):
                yield top, index, indent


def check_functions(path, text):
    lines = without_comments(text).splitlines()
    seen = set()
    for top, brace, indent in function_starts(lines):
        # A constructor's initializers are laid out like a signature.
        if brace in seen or len(indent) > 4 or lines[top].lstrip().startswith(":"):
            continue
        seen.add(brace)
        for end in range(brace + 1, len(lines)):
            if lines[end].startswith(indent + "}") and not lines[end].startswith(indent + " "):
                length = end - top + 1
                if length > MAX_FUNCTION_LINES:
                    yield top + 1, f"a function of {length} lines, {MAX_FUNCTION_LINES} are allowed"
                break


def check_words(path, text):
    for number, line in enumerate(without_comments(text).splitlines(), 1):
        found = BARE_WORD.search(line)
        if found:
            yield number, f'bare "{found.group(1)}": say eth_port or l4port, rxq, txq or service queue'


def room_of(name):
    return "/".join(name.split("/")[:2])


def check_includes(path, text):
    name = str(path)
    for number, line in enumerate(text.splitlines(), 1):
        found = INCLUDE.match(line)
        if found:
            for breach in include_breaches(name, found.group(2), found.group(1) == "<"):
                yield number, breach


def include_breaches(name, target, is_system):
    top, room = name.split("/")[0], room_of(name)
    if target.startswith("rte_"):
        if top == "dataplane" and room not in EAL_ROOMS and name not in EAL_FILES:
            yield f"<{target}>: rte_* belongs to device, stage, worker and publisher"
        return
    if target.startswith("absl/") and not name.startswith(ABSL_ROOMS):
        yield f"{target}: Abseil belongs to device, control, bpf and tests"
    if is_system:
        return
    target_top, target_room = target.split("/")[0], room_of(target)
    if top == "dataplane" and target_top == "control":
        yield f"{target}: dataplane never includes control"
    if target_top == "bench" and top != "bench":
        yield f"{target}: nothing includes bench"
    if target_top == "tests" and top != "tests" and not (top == "bench" and target.startswith("tests/support")):
        yield f"{target}: nothing includes tests"
    if top == "dataplane" and target_top == "dataplane":
        yield from order_breaches(room, target, target_room)
    if room == "control/cli" and target_top in ("dataplane", "control", "bpf") and target_room not in (
            "control/cli", "control/api", "control/intent", "control/ownership"):
        yield f"{target}: cli includes api, intent and ownership alone"


def order_breaches(room, target, target_room):
    here, there = room.split("/")[1], target_room.split("/")[1]
    if here == "device":
        if there not in ("net", "device"):
            yield f"{target}: device includes net alone"
    elif there == "device":
        if here not in ("stage", "worker"):
            yield f"{target}: only stage and worker include device"
    elif here in DATAPLANE_ORDER and there in DATAPLANE_ORDER:
        if DATAPLANE_ORDER.index(there) > DATAPLANE_ORDER.index(here):
            yield f"{target}: {here} comes before {there}"


def check_rooms(files):
    rooms = {}
    for name in files:
        path = pathlib.PurePath(name)
        if path.suffix in CODE_SUFFIXES and path.parts[0] in ("dataplane", "control"):
            rooms.setdefault(str(path.parent), set()).add(path.stem)
    for room, units in sorted(rooms.items()):
        allowed = LARGER_ROOMS.get(room, MAX_UNITS)
        if len(units) > allowed:
            yield f"{room}:1: {len(units)} units, {allowed} are allowed in a room"


def check_name(path):
    for part in (*path.parts[:-1], path.stem):
        if part.lower() in UNNAMED_IDEAS:
            yield 1, f'"{part}" names no idea'


def breaches_of(root, name):
    path = pathlib.PurePath(name)
    yield from check_name(path)
    try:
        text = (root / name).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return  # a fuzzer's input
    script = is_script(path, text)
    if path.suffix in SPDX_SUFFIXES or path.name == "meson.build" or script:
        yield from check_head(path, text)
        yield from check_unfinished(path, text)
    if path.suffix in LENGTH_SUFFIXES or script:
        yield from check_length(path, text)
    if path.suffix in CODE_SUFFIXES:
        yield from check_functions(path, text)
        yield from check_words(path, text)
        yield from check_includes(path, text)


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    files = tracked_files(root)
    found = [f"{name}:{line}: {what}" for name in files for line, what in breaches_of(root, name)]
    found += check_rooms(files)
    print("\n".join(found + [f"{len(found)} breaches in {len(files)} files"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
