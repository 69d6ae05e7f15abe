# SPDX-License-Identifier: BSD-3-Clause
# What the demo's clients do, and the captures. Sourced after topology.sh.

# Names stand for addresses, since curl's [1-200] and IPv6 brackets don't mix.
CURL_NAMES=(
  --resolve "origin4.example.com:80:$ORIGIN4" --resolve "origin6.example.com:80:[$ORIGIN6]"
  --resolve "www4.example.com:80:$WEB4" --resolve "www6.example.com:80:[$WEB6]"
  --resolve "www4.example.com:8080:$WEB4" --resolve "www6.example.com:8080:[$WEB6]"
  --resolve "www.example.com:443:$WEB4,[$WEB6]"
)

# fetch NS CURL_ARG...: one line "EXITCODE HTTP_CODE" for each transfer.
fetch() {
  local name=$1
  shift
  in_ns "$name" curl -sS --no-progress-meter --cacert "$WORK/cert.pem" "${CURL_NAMES[@]}" \
    -o /dev/null -w '%{exitcode} %{http_code}\n' "$@" 2>>"$WORK/curl.errors"
}

# fetched NS URL [CURL_ARG...]: one transfer that must succeed.
fetched() { [ "$(fetch "$1" --max-time 10 "${@:2}")" = "0 200" ]; }

# crawl_batch COUNT FILE: COUNT crawls at once, half of them over IPv6; a line
# for each into FILE.
crawl_batch() {
  local half=$(($1 / 2))
  fetch crawl0 --max-time 30 -Z --parallel-immediate --parallel-max "$1" \
    "http://origin4.example.com/page?[1-$half]" \
    -o /dev/null "http://origin6.example.com/page?[1-$half]" >>"$2" || true
}

# crawl_while FILE OUT: batch after batch as long as FILE is there.
crawl_while() {
  while [ -e "$1" ]; do crawl_batch 50 "$2"; done
}

# browse_while FILE OUT: the clients' side, new connections all the time.
browse_while() {
  while [ -e "$1" ]; do
    fetch client --max-time 10 "http://www4.example.com/" >>"$2" || true
    fetch client --max-time 10 "http://www6.example.com/" >>"$2" || true
    fetch client --max-time 10 "https://www.example.com/" >>"$2" || true
  done
}

# failures FILE: transfers that did not end with "0 200".
failures() { grep -vc '^0 200$' "$1" || true; }

# ask NAME TYPE SERVER [DIG_ARG...]: the client's question, the short answer.
ask() {
  in_ns client dig +short +time=2 +tries=1 "@$3" "$1" "$2" "${@:4}" 2>/dev/null
}

# who_answers SERVER COUNT: how many answers came from which nsd.
who_answers() {
  local i
  for ((i = 0; i < $2; ++i)); do ask id.server TXT "$1" -c CH; done | sort | uniq -c
}

# start_dnsperf SECONDS RATE SERVER LOG
start_dnsperf() {
  start "$4" nsenter --net="/run/netns/$(ns client)" \
    dnsperf -s "$3" -d "$WORK/queries" -l "$1" -Q "$2" -c 20 -t 2
  DNSPERF_PIDS+=("$STARTED_PID")
}

# dnsperf_field LOG LABEL: the number after "LABEL:".
dnsperf_field() { sed -n "s/^ *$2: *\([0-9]*\).*/\1/p" "$1"; }

# start_capture NS IFNAME NAME [FILTER]: every frame's first bytes, both ways.
start_capture() {
  start "$WORK/$3.tcpdump" nsenter --net="/run/netns/$(ns "$1")" \
    tcpdump -Z root -n -i "$2" -s 160 -B 65536 --immediate-mode -U -w "$WORK/$3.pcap" ${4:+"$4"}
  CAPTURE_PID=$STARTED_PID
  wait_for 10 "tcpdump on $2" grep -q 'listening on' "$WORK/$3.tcpdump"
}

# stop_capture PID NAME: a capture with holes proves nothing.
stop_capture() {
  sleep 0.3
  stop_started "$1"
  grep -q '^0 packets dropped by kernel' "$WORK/$2.tcpdump" ||
    fail "tcpdump lost frames of $2: $(grep dropped "$WORK/$2.tcpdump")"
}

# shown NAME FILTER: the first frame of a capture that matches, as text.
shown() { tcpdump -n -t -r "$WORK/$1.pcap" -c 1 "$2" 2>/dev/null; }

# check_uplink NAME: the independent judge over the capture NAME of node1's
# uplink; its verdict as JSON in NAME.json. Fails when a frame is wrong.
check_uplink() {
  "$ROOT/tests/netns/check_capture.py" "$WORK/$1.pcap" --json \
    --router-mac "$(ip -n "$(ns near)" -j link show n1 | jq -r ".[0].address")" \
    --unicast $NODE4 $NODE6 --service $DNS4 $DNS6 $WEB4 $WEB6 >"$WORK/$1.json"
}
