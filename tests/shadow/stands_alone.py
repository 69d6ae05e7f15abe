#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The shadow model shares no header with the product. Usage: stands_alone.py DIR

Prints each #include of DIR/model*.h and DIR/model*.cc that is neither a header
of the system nor one of the model's own. Exit code 1 when there is one, or when
there is no model.
"""

import pathlib
import re
import sys

INCLUDE = re.compile(r"^\s*#\s*include\s*(\S+)", re.M)
OWN = re.compile(r'"tests/shadow/model\w*\.h"')
SYSTEM = re.compile(r"<(?:[a-z_]+|arpa/inet\.h)>")


def main():
    folder = pathlib.Path(sys.argv[1])
    files = sorted(folder.glob("model*.h")) + sorted(folder.glob("model*.cc"))
    bad = [
        f"{file.name}: {include}"
        for file in files
        for include in INCLUDE.findall(file.read_text(encoding="utf-8"))
        if not OWN.fullmatch(include) and not SYSTEM.fullmatch(include)
    ]
    for line in bad:
        print(line)
    return 1 if bad or not files else 0


sys.exit(main())
