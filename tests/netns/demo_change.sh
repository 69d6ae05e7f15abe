# SPDX-License-Identifier: BSD-3-Clause
# Step 3 of the demo: the node is changed while it carries load, and nobody
# notices. Then the sums. Sourced after the other demo_*.sh.

step_changes() {
  headline "3. changes under load"
  start_load
  sleep 2
  add_service
  drain_queue
  apply_file
  wait_dnsperf
  stop_load
  dnsperf_result 3 v4
  dnsperf_result 3 v6
  transfers_result crawls "crawler's fetches"
  transfers_result visits "clients' fetches"
  check_captures
  check_counters
}

# start_in_shell FUNCTION ARG...: like `start`, for a function of ours.
start_in_shell() {
  ("$@") 9>&- &
  STARTED_PID=$!
  defer stop_process "$STARTED_PID" "$(process_start "$STARTED_PID")"
}

start_load() {
  DNSPERF_PIDS=()
  start_dnsperf 20 1000 $DNS4 "$WORK/dnsperf3-v4"
  start_dnsperf 20 1000 $DNS6 "$WORK/dnsperf3-v6"
  LOAD=$WORK/load
  : >"$LOAD"
  : >"$WORK/crawls"
  : >"$WORK/visits"
  start_in_shell crawl_while "$LOAD" "$WORK/crawls"
  CRAWL_PID=$STARTED_PID
  start_in_shell browse_while "$LOAD" "$WORK/visits"
  BROWSE_PID=$STARTED_PID
  defer rm -f "$LOAD"
  say "load: dnsperf over IPv4 and IPv6, 50 crawls at a time, clients' visits"
}

# Nothing is cut off: what has begun ends, and counts.
stop_load() {
  rm -f "$LOAD"
  wait "$CRAWL_PID" "$BROWSE_PID"
}

# change COMMAND...: one transaction, and the reply.
change() {
  say "\$ godwitctl $*"
  ctl "$@" || fail "godwitctl $* is refused"
}

add_service() {
  local before
  before=$(fetch client --max-time 5 http://www4.example.com:8080/) || true
  [ "${before%% *}" = 7 ] || fail "8080 was to be refused (curl exit 7), not ${before%% *}"
  change service set status "--addresses=$WEB4,$WEB6" --ports=tcp/8080 --queues=web0
  expect "client: http://$WEB4:8080/ works now" fetched client http://www4.example.com:8080/
  expect "client: http://[$WEB6]:8080/ works now" fetched client http://www6.example.com:8080/
  evidence "3 service set" "8080 refused before (curl exit 7), answered after"
}

# answering SERVER: which nsd answer 40 new questions, as "dns0 dns1".
answering() { who_answers "$1" 40 | tr -d '"' | awk '{ printf "%s%s", s, $2; s = " " }'; }

drain_queue() {
  local before after
  before=$(answering $DNS4)
  change queue drain dns1
  after=$(answering $DNS4)
  say "40 new questions are answered by: $before; after the drain: $after"
  [ "$before" = "dns0 dns1" ] || fail "before the drain dns0 and dns1 were to answer, not: $before"
  [ "$after" = dns0 ] || fail "after the drain only dns0 was to answer, not: $after"
  change queue undrain dns1
  evidence "3 queue drain" "new flows: $before before, $after after"
}

apply_file() {
  write_config "$WORK/godwit-3.yaml" 3
  say "\$ godwitctl config diff godwit-3.yaml"
  ctl config diff "$WORK/godwit-3.yaml" || fail "config diff is refused"
  change config apply "$WORK/godwit-3.yaml"
  local now
  now=$(answering $DNS6)
  [ "$now" = "dns0 dns1" ] || fail "after the apply dns0 and dns1 were to answer, not: $now"
  evidence "3 config apply" "weights 1:1 -> 1:3, generation $(ctl --json status | jq -r .generation)"
}

transfers_result() {
  local all failed
  all=$(wc -l <"$WORK/$1")
  failed=$(failures "$WORK/$1")
  say "$2: $all, $failed failed"
  evidence "3 $2" "$all, $failed failed"
  [ "$all" -gt 0 ] && [ "$failed" = 0 ] || fail "$failed of $all $2 failed"
}

check_captures() {
  stop_capture "$UPLINK_CAPTURE" uplink
  stop_capture "$SIBLING_CAPTURE" sibling
  check_uplink uplink || {
    jq . "$WORK/uplink.json"
    fail "frames with a wrong source left node1"
  }
  local astray
  astray=$(tcpdump -n -r "$WORK/sibling.pcap" 2>/dev/null | wc -l)
  [ "$astray" = 0 ] || fail "$astray frames of the origin reached the sibling"
  evidence "2+3 capture check" "$(jq -r '"\(.wrong) of \(.sent) frames with a wrong source"' "$WORK/uplink.json")"
  evidence "2+3 sibling" "$astray frames of the origin astray"
  say "frames that node1 has sent, by source:"
  jq -r '.sources | to_entries | sort_by(-.value)[] | "  \(.value)\t\(.key)"' "$WORK/uplink.json"
}

# The contract's rule 7, asked of the running node.
check_counters() {
  ctl --json counters >"$WORK/counters.json"
  local sums='(.received + .generated) as $in
    | (.delivered + .sent + .punted + .consumed + .held + ([.dropped[]] | add // 0)) as $out'
  jq -e "$sums | \$in == \$out" "$WORK/counters.json" >/dev/null ||
    fail "counters don't add up: $(jq -c . "$WORK/counters.json")"
  evidence "counters" "$(jq -r '"received \(.received) + generated \(.generated) ="' "$WORK/counters.json")"
  evidence "" "$(jq -r '"delivered \(.delivered) + sent \(.sent) + punted \(.punted) + consumed \(.consumed)"' "$WORK/counters.json")"
  evidence "" "$(jq -r '"+ held \(.held) + dropped \([.dropped[]] | add // 0)"' "$WORK/counters.json")"
  evidence "leaks prevented" "$(jq -r '.dropped.leak_prevented // 0' "$WORK/counters.json")"
}
