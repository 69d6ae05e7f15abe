// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/device/vdev_args.h"

#include <absl/strings/str_cat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>

#include "dataplane/device/kernel_interface.h"

namespace godwit {
namespace {

using Kind = DeviceSpec::Kind;

constexpr uint16_t kDefaultMtu = 1500;
// Link header and two tags.
constexpr uint16_t kLinkOverhead = 14 + 8;
// TPACKET_V2's header, address and padding in front of a frame.
constexpr uint32_t kPacketRingOverhead = 96;
constexpr char kVhostNet[] = "/dev/vhost-net";

std::string NewName(const char* driver) {
  static uint32_t next = 0;  // Written by: the control thread.
  return absl::StrCat(driver, next++);
}

std::string MacArgument(const EthPortOptions& options) {
  return options.mac.has_value() ? ",mac=" + MacToString(*options.mac) : "";
}

uint32_t Log2(uint32_t ring) {
  return static_cast<uint32_t>(std::bit_width(ring) - 1);
}

Vdev AfPacket(const DeviceSpec& spec, const EthPortOptions& options) {
  // One frame a slot, slots and blocks in powers of two; a block is at least a
  // page.
  const uint32_t frame =
      options.mtu.value_or(kDefaultMtu) + kLinkOverhead + kPacketRingOverhead;
  const uint32_t slot = std::max(2048U, std::bit_ceil(frame));
  const uint32_t block = std::max(slot, 65536U);
  return {"vdev", NewName("net_af_packet"),
          absl::StrCat("iface=", spec.target, ",qpairs=", options.rxqs,
                       ",qdisc_bypass=1,blocksz=", block, ",framesz=", slot,
                       ",framecnt=", options.rx_ring)};
}

std::vector<Vdev> Tap(const DeviceSpec& spec, const EthPortOptions& options) {
  std::vector<Vdev> ways;
  if (access(kVhostNet, R_OK | W_OK) == 0) {
    ways.push_back(
        {"vdev", NewName("net_virtio_user"),
         absl::StrCat("path=", kVhostNet, ",iface=", spec.target,
                      ",queues=1,queue_size=1024", MacArgument(options))});
  }
  ways.push_back({"vdev", NewName("net_tap"),
                  absl::StrCat("iface=", spec.target, ",persist=1",
                               MacArgument(options))});
  return ways;
}

Vdev Memif(const DeviceSpec& spec, const EthPortOptions& options) {
  const bool server = spec.memif_role == DeviceSpec::MemifRole::kServer;
  // Never zero-copy: it hands all of our memory to the peer, for writing, and
  // loses up to two rings of buffers each time the peer goes away.
  return {
      "vdev", NewName("net_memif"),
      absl::StrCat("role=", server ? "server" : "client", ",id=", spec.memif_id,
                   ",socket=", spec.target, ",socket-abstract=no,bsize=",
                   MemifBufferSize(options.mtu.value_or(kDefaultMtu)),
                   ",rsize=", Log2(options.rx_ring), MacArgument(options))};
}

Vdev Generic(const DeviceSpec& spec) {
  const size_t comma = spec.target.find(',');
  return {"vdev", spec.target.substr(0, comma),
          comma == spec.target.npos ? "" : spec.target.substr(comma + 1)};
}

}  // namespace

uint16_t MemifBufferSize(uint16_t mtu) {
  const uint32_t frame = uint32_t{mtu} + kLinkOverhead;
  return static_cast<uint16_t>(std::max(2048U, (frame + 63U) & ~63U));
}

Vdev XskVdev(const std::string& interface, uint16_t rxq) {
  // In copy mode there is nothing to wake, and with a budget every empty poll
  // of the driver would be a system call. A NIC needs the budget: without it
  // the driver waits in poll() for up to a second when the kernel wants waking.
  const bool copies = InterfaceDriver(interface) == "veth";
  return {"vdev", NewName("net_af_xdp"),
          absl::StrCat("iface=", interface, ",start_queue=", rxq,
                       ",queue_count=1", copies ? ",busy_budget=0" : "")};
}

std::vector<Vdev> VdevsFor(const DeviceSpec& spec,
                           const EthPortOptions& options) {
  switch (spec.kind) {
    case Kind::kPci:
      return {{"pci", spec.target, ""}};
    case Kind::kXdp:
      return {XskVdev(spec.target, 0)};
    case Kind::kVeth:
      return {XskVdev(options.near_end.empty() ? spec.target : options.near_end,
                      0)};
    case Kind::kAfPacket:
      return {AfPacket(spec, options)};
    case Kind::kTap:
      return Tap(spec, options);
    case Kind::kMemif:
      return {Memif(spec, options)};
    case Kind::kVhost:
      return {{"vdev", NewName("net_vhost"),
               absl::StrCat("iface=", spec.target,
                            ",queues=1,client=0,tso=0,legacy-ol-flags=0")}};
    case Kind::kDpdk:
      return {Generic(spec)};
  }
  return {};
}

}  // namespace godwit
