# SPDX-License-Identifier: BSD-3-Clause
# node1's config files. Sourced after topology.sh.

# write_config FILE DNS1_WEIGHT: the node of the story; from step 3 on with the
# service that the CLI has added before.
write_config() {
  {
    cat <<YAML
version: 1
node:
  name: node1
  unicast: [$NODE4, "$NODE6"]
dataplane:
  workers: 2
  idle: adaptive
  max_flows: 65536
uplinks:
YAML
    uplink_config
    cat <<YAML
queues:
  - {name: dns0, device: "veth:dns0", netns: $(ns dns0)}
  - {name: dns1, device: "veth:dns1", netns: $(ns dns1)}
  - {name: web0, device: "veth:web0", netns: $(ns web0)}
  - {name: crawl0, device: "veth:crawl0", netns: $(ns crawl0)}
services:
  - name: dns
    addresses: [$DNS4, "$DNS6"]
    ports: [udp/53, tcp/53]
    queues: [{queue: dns0, weight: 1}, {queue: dns1, weight: $2}]
  - name: web
    addresses: [$WEB4, "$WEB6"]
    ports: [tcp/80, tcp/443]
    queues: [web0]
  - name: crawler          # serves nothing, and has the web service's address
    addresses: [$WEB4, "$WEB6"]
    queues: [crawl0]
YAML
    [ "$2" = 1 ] || cat <<YAML
  - name: status
    addresses: [$WEB4, "$WEB6"]
    ports: [tcp/8080]
    queues: [web0]
YAML
    cat <<YAML
egress: {ports: auto, mapping: per-destination}
control: {socket: $STATE/control.sock}
YAML
  } >"$1"
}

# A bypass uplink gives the kernel a TAP in its place; an xdp: one stays the
# kernel's, which has configured it itself.
uplink_config() {
  if [ "$UPLINK" = xdp ]; then
    echo "  - {name: wan0, device: \"xdp:up0\"}"
    return
  fi
  cat <<YAML
  - name: wan0
    device: "$UPLINK:up0"
    kernel: gw0
    addresses: [$NODE4/25, "$NODE6/64"]
    gateway: [$GATEWAY4, "$GATEWAY6"]
YAML
}
