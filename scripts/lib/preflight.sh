# SPDX-License-Identifier: BSD-3-Clause
# What a script can't go on without, each said in one line. Needs say.sh.

require_root() {
  [ "$(id -u)" -eq 0 ] || die "root is missing: run it as root"
}

# require_memory MIB: available memory, before anything is started.
require_memory() {
  local have
  have=$(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo)
  [ "$have" -ge "$1" ] || die "memory is missing: $1 MiB are needed, $have MiB are available"
}

# Each feature is tried, not looked up: a kernel's config file may be absent.
require_kernel_features() {
  local probe=gwprobe$$
  ip netns add "$probe" 2>/dev/null ||
    die "kernel feature is missing: network namespaces (CONFIG_NET_NS, CAP_SYS_ADMIN)"
  if ! ip -n "$probe" link add p0 type veth peer name p1 2>/dev/null; then
    ip netns del "$probe"
    die "kernel feature is missing: veth (CONFIG_VETH)"
  fi
  ip netns del "$probe"
  require_tun
  python3 -c 'import socket; socket.socket(44, socket.SOCK_RAW).close()' 2>/dev/null ||
    die "kernel feature is missing: AF_XDP sockets (CONFIG_XDP_SOCKETS, Linux 5.4 or newer)"
}

require_tun() {
  [ -c /dev/net/tun ] || modprobe tun 2>/dev/null || true
  [ -c /dev/net/tun ] || die "kernel feature is missing: /dev/net/tun (CONFIG_TUN)"
}
