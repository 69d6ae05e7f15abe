// SPDX-License-Identifier: BSD-3-Clause
//
// A reply as a table for people; json.h has the one for programs.
#ifndef GODWIT_CONTROL_CLI_RENDER_H_
#define GODWIT_CONTROL_CLI_RENDER_H_

#include <string>

#include "control/api/godwit.pb.h"

namespace godwit::cli {

// Each ends in a newline, or is empty where there is nothing to say. Nothing
// is cut: a terminal may wrap.
std::string Render(const api::StatusReply& reply);
std::string Render(const api::ServiceListReply& reply);
std::string Render(const api::QueueListReply& reply);
std::string Render(const api::UplinkListReply& reply);
std::string Render(const api::EgressShowReply& reply);
std::string Render(const api::FlowListReply& reply);
std::string Render(const api::FlowCountReply& reply);
std::string Render(const api::FlowFlushReply& reply);
std::string Render(const api::NeighborListReply& reply);
std::string Render(const api::RouteListReply& reply);
std::string Render(const api::CountersReply& reply);
std::string Render(const api::ExplainReply& reply);
std::string Render(const api::ConfigShowReply& reply);
std::string Render(const api::ConfigCheckReply& reply);
std::string Render(const api::ConfigDiffReply& reply);
std::string Render(const api::ConfigHistoryReply& reply);
std::string Render(const api::ConfigSaveReply& reply);
std::string Render(const api::ChangeReply& reply);
std::string Render(const api::VersionReply& reply);

// `counters --drops`, for people and for programs.
std::string RenderDrops(const api::CountersReply& reply);
std::string DropsJson(const api::CountersReply& reply);

// `counters --nonzero`: forgets the reasons that nothing was counted for. The
// totals stay, they are the frame that the rest is read in.
void DropZeros(api::CountersReply& reply);

// One thing in full.
std::string Render(const api::ServiceStatus& service);
std::string Render(const api::QueueStatus& queue);
std::string Render(const api::UplinkStatus& uplink);

}  // namespace godwit::cli

#endif  // GODWIT_CONTROL_CLI_RENDER_H_
