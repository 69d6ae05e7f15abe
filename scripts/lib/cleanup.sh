# SPDX-License-Identifier: BSD-3-Clause
# Undo on every way out. Each thing that a script makes is followed by a
# `defer` of its opposite; they run newest first when the script ends, also on
# Ctrl-C, on TERM and after a failed command. Needs say.sh.

CLEANUP_STACK=()
# With a file here, what is deferred is also written down, so that a later run
# can undo what a killed one (SIGKILL) or `--keep` has left behind.
CLEANUP_JOURNAL=${CLEANUP_JOURNAL:-}

# defer COMMAND [ARG...]: run it at the end. Must be harmless when repeated.
defer() {
  local line
  printf -v line '%q ' "$@"
  CLEANUP_STACK+=("$line")
  if [ -n "$CLEANUP_JOURNAL" ]; then printf '%s\n' "$line" >>"$CLEANUP_JOURNAL"; fi
}

# run_deferred: everything that was deferred, newest first; then the journal goes.
run_deferred() {
  local i
  set +e
  for ((i = ${#CLEANUP_STACK[@]} - 1; i >= 0; --i)); do eval "${CLEANUP_STACK[i]}"; done
  CLEANUP_STACK=()
  [ -z "$CLEANUP_JOURNAL" ] || rm -f "$CLEANUP_JOURNAL"
}

# undo_journal: what an earlier run left behind, newest first.
undo_journal() {
  [ -s "$CLEANUP_JOURNAL" ] || return 0
  local lines=()
  mapfile -t lines <"$CLEANUP_JOURNAL"
  CLEANUP_STACK=("${lines[@]}")
  run_deferred
  mkdir -p "$(dirname "$CLEANUP_JOURNAL")"
  set -e
}

# The shell's own exit status survives the cleanup. A second Ctrl-C during the
# cleanup is ignored: half a cleanup is worse than a wait of two seconds.
on_exit() {
  local status=$?
  trap '' INT TERM HUP
  run_deferred
  exit "$status"
}

install_cleanup_traps() {
  trap on_exit EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

# process_start PID: its start time in clock ticks, which with the pid names a
# process for good; nothing when it is gone.
process_start() {
  sed -e 's/^.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20
}

# stop_process PID START [SECONDS]: TERM, then KILL when it is still there.
# Does nothing when the pid has become someone else's.
stop_process() {
  local pid=$1 start=$2 tenths=$((${3:-5} * 10))
  [ -n "$start" ] && [ "$(process_start "$pid")" = "$start" ] || return 0
  kill -TERM "$pid" 2>/dev/null
  while [ "$tenths" -gt 0 ] && process_runs "$pid" "$start"; do
    sleep 0.1
    tenths=$((tenths - 1))
  done
  if process_runs "$pid" "$start"; then kill -KILL "$pid" 2>/dev/null; fi
  wait "$pid" 2>/dev/null || true
}

# process_runs PID START: a zombie does not.
process_runs() {
  [ "$(process_start "$1")" = "$2" ] && ! grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null
}

# start LOG COMMAND...: in the background, in a session of its own so that a
# Ctrl-C reaches only the script; stopped at the end. Its pid is in STARTED_PID.
# Descriptor 9 is a script's lock, which what outlives the script must not hold.
start() {
  local log=$1
  shift
  setsid "$@" >"$log" 2>&1 </dev/null 9>&- &
  STARTED_PID=$!
  defer stop_process "$STARTED_PID" "$(process_start "$STARTED_PID")"
}

# stop_started PID: before its time; the deferred stop then finds nothing.
stop_started() { stop_process "$1" "$(process_start "$1")" "${2:-5}"; }

# make_netns NAME: a namespace with its loopback up, removed at the end.
make_netns() {
  defer drop_netns "$1"
  ip netns add "$1"
  ip -n "$1" link set lo up
}

# drop_netns NAME: and the processes that are still inside, by pid.
drop_netns() {
  [ -e "/run/netns/$1" ] || return 0
  local pid
  for pid in $(ip netns pids "$1"); do stop_process "$pid" "$(process_start "$pid")" 2; done
  ip netns del "$1"
}
