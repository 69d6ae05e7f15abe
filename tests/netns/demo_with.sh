# SPDX-License-Identifier: BSD-3-Clause
# Step 2 of the demo: the same node with godwit. Sourced after the other demo_*.sh.

ctl() { "$ROOT/build/godwitctl" --socket "$STATE/control.sock" "$@"; }

start_godwit() {
  write_config "$WORK/godwit.yaml" 1
  if [ "$UPLINK" = xdp ]; then
    addr node1 up0 $NODE4/25 $NODE6/64
    route node1 default via $GATEWAY4
    route node1 default via $GATEWAY6
  fi
  nsenter --net="/run/netns/$(ns node1)" "$ROOT/build/godwitctl" --socket "$STATE/control.sock" \
    config check "$WORK/godwit.yaml" >/dev/null || fail "config check refuses the demo's config"
  start "$WORK/godwitd.log" nsenter --net="/run/netns/$(ns node1)" \
    "$ROOT/build/godwitd" --config "$WORK/godwit.yaml" --socket "$STATE/control.sock"
  GODWITD_PID=$STARTED_PID
  local tenths=300
  until ctl status >/dev/null 2>&1; do
    kill -0 "$GODWITD_PID" 2>/dev/null || fail "godwitd did not start: $(tail -n 1 "$WORK/godwitd.log")"
    tenths=$((tenths - 1))
    [ "$tenths" -gt 0 ] || fail "godwitd is not ready after 30 s"
    sleep 0.1
  done
}

step_with_godwit() {
  headline "2. with godwit on node1 (uplink $UPLINK:up0)"
  local_namespaces_up
  start_godwit
  start_local_servers
  ctl status
  start_capture near n1 uplink
  UPLINK_CAPTURE=$CAPTURE_PID
  start_capture node2 up0 sibling "(host $ORIGIN4 or host $ORIGIN6) and (net $SERVICE_NET4 or net $SERVICE_NET6)"
  SIBLING_CAPTURE=$CAPTURE_PID
  check_serving
  check_originating
  check_together
}

# expect WHAT COMMAND...: and say so.
expect() {
  local what=$1
  shift
  "$@" || fail "$what"
  say "$what"
}

quietly() { "$@" >/dev/null 2>&1; }

answered() { [ "$(ask host-1.example.com A "$@")" = 203.0.113.2 ]; }

check_serving() {
  local address
  for address in $DNS4 $DNS6; do
    expect "client: dig @$address is answered" answered "$address"
    expect "client: dig +tcp @$address is answered" answered "$address" +tcp
    expect "client: ping $address is answered" \
      quietly in_ns client ping -q -c 2 -i 0.2 -W 2 "$address"
  done
  for address in $WEB4 "[$WEB6]"; do
    expect "client: curl http://$address/ works" fetched client "http://$address/"
    expect "client: curl https://$address/ works" fetched client \
      --connect-to "www.example.com:443:$address:443" https://www.example.com/
  done
  evidence "2 clients" "dig (UDP, TCP), ping, curl (80, 443) answered on IPv4 and IPv6"
}

# origin_saw: the peers in the origin's access log, with their counts.
origin_saw() { cut -d' ' -f1 "$WORK/nginx-origin.access" | sort | uniq -c | sort -rn; }

check_originating() {
  : >"$WORK/nginx-origin.access"
  expect "crawler: curl http://origin4.example.com/ works" fetched crawl0 http://origin4.example.com/
  expect "crawler: curl http://origin6.example.com/ works" fetched crawl0 http://origin6.example.com/
  expect "crawler: also with curl --interface $WEB4" \
    fetched crawl0 --interface $WEB4 http://origin4.example.com/
  expect "crawler: also with curl --interface $WEB6" \
    fetched crawl0 --interface $WEB6 http://origin6.example.com/
  expect "crawler: dig @$DNS4, this node's own service, is answered" \
    quietly in_ns crawl0 dig +short +time=2 +tries=1 @$DNS4 host-1.example.com A
  say "the origin's access log has:"
  origin_saw
  local strangers
  strangers=$(cut -d' ' -f1 "$WORK/nginx-origin.access" | grep -vxc -e $NODE4 -e $NODE6 || true)
  [ "$strangers" = 0 ] || fail "the origin saw $strangers requests from other addresses"
  evidence "2 crawler" "4 of 4 fetches work, 2 of them bound to the anycast address"
}

check_together() {
  DNSPERF_PIDS=()
  start_dnsperf 8 1000 $DNS4 "$WORK/dnsperf2-v4"
  start_dnsperf 8 1000 $DNS6 "$WORK/dnsperf2-v6"
  sleep 1
  : >"$WORK/crawls2"
  crawl_batch 200 "$WORK/crawls2"
  wait_dnsperf
  local crawls failed
  crawls=$(wc -l <"$WORK/crawls2")
  failed=$(failures "$WORK/crawls2")
  say "200 parallel crawls beside dnsperf: $crawls ended, $failed failed"
  [ "$crawls" = 200 ] && [ "$failed" = 0 ] || fail "$failed of $crawls crawls failed, of 200"
  evidence "2 crawls at once" "200 of 200 fetched"
  local strangers
  strangers=$(cut -d' ' -f1 "$WORK/nginx-origin.access" | grep -vxc -e $NODE4 -e $NODE6 || true)
  [ "$strangers" = 0 ] || fail "the origin saw $strangers requests from other addresses"
  evidence "2 origin's access log" "$(origin_saw | awk '{ printf "%s%s x %d", s, $2, $1; s = ", " }')"
  dnsperf_result 2 v4
  dnsperf_result 2 v6
}

wait_dnsperf() {
  local pid
  for pid in "${DNSPERF_PIDS[@]}"; do wait "$pid" || fail "dnsperf ended with $?"; done
}

# dnsperf_result STEP FAMILY: none may be lost.
dnsperf_result() {
  local log=$WORK/dnsperf$1-$2 sent lost
  sent=$(dnsperf_field "$log" "Queries sent")
  lost=$(dnsperf_field "$log" "Queries lost")
  say "dnsperf IP$2: $sent queries, $lost lost"
  evidence "$1 dnsperf, IP$2" "$sent queries, $lost lost"
  [ "${sent:-0}" -gt 0 ] && [ "$lost" = 0 ] && return 0
  # Where they went, by godwit's own account.
  ctl counters --nonzero || true
  ctl --json counters | tr ',' '\n' | grep -E '"[a-z0-9]+\.' | grep -v ': 0' || true
  local host
  for host in client near node1 dns0 dns1; do
    echo "$host: $(ip netns exec "$(ns "$host")" cat /proc/net/snmp | grep ^Udp: | tail -n 1)" || true
  done
  fail "dnsperf IP$2 lost $lost of $sent"
}
