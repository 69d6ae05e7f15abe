# SPDX-License-Identifier: BSD-3-Clause
# Step 1 of the demo: node1 is a plain Linux router. Serving works; a crawler
# that has only the anycast address can't fetch anything, because the answers
# go home to the sibling. Sourced after the other demo_*.sh.

step_without_godwit() {
  headline "1. without godwit: plain routing on node1"
  local_namespaces_up
  plain_node1_up
  start_local_servers
  start_capture near n1 plain-node1 "host $ORIGIN4 or host $ORIGIN6"
  local node1_capture=$CAPTURE_PID
  start_capture node2 up0 plain-sibling "host $ORIGIN4 or host $ORIGIN6"
  local sibling_capture=$CAPTURE_PID

  [ "$(ask host-1.example.com A $DNS4)" = 203.0.113.2 ] ||
    fail "plain routing: dig from the client is not answered by node1"
  say "client: dig @$DNS4 is answered: to serve, plain routing is enough"
  plain_crawl 4 origin4.example.com
  plain_crawl 6 origin6.example.com

  stop_capture "$node1_capture" plain-node1
  stop_capture "$sibling_capture" plain-sibling
  # The judge of step 2 must see what is wrong here, or its word is worth nothing.
  if check_uplink plain-node1; then fail "plain routing: the capture checker finds nothing wrong"; fi
  plain_evidence 4 $WEB4 $ORIGIN4 'tcp[tcpflags] & (tcp-syn|tcp-ack)'
  # tcpdump's tcp[] is IPv4 only; behind an IPv6 header the flags are byte 53.
  plain_evidence 6 $WEB6 $ORIGIN6 'ip6[53] & 0x12'
  evidence "1 plain routing, capture check" \
    "$(jq -r '"\(.wrong) of \(.sent) frames with a wrong source"' "$WORK/plain-node1.json")"
  drop_local_servers
}

# plain_crawl FAMILY HOST: must fail, and curl says how.
plain_crawl() {
  local code
  code=$(fetch crawl0 --connect-timeout 3 "http://$2/") && fail "plain routing: the crawl of $2 works"
  code=${code%% *}
  say "crawler: curl http://$2/ fails: exit code $code"
  evidence "1 plain routing, IPv$1" "curl exits $code (timed out)"
  [ "$code" = 28 ] || fail "plain routing: curl was to time out (28), not $code"
}

# plain_evidence FAMILY SERVICE ORIGIN FLAGS: the SYN that left with the anycast
# address, and where its answer went.
plain_evidence() {
  local syn answer
  syn=$(shown plain-node1 "src host $2 and dst host $3 and $4 = 2")
  answer=$(shown plain-sibling "src host $3 and dst host $2 and $4 = 18")
  [ -n "$syn" ] || fail "plain routing: no SYN from $2 left node1"
  [ -n "$answer" ] || fail "plain routing: the sibling got no SYN-ACK for $2"
  [ -z "$(shown plain-node1 "src host $3 and dst host $2")" ] ||
    fail "plain routing: an answer of the origin reached node1"
  say "leaves node1:     ${syn%%, seq*}"
  say "reaches sibling:  ${answer%%, seq*}"
  evidence "1 plain routing, IPv$1" "SYN leaves from $2, SYN-ACK lands on the sibling"
}

# Everything of node1's side goes, so that step 2 starts from an empty node.
drop_local_servers() {
  plain_node1_down
  local_namespaces_down
}
