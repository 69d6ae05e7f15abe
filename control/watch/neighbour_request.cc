// SPDX-License-Identifier: BSD-3-Clause
#include "control/watch/neighbour_request.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "absl/strings/str_cat.h"

namespace godwit {
namespace {

ndmsg HeaderOf(const NeighbourKey& key) {
  ndmsg header{};
  header.ndm_family = key.address.IsV4() ? AF_INET : AF_INET6;
  header.ndm_ifindex = key.ifindex;
  return header;
}

}  // namespace

absl::Status UseNeighbour(NetlinkSocket& socket, const NeighbourKey& key,
                          Keeping keeping) {
  ndmsg header = HeaderOf(key);
  header.ndm_flags = NTF_USE;
  NetlinkMessage message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE);
  message.Append(header);
  message.PutAddress(NDA_DST, key.address);
  if (keeping == Keeping::kKeep) {
    message.PutU32(NDA_FLAGS_EXT, NTF_EXT_MANAGED);
  }
  return socket.Request(message,
                        absl::StrCat("resolving ", key.address.ToString(),
                                     " on interface ", key.ifindex));
}

absl::Status SetNeighbour(NetlinkSocket& socket, const NeighbourKey& key,
                          uint16_t state, absl::string_view what) {
  ndmsg header = HeaderOf(key);
  header.ndm_state = state;
  NetlinkMessage message(RTM_NEWNEIGH, NLM_F_REPLACE);
  message.Append(header);
  message.PutAddress(NDA_DST, key.address);
  return socket.Request(message, what);
}

}  // namespace godwit
