#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Pktgen-DPDK on both sides of a godwitd, in namespaces of its own, without a
# NIC. See usage; docs/benchmarks.md says how to do the same with one.
#
#   far                                    node
#   +------------------+                   +---------------------------------+
#   | pktgen  port 0   | up0 =veth= up0    | godwitd  afpacket:up0  (uplink) |
#   |         port 1   | qu0 =veth= qu0    |          afpacket:qu0  (queue)  |
#   +------------------+                   +---------------------------------+
#     CPU 0, or the last but one             the last CPU
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
for part in say preflight cleanup hugepages; do . "$ROOT/scripts/lib/$part.sh"; done

usage() {
  cat <<TEXT
usage: bench/pktgen/topology.sh --pktgen FILE [--programs DIR] [--seconds N] [SCRIPT.lua...]

  --pktgen FILE   the program, built elsewhere: docs/benchmarks.md
  --programs DIR  where godwitd and godwitctl are; default build/
  --seconds N     how long each trial sends; default 5
  SCRIPT.lua      default: all of bench/pktgen/
TEXT
}

PKTGEN='' PROGRAMS=$ROOT/build SECONDS_EACH=5 SCRIPTS=()
NS=gwpk$$
SERVICE4=192.0.2.53 SERVICE6=2001:db8:53::53
UNICAST4=198.51.100.7 UNICAST6=2001:db8:7::7
GATEWAY4=198.51.100.1 GATEWAY6=2001:db8:7::1
# Pktgen's buffers: 1.25 GiB a port; godwitd's come on top.
HUGEPAGES_MIB=3600

parse_arguments() {
  while [ $# -gt 0 ]; do
    case $1 in
      --pktgen | --programs | --seconds)
        [ $# -ge 2 ] || { usage >&2; exit 2; }
        case $1 in
          --pktgen) PKTGEN=$(realpath "$2") ;;
          --programs) PROGRAMS=$(realpath "$2") ;;
          --seconds) SECONDS_EACH=$2 ;;
        esac
        shift
        ;;
      *.lua)
        [ -r "$1" ] || die "cannot read $1"
        SCRIPTS+=("$(realpath "$1")")
        ;;
      -h | --help) usage; exit 0 ;;
      *) usage >&2; exit 2 ;;
    esac
    shift
  done
  [ -x "$PKTGEN" ] || die "Pktgen-DPDK is missing: --pktgen FILE (docs/benchmarks.md says how to build it)"
  if [ ${#SCRIPTS[@]} -eq 0 ]; then SCRIPTS=("$HERE"/[a-qs-z]*.lua); fi
}

inside() { nsenter --net="/run/netns/$NS-$1" "${@:2}"; }
ctl() { "$PROGRAMS/godwitctl" --socket "$WORK/control.sock" "$@"; }
mac_of() { ip -n "$NS-$1" -br link show dev "$2" | awk '{ print $3 }'; }

make_links() {
  local end side
  make_netns "$NS-far"
  make_netns "$NS-node"
  for end in up0 qu0; do
    ip -n "$NS-far" link add $end type veth peer name $end netns "$NS-node"
    for side in far node; do
      ip -n "$NS-$side" link set $end up
      # Full checksums in every frame that a kernel sends.
      inside $side ethtool -K $end tx off >/dev/null 2>&1 || true
    done
  done
  inside node sysctl -qw net.ipv6.conf.qu0.disable_ipv6=1
}

start_godwitd() {
  cat >"$WORK/godwit.yaml" <<YAML
version: 1
node: {name: pktgen, unicast: [$UNICAST4, "$UNICAST6"]}
dataplane: {cpus: [$WORKER_CPU], workers: 1, idle: poll, max_flows: 1048576}
uplinks:
  - name: wan0
    device: "afpacket:up0"
    kernel: gw0
    addresses: [$UNICAST4/24, "$UNICAST6/64"]
    gateway: [$GATEWAY4, "$GATEWAY6"]
queues: [{name: q0, device: "afpacket:qu0"}]
services:
  - {name: dns, addresses: [$SERVICE4, "$SERVICE6"], ports: [udp/53, tcp/53], queues: [q0]}
YAML
  start "$WORK/godwitd.log" nsenter --net="/run/netns/$NS-node" "$PROGRAMS/godwitd" \
    --config "$WORK/godwit.yaml" --socket "$WORK/control.sock"
  local tries
  for ((tries = 0; tries < 100; ++tries)); do
    if ctl status >/dev/null 2>&1; then return 0; fi
    sleep 0.1
  done
  tail -n 5 "$WORK/godwitd.log" >&2
  die "godwitd does not get ready"
}

# Pktgen answers no ND and is often not running: the far kernel shows itself
# once on the queue, and the gateways are told to the node's.
introduce() {
  local mac address
  mac=$(mac_of far up0)
  for address in $GATEWAY4 $GATEWAY6; do
    ip -n "$NS-node" neigh replace $address lladdr "$mac" dev gw0 nud permanent
  done
  ip -n "$NS-far" addr add $SERVICE4/24 dev qu0
  ip -n "$NS-far" addr add $SERVICE6/64 dev qu0 nodad
  inside far ping -c 1 -W 1 192.0.2.1 >/dev/null 2>&1 || true
  inside far ping -6 -c 1 -W 1 2001:db8:53::1 >/dev/null 2>&1 || true
  ip -n "$NS-far" addr flush dev qu0
  inside far sysctl -qw net.ipv6.conf.qu0.disable_ipv6=1 net.ipv6.conf.up0.disable_ipv6=1
}

# run_script SCRIPT: pktgen writes its results into a file, its screen is noise.
run_script() {
  local name=${1##*/} log=$WORK/${1##*/}.log vdev=qpairs=1,blocksz=65536,framesz=2048,framecnt=1024,qdisc_bypass=1
  headline "$name"
  : >"$WORK/results"
  ( cd "$WORK" && GODWIT_PKTGEN=$HERE GODWIT_PKTGEN_RESULTS=$WORK/results GODWIT_PKTGEN_SECONDS=$SECONDS_EACH \
    GODWIT_UPLINK_MAC=$(mac_of node up0) GODWIT_QUEUE_MAC=$(mac_of node qu0) \
    PKTGEN_UPLINK_MAC=$(mac_of far up0) PKTGEN_QUEUE_MAC=$(mac_of far qu0) TERM=xterm \
    timeout 120 nsenter --net="/run/netns/$NS-far" "$PKTGEN" \
    --lcores="0@$FAR_CPU,1@$FAR_CPU" --in-memory --no-pci --iova-mode=va --no-telemetry --file-prefix="$NS" \
    "--vdev=net_af_packet0,iface=up0,$vdev" "--vdev=net_af_packet1,iface=qu0,$vdev" \
    -- -P -m "1.[0-1]" -f "$1" >"$log" 2>&1 </dev/null ) || true
  cat "$WORK/results"
  grep -q '^done$' "$WORK/results" || {
    tr -d '\033' <"$log" | tail -n 15 >&2
    die "$name has not come to its end"
  }
}

# Every packet ended somewhere, and only once.
check_counters() {
  headline "godwitd's flows and counters"
  ctl flow count
  ctl counters --nonzero
  ctl --json counters | python3 -c '
import json, sys
counts = json.load(sys.stdin)
ends = sum(counts[key] for key in ("delivered", "sent", "punted", "consumed", "held")) + sum(counts["dropped"].values())
sys.exit(0 if counts["received"] + counts["generated"] == ends else "counters do not add up")'
}

main() {
  parse_arguments "$@"
  require_root
  require_memory 6144
  local cpus
  cpus=$(nproc)
  [ "$cpus" -ge 2 ] || die "two CPUs are needed"
  WORKER_CPU=$((cpus - 1)) FAR_CPU=$((cpus - 2))
  install_cleanup_traps
  WORK=$(mktemp -d /tmp/godwit-pktgen.XXXXXX)
  defer rm -rf "$WORK" "/var/run/dpdk/$NS"
  reserve_hugepages $HUGEPAGES_MIB
  make_links
  start_godwitd
  introduce
  say "$(uname -r), $(awk -F': ' '/^model name/ { print $2; exit }' /proc/cpuinfo), load $(cut -d' ' -f1-3 /proc/loadavg)"
  local script
  for script in "${SCRIPTS[@]}"; do run_script "$script"; done
  check_counters
}

main "$@"
