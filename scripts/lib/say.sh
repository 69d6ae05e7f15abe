# SPDX-License-Identifier: BSD-3-Clause
# How the scripts talk: progress on stdout, the one line of a failure on stderr.

# say TEXT...: one line of progress.
say() { printf '%s\n' "$*"; }

# headline TEXT...: a step begins; the time tells where the minutes went.
headline() { printf '\n== %s  [%(%H:%M:%S)T]\n' "$*" -1; }

# die TEXT...: the one line that says what is missing, then the end.
die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}
