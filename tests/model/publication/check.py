#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""publication.pml by Spin: no error in any order, and an error in each of its mutants. Usage: check.py [MODEL]

Spin writes a program that goes through all states; that is compiled and run twice, for what must never be (assertions)
and for what must come at last (ltl, under weak fairness). Needs spin and a C compiler."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

MUTANTS = {"no grace period": 1, "a worker reports while it holds the pointer": 2, "published in two words": 3,
           "a worker that sleeps is waited for": 4, "memory is unmapped while it is read": 5}
SAFETY = (["-DSAFETY", "-DNOCLAIM"], [])
PROGRESS = (["-DNFAIR=6"], ["-a", "-f", "-N", "ends"])


def explore(model, mutant, flags, folder):
  """(errors, states), or what went wrong."""
  compile_flags, run_flags = flags
  def run(*command):
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
  made = run(os.environ.get("SPIN", "spin"), f"-DMUTANT={mutant}", "-a", str(model))
  if made.returncode or "rror" in made.stdout:
    raise SystemExit(f"spin: {made.stdout}{made.stderr}")
  built = run("cc", "-O2", "-w", "-DMEMLIM=2048", *compile_flags, "-o", "pan", "pan.c")
  if built.returncode:
    raise SystemExit(f"cc: {built.stderr}")
  done = run("./pan", "-m1000000", *run_flags)
  errors = re.search(r"errors: (\d+)", done.stdout)
  states = re.search(r"^\s*(\d+) states, stored", done.stdout, re.M)
  if not errors or not states or "max search depth too small" in done.stdout or "out of memory" in done.stdout:
    raise SystemExit(f"pan did not end: {done.stdout}{done.stderr}")
  if flags is PROGRESS and not int(errors.group(1)) and "unreached in claim" not in done.stdout:
    raise SystemExit(f"pan did not look at the claim: {done.stdout}")
  return int(errors.group(1)), int(states.group(1))


def main():
  here = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "publication.pml").resolve()
  failed = 0
  with tempfile.TemporaryDirectory() as folder:
    for name, flags in (("never", SAFETY), ("at last", PROGRESS)):
      errors, states = explore(here, 0, flags, folder)
      print(f"as it is, {name}: {states} states, {errors} errors")
      failed += errors != 0
    for what, mutant in MUTANTS.items():
      found = [explore(here, mutant, flags, folder)[0] for flags in (SAFETY, PROGRESS)]
      print(f"mutant {mutant}, {what}: {'found' if any(found) else 'NOT FOUND'} (never {found[0]}, at last {found[1]})")
      failed += not any(found)
  return 1 if failed else 0


if __name__ == "__main__":
  sys.exit(main())
