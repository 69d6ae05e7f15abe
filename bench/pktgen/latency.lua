-- SPDX-License-Identifier: BSD-3-Clause
-- Latency of one steered flow: Pktgen puts a probe between its frames and
-- reads the time out of it on the other port. Least and most are all that it
-- keeps without its screen; bench/end_to_end has percentiles.
local run = dofile(os.getenv("GODWIT_PKTGEN") .. "/run.lua")

run.single(run.UPLINK, {source = "198.18.2.1", target = run.SERVICE4, source_port = 12000, target_port = 53,
  size = 96})
pktgen.latency("all", "on")
for _, percent in ipairs({0.1, 1}) do
  run.trial("latency", run.UPLINK, run.QUEUE, percent)
  local latency = pktgen.pktStats(run.QUEUE)[tonumber(run.QUEUE)].latency
  run.say(string.format("  %d probes so far: least %.1f us, most %.1f us", latency.num_pkts, latency.min_us,
    latency.max_us))
end
pktgen.latency("all", "off")
run.finish()
