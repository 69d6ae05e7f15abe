// SPDX-License-Identifier: BSD-3-Clause
// A device as the operator names it: text -> kind and arguments. Knows neither
// the EAL nor the machine: that the interface exists is found out on opening.
#ifndef GODWIT_DATAPLANE_DEVICE_DEVICE_SPEC_H_
#define GODWIT_DATAPLANE_DEVICE_DEVICE_SPEC_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace godwit {

struct DeviceSpec {
  enum class Kind : uint8_t {
    kPci,       // 0000:3b:00.0
    kXdp,       // xdp:IFNAME
    kVeth,      // veth:IFNAME, the far end of a pair that godwit makes
    kAfPacket,  // afpacket:IFNAME
    kTap,       // tap:IFNAME
    kMemif,     // memif:PATH[,role=server|client,id=N]
    kVhost,     // vhost:PATH
    kDpdk,      // dpdk:DEVARGS
  };
  enum class MemifRole : uint8_t { kServer, kClient };

  Kind kind = Kind::kDpdk;
  // PCI: the full address, lower case. xdp, veth, afpacket, tap: the interface.
  // memif, vhost: the socket's absolute path. dpdk: what DPDK takes as
  // `--vdev`, "net_ring0" or "net_pcap0,rx_pcap=a.pcap".
  std::string target;
  MemifRole memif_role = MemifRole::kServer;
  uint32_t memif_id = 0;

  // True where `target` is the name of a kernel interface.
  bool IsInterface() const {
    return kind == Kind::kXdp || kind == Kind::kVeth ||
           kind == Kind::kAfPacket || kind == Kind::kTap;
  }
  // The text that parses to this, in its shortest form.
  std::string ToString() const;
  friend bool operator==(const DeviceSpec&, const DeviceSpec&) = default;
};

// What came of reading a text: a spec, or what was wrong and what is allowed.
struct DeviceSpecResult {
  std::optional<DeviceSpec> spec;
  std::string error;  // empty exactly when `spec` is there
};

DeviceSpecResult ParseDeviceSpec(std::string_view text);

// The kind's word: "pci", "xdp", "veth", "afpacket", "tap", "memif", "vhost",
// "dpdk".
std::string_view KindName(DeviceSpec::Kind kind);

// Empty if `name` can be the name of a network interface in Linux, else why
// not: 1 to 15 characters, no '/', ':' or white space, neither "." nor "..".
std::string CheckInterfaceName(std::string_view name);

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_DEVICE_DEVICE_SPEC_H_
