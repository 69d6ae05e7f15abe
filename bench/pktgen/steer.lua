-- SPDX-License-Identifier: BSD-3-Clause
-- Steering: clients towards a service, 24,511 flows (127 addresses, 193
-- l4ports; both prime). First slowly, so that every flow is there.
local run = dofile(os.getenv("GODWIT_PKTGEN") .. "/run.lua")

run.range(run.UPLINK, {
  source = {first = "198.18.0.1", step = "0.0.0.1", last = "198.18.0.127"},
  target = run.SERVICE4,
  source_port = {first = 10000, step = 1, last = 10192},
  target_port = 53,
})
run.trial("steering, flows begin", run.UPLINK, run.QUEUE, 0.2)
run.trial("steering, 24,511 flows", run.UPLINK, run.QUEUE, 1)
run.trial("steering, 24,511 flows", run.UPLINK, run.QUEUE, 100)
run.finish()
