-- SPDX-License-Identifier: BSD-3-Clause
-- Translation: the service's own programs towards 127 origins, from the
-- service address, 24,511 mappings; what arrives has the unicast address
-- (godwitd's egress guard drops and counts anything else).
local run = dofile(os.getenv("GODWIT_PKTGEN") .. "/run.lua")

run.range(run.QUEUE, {
  source = run.SERVICE4,
  target = {first = "198.19.0.1", step = "0.0.0.1", last = "198.19.0.127"},
  source_port = {first = 20000, step = 1, last = 20192},
  target_port = 443,
})
run.trial("SNAT, mappings are made", run.QUEUE, run.UPLINK, 0.2)
run.trial("SNAT, 24,511 mappings", run.QUEUE, run.UPLINK, 1)
run.trial("SNAT, 24,511 mappings", run.QUEUE, run.UPLINK, 100)
run.finish()
