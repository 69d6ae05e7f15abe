-- SPDX-License-Identifier: BSD-3-Clause
-- IMIX: 7 x 64, 4 x 512, 1 x 1518 bytes in the order aadaadaadagd of RFC 6985
-- (334.5 bytes on average), a sequence of 12 frames, 12 flows, each way.
local run = dofile(os.getenv("GODWIT_PKTGEN") .. "/run.lua")

local SIZES = {a = 64, d = 512, g = 1518}
local function mixed(source, target, first_port, target_port)
  local list = {}
  for letter in ("aadaadaadagd"):gmatch(".") do
    list[#list + 1] = {source = source, target = target, source_port = first_port + #list,
      target_port = target_port, size = SIZES[letter]}
  end
  return list
end

run.sequence(run.UPLINK, mixed("198.18.1.1", run.SERVICE4, 11000, 53))
run.trial("IMIX steering, flows begin", run.UPLINK, run.QUEUE, 0.2)
run.trial("IMIX steering", run.UPLINK, run.QUEUE, 100)
run.sequence(run.QUEUE, mixed(run.SERVICE4, "198.19.1.1", 21000, 443))
run.trial("IMIX SNAT, mappings are made", run.QUEUE, run.UPLINK, 0.2)
run.trial("IMIX SNAT", run.QUEUE, run.UPLINK, 100)
run.finish()
