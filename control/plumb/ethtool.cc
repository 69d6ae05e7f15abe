// SPDX-License-Identifier: BSD-3-Clause
#include "control/plumb/ethtool.h"

#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "control/plumb/link.h"
#include "control/plumb/netns.h"

namespace godwit {
namespace {

// Asks the driver of `ifname`; `command` is an ethtool structure that begins
// with its command number.
absl::Status Ethtool(absl::string_view ifname, absl::string_view what,
                     void* command) {
  const absl::Status valid = CheckLinkName(ifname);
  if (!valid.ok()) return valid;
  const OwnedFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::memcpy(request.ifr_name, ifname.data(), ifname.size());
  request.ifr_data = static_cast<char*>(command);
  if (fd.get() < 0 || ioctl(fd.get(), SIOCETHTOOL, &request) != 0) {
    const int error = errno;
    const std::string text = absl::StrCat("interface \"", ifname, "\": ", what);
    if (error == EOPNOTSUPP) return absl::UnimplementedError(text);
    return absl::ErrnoToStatus(error, text);
  }
  return absl::OkStatus();
}

struct Offload {
  uint32_t get;
  uint32_t set;
  const char* what;
};
constexpr Offload kOffloads[] = {
    // Segmentation first: it depends on the checksums.
    {ETHTOOL_GTSO, ETHTOOL_STSO, "turning TSO off"},
    {ETHTOOL_GGSO, ETHTOOL_SGSO, "turning GSO off"},
    {ETHTOOL_GGRO, ETHTOOL_SGRO, "turning GRO off"},
    {ETHTOOL_GTXCSUM, ETHTOOL_STXCSUM, "turning transmit checksums off"},
};

absl::Status DisableOffload(absl::string_view ifname, const Offload& offload) {
  ethtool_value value{.cmd = offload.get, .data = 0};
  absl::Status status = Ethtool(ifname, offload.what, &value);
  // What the driver cannot tell of, it does not do.
  if (absl::IsUnimplemented(status)) return absl::OkStatus();
  if (!status.ok() || value.data == 0) return status;
  value = {.cmd = offload.set, .data = 0};
  return Ethtool(ifname, offload.what, &value);
}

}  // namespace

absl::Status DisableOffloads(absl::string_view ifname) {
  for (const Offload& offload : kOffloads) {
    const absl::Status status = DisableOffload(ifname, offload);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<uint32_t> RxQueueCount(absl::string_view ifname) {
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  if (Ethtool(ifname, "reading its channels", &channels).ok()) {
    return std::max(1U, channels.rx_count + channels.combined_count);
  }
  ethtool_rxnfc rings{};
  rings.cmd = ETHTOOL_GRXRINGS;
  if (Ethtool(ifname, "reading its rings", &rings).ok()) {
    return std::max<uint32_t>(1, static_cast<uint32_t>(rings.data));
  }
  const auto link = GetLink(ifname);
  if (!link.ok()) return link.status();
  return std::max(1U, link->rxqs);
}

absl::Status SetChannels(absl::string_view ifname, uint32_t rx, uint32_t tx) {
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  const absl::Status read = Ethtool(ifname, "reading its channels", &channels);
  if (!read.ok()) return read;
  const bool separate = channels.max_rx > 0 && channels.max_tx > 0;
  const uint32_t max_rx = separate ? channels.max_rx : channels.max_combined;
  const uint32_t max_tx = separate ? channels.max_tx : channels.max_combined;
  if (rx == 0 || tx == 0 || rx > max_rx || tx > max_tx ||
      (!separate && rx != tx)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "interface \"", ifname, "\": ", rx, " receive and ", tx,
        " transmit queues: 1 to ", max_rx, " and 1 to ", max_tx,
        separate ? " are allowed" : ", as many of each, are allowed"));
  }
  const ethtool_channels old = channels;
  (separate ? channels.rx_count : channels.combined_count) = rx;
  if (separate) channels.tx_count = tx;
  if (old.rx_count == channels.rx_count && old.tx_count == channels.tx_count &&
      old.combined_count == channels.combined_count) {
    return absl::OkStatus();
  }
  channels.cmd = ETHTOOL_SCHANNELS;
  return Ethtool(ifname, "setting its channels", &channels);
}

}  // namespace godwit
