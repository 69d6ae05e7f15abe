# SPDX-License-Identifier: BSD-3-Clause
# The network of the demo, in namespaces of its own; nothing outside them is
# touched. Sourced after scripts/lib/{say,cleanup}.sh.
#
#   client                                        origin
#   203.0.113.10                                  203.0.113.200
#   2001:db8:c::10                                2001:db8:a::200
#     |                                              |
#     | cl                                        or |
#   +-+------+        203.0.113.128/30        +------+-+
#   |  near  |x2 ------------------------- x1 |  far   |
#   +---+----+        2001:db8:f::/64         +----+---+
#       | n1                                    n2 |
#       |   192.0.2.0/24 -> node1   192.0.2.0/24 ->|node2
#       |   2001:db8:53::/64 too            same   |
#   up0 | 198.51.100.7                         up0 | 198.51.100.135
#       | 2001:db8:7::7                            | 2001:db8:9::9
#   +---+----------------------------+        +----+---+
#   |  node1                         |        | node2  |  the sibling: plain
#   +--+-------+-------+---------+---+        +--------+  Linux, the same service
#      |       |       |         |                        addresses on its loopback
#    dns0    dns1    web0     crawl0
#    nsd     nsd     nginx    curl, which has only 192.0.2.80 too
#      192.0.2.53    192.0.2.80, 2001:db8:53::80
#      2001:db8:53::53
#
# Both nodes announce the service addresses (static routes stand in for BGP):
# clients are near node1, but from the origin the shortest path to a service
# address leads to node2.

NS_PREFIX=${NS_PREFIX:-gwd}
DNS4=192.0.2.53 DNS6=2001:db8:53::53
WEB4=192.0.2.80 WEB6=2001:db8:53::80
SERVICE_NET4=192.0.2.0/24 SERVICE_NET6=2001:db8:53::/64
NODE4=198.51.100.7 NODE6=2001:db8:7::7
GATEWAY4=198.51.100.1 GATEWAY6=2001:db8:7::1
SIBLING4=198.51.100.135 SIBLING6=2001:db8:9::9
CLIENT4=203.0.113.10 CLIENT6=2001:db8:c::10
ORIGIN4=203.0.113.200 ORIGIN6=2001:db8:a::200
LOCAL_QUEUES="dns0 dns1 web0 crawl0"

# ns NAME: the namespace's full name.
ns() { echo "$NS_PREFIX-$1"; }

# in_ns NAME COMMAND...: nsenter and not `ip netns exec`, which would hide the
# mounts below /sys (bpffs). Replaces no process: the pid is the command's own.
in_ns() {
  local name=$1
  shift
  nsenter --net="/run/netns/$NS_PREFIX-$name" "$@"
}

topology_up() {
  local name
  for name in near far client origin node1 node2; do
    make_netns "$(ns $name)"
    quiet_kernel $name
  done
  for name in near far; do forwarding $name 1; done
  link near cl client up0
  link near n1 node1 up0
  link near x2 far x1
  link far n2 node2 up0
  link far or origin up0
  addresses
  routes
}

# New namespaces take over the host's defaults, which may filter what returns
# on another path: here every anycast reply does.
quiet_kernel() {
  in_ns "$1" sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \
    net.ipv6.conf.all.accept_ra=0 net.ipv6.conf.default.accept_ra=0 \
    net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0
}

forwarding() {
  in_ns "$1" sysctl -qw net.ipv4.ip_forward="$2" net.ipv6.conf.all.forwarding="$2"
}

# link NS IFNAME NS IFNAME: a veth pair, both ends up. A kernel leaves the
# checksum of what it sends over veth to a card that is not there; whoever reads
# frames as they are (DPDK, tcpdump) would see it wrong, so offload is off.
link() {
  ip -n "$(ns "$1")" link add "$2" type veth peer name "$4" netns "$(ns "$3")"
  local end
  for end in "$1 $2" "$3 $4"; do
    set -- $end
    in_ns "$1" ethtool -K "$2" tx off >/dev/null 2>&1
    ip -n "$(ns "$1")" link set "$2" up
  done
}

# addr NS IFNAME ADDRESS...: without waiting for duplicate address detection.
addr() {
  local name=$1 ifname=$2 address
  shift 2
  for address in "$@"; do
    case $address in
      *:*) ip -n "$(ns "$name")" addr add "$address" dev "$ifname" nodad ;;
      *) ip -n "$(ns "$name")" addr add "$address" dev "$ifname" ;;
    esac
  done
}

# route NS ROUTE...
route() {
  local name=$1
  shift
  case $1$3 in
    *:*) ip -6 -n "$(ns "$name")" route replace "$@" ;;
    *) ip -n "$(ns "$name")" route replace "$@" ;;
  esac
}

addresses() {
  addr near cl 203.0.113.1/26 2001:db8:c::1/64
  addr near n1 $GATEWAY4/25 $GATEWAY6/64
  addr near x2 203.0.113.129/30 2001:db8:f::1/64
  addr far x1 203.0.113.130/30 2001:db8:f::2/64
  addr far n2 198.51.100.129/25 2001:db8:9::1/64
  addr far or 203.0.113.193/26 2001:db8:a::1/64
  addr client up0 $CLIENT4/26 $CLIENT6/64
  addr origin up0 $ORIGIN4/26 $ORIGIN6/64
  addr node2 up0 $SIBLING4/25 $SIBLING6/64
  addr node2 lo $DNS4/32 $WEB4/32 $DNS6/128 $WEB6/128
}

routes() {
  route client default via 203.0.113.1
  route client default via 2001:db8:c::1
  route origin default via 203.0.113.193
  route origin default via 2001:db8:a::1
  route node2 default via 198.51.100.129
  route node2 default via 2001:db8:9::1
  route near default via 203.0.113.130
  route near default via 2001:db8:f::2
  route far default via 203.0.113.129
  route far default via 2001:db8:f::1
  route near $SERVICE_NET4 via $NODE4
  route near $SERVICE_NET6 via $NODE6
  route far $SERVICE_NET4 via $SIBLING4
  route far $SERVICE_NET6 via $SIBLING6
}

# The namespaces of node1's local programs, with nothing in them yet.
local_namespaces_up() {
  local name
  for name in $LOCAL_QUEUES; do
    make_netns "$(ns "$name")"
    quiet_kernel "$name"
  done
}

local_namespaces_down() {
  local name
  for name in $LOCAL_QUEUES; do drop_netns "$(ns "$name")"; done
}

# node1 as a plain Linux router: what one would do without godwit.
plain_node1_up() {
  addr node1 up0 $NODE4/25 $NODE6/64
  route node1 default via $GATEWAY4
  route node1 default via $GATEWAY6
  forwarding node1 1
  plain_queue dns0 $DNS4 $DNS6
  plain_queue dns1 $DNS4 $DNS6
  plain_queue web0 $WEB4 $WEB6
  plain_queue crawl0 $WEB4 $WEB6
}

# plain_queue NAME V4 V6: a link into the namespace, the service addresses on
# its loopback, and the route to them.
plain_queue() {
  link node1 "k-$1" "$1" "$1"
  addr node1 "k-$1" 169.254.0.1/32 fe80::1/64
  addr "$1" "$1" fe80::2/64
  ip -n "$(ns "$1")" route add default via 169.254.0.1 dev "$1" onlink
  ip -6 -n "$(ns "$1")" route add default via fe80::1 dev "$1"
  addr "$1" lo "$2/32" "$3/128"
  # A route can name one of those that share an address: the first.
  if ip -n "$(ns node1)" route show "$2" | grep -q .; then return 0; fi
  ip -n "$(ns node1)" route add "$2/32" dev "k-$1"
  ip -6 -n "$(ns node1)" route add "$3/128" via fe80::2 dev "k-$1"
}

# Back to a node with nothing configured but its link.
plain_node1_down() {
  local name
  for name in $LOCAL_QUEUES; do ip -n "$(ns node1)" link del "k-$name"; done
  ip -n "$(ns node1)" addr flush dev up0 scope global
  ip -n "$(ns node1)" route flush table main
  ip -6 -n "$(ns node1)" route del default
  forwarding node1 0
  ip -n "$(ns near)" neigh flush dev n1
}
