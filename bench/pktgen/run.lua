-- SPDX-License-Identifier: BSD-3-Clause
-- What the scripts here share: which way frames go, how a trial is run, where
-- its results are written. Port 0 is on the uplink's side, port 1 on the
-- queue's. Everything that depends on the place is told by the environment:
-- bench/pktgen/topology.sh sets it, or you do (docs/benchmarks.md).

local run = {}

run.SERVICE4, run.SERVICE6 = "192.0.2.53", "2001:db8:53::53"
run.UPLINK, run.QUEUE = "0", "1"
run.SECONDS = tonumber(os.getenv("GODWIT_PKTGEN_SECONDS") or "5")

local MACS = {
  ["0"] = {to = os.getenv("GODWIT_UPLINK_MAC"), from = os.getenv("PKTGEN_UPLINK_MAC")},
  ["1"] = {to = os.getenv("GODWIT_QUEUE_MAC"), from = os.getenv("PKTGEN_QUEUE_MAC")},
}

-- Pktgen's screen is written over and over: results go to a file.
function run.say(text)
  local file = io.open(os.getenv("GODWIT_PKTGEN_RESULTS") or "/dev/stderr", "a")
  file:write(text .. "\n")
  file:close()
end

local function field(set, port, range)
  set(port, "start", range.first)
  set(port, "inc", range.step)
  set(port, "min", range.first)
  set(port, "max", range.last)
end

local function fixed(value, nothing)
  return {first = value, step = nothing, last = value}
end

-- Frames in range mode. Every field steps with every frame, so there are as
-- many flows as the product of the lengths of the ranges only if these have
-- no common divisor; Pktgen has room for 24,576 different frames.
-- flows: family, source and target ({first, step, last} or one address),
-- source_port and target_port (the same), size with FCS, proto.
function run.range(port, flows)
  local none = flows.family == 6 and "::" or "0.0.0.0"
  pktgen.range.set_type(port, flows.family == 6 and "ipv6" or "ipv4")
  pktgen.range.ip_proto(port, flows.proto or "udp")
  pktgen.range.dst_mac(port, "start", MACS[port].to)
  pktgen.range.src_mac(port, "start", MACS[port].from)
  local function as_range(value, nothing)
    return type(value) == "table" and value or fixed(value, nothing)
  end
  field(pktgen.range.src_ip, port, as_range(flows.source, none))
  field(pktgen.range.dst_ip, port, as_range(flows.target, none))
  field(pktgen.range.src_port, port, as_range(flows.source_port, 0))
  field(pktgen.range.dst_port, port, as_range(flows.target_port, 0))
  field(pktgen.range.pkt_size, port, fixed(flows.size or 64, 0))
  if flows.family == 6 then
    field(pktgen.range.hop_limits, port, fixed(64, 0))
  else
    field(pktgen.range.ttl, port, fixed(64, 0))
  end
  pktgen.set_range(port, "on")
end

-- A sequence of frames in a fixed order, `list` of run.range's words; each one
-- flow, IPv4.
function run.sequence(port, list)
  for number, frame in ipairs(list) do
    pktgen.seqTable(number - 1, port, {
      eth_dst_addr = MACS[port].to, eth_src_addr = MACS[port].from,
      ip_dst_addr = frame.target, ip_src_addr = frame.source .. "/32",
      sport = frame.source_port, dport = frame.target_port,
      ethType = "ipv4", ipProto = "udp", vlanid = 1, pktSize = frame.size,
      teid = 0, cos = 0, tos = 0, tcp_flags = "ack", ttl = 64,
      gtpu_teid = 0,
    })
  end
  pktgen.set(port, "seq_cnt", #list)
end

-- One kind of frame, IPv4: what latency probes look like.
function run.single(port, frame)
  pktgen.set_mac(port, "dst", MACS[port].to)
  pktgen.set_mac(port, "src", MACS[port].from)
  pktgen.set_ipaddr(port, "dst", frame.target)
  pktgen.set_ipaddr(port, "src", frame.source .. "/32")
  pktgen.set(port, "sport", frame.source_port)
  pktgen.set(port, "dport", frame.target_port)
  pktgen.set_proto(port, "udp")
  pktgen.set(port, "size", frame.size)
end

local function counts(from, to)
  local stats = pktgen.portStats("all", "port")
  return stats[tonumber(from)].opackets, stats[tonumber(to)].ipackets
end

-- Sends at `percent` of the line rate that the driver names; returns frames
-- sent and received, and says them. Where one lcore has several ports, as here,
-- the rate of the first is everyone's.
function run.trial(name, from, to, percent)
  pktgen.set("all", "rate", percent)
  pktgen.delay(200)
  local sent_before, received_before = counts(from, to)
  pktgen.start(from)
  pktgen.delay(run.SECONDS * 1000)
  pktgen.stop(from)
  pktgen.delay(1500)  -- the counts are read once a second
  local sent, received = counts(from, to)
  sent, received = sent - sent_before, received - received_before
  run.say(string.format("%-28s %6.2f%% of the line: sent %9d, received %9d (%6.2f%%), %.3f Mpps",
    name, percent, sent, received, sent == 0 and 0 or 100 * received / sent,
    received / run.SECONDS / 1e6))
  return sent, received
end

function run.finish()
  run.say("done")
  pktgen.quit()
end

pktgen.screen("off")
return run
