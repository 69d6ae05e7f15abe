-- SPDX-License-Identifier: BSD-3-Clause
-- Steering and translation over IPv6; Pktgen's least frame is then 82 bytes
-- with FCS.
local run = dofile(os.getenv("GODWIT_PKTGEN") .. "/run.lua")

run.range(run.UPLINK, {
  family = 6, size = 82,
  source = {first = "2001:2::1", step = "::1", last = "2001:2::7f"},
  target = run.SERVICE6,
  source_port = {first = 10000, step = 1, last = 10192},
  target_port = 53,
})
run.trial("IPv6 steering, flows begin", run.UPLINK, run.QUEUE, 0.2)
run.trial("IPv6 steering", run.UPLINK, run.QUEUE, 100)
run.range(run.QUEUE, {
  family = 6, size = 82,
  source = run.SERVICE6,
  target = {first = "2001:2:0:1::1", step = "::1", last = "2001:2:0:1::7f"},
  source_port = {first = 20000, step = 1, last = 20192},
  target_port = 443,
})
run.trial("IPv6 SNAT, mappings are made", run.QUEUE, run.UPLINK, 0.2)
run.trial("IPv6 SNAT", run.QUEUE, run.UPLINK, 100)
run.finish()
