// SPDX-License-Identifier: BSD-3-Clause
#include "bpf/arp_guard.h"

#include <arp.skel.h>
#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "bpf/map_layout.h"
#include "bpf/skeleton.h"

namespace godwit {
namespace {

constexpr size_t kV4InMapped = 12;  // of an IpAddress

uint32_t KeyOf(const IpAddress& address) {
  uint32_t key = 0;
  std::memcpy(&key, address.bytes.data() + kV4InMapped, sizeof(key));
  return key;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ArpGuard>> ArpGuard::Attach(
    const std::string& interface_name) {
  const SkeletonOptions options;
  std::unique_ptr<ArpGuard> made(new ArpGuard());
  made->program_ = arp_bpf::open(options.get());
  if (made->program_ == nullptr) {
    return options.Failed(errno, "opening arp.bpf.c");
  }
  const int error = arp_bpf::load(made->program_);
  if (error != 0) return options.Failed(-error, "loading arp.bpf.c");
  auto tc =
      TcAttachment::Attach(interface_name, TcSide::kIngress,
                           bpf_program__fd(made->program_->progs.godwit_arp));
  if (!tc.ok()) return tc.status();
  made->tc_ = *std::move(tc);
  return made;
}

ArpGuard::~ArpGuard() {
  tc_.reset();
  arp_bpf::destroy(program_);
}

absl::Status ArpGuard::Publish(const Holders& holders) {
  const int map = bpf_map__fd(program_->maps.arp_known);
  for (auto known = known_.begin(); known != known_.end();) {
    const uint32_t key = KeyOf(known->first);
    const bool stays = holders.contains(known->first);
    if (!stays) bpf_map_delete_elem(map, &key);
    known = stays ? std::next(known) : known_.erase(known);
  }
  absl::Status status;
  for (const auto& [address, holder] : holders) {
    const auto known = known_.find(address);
    if (known != known_.end() && known->second == holder) continue;
    const uint32_t key = KeyOf(address);
    ArpHolder value = {};
    std::copy(holder.mac.begin(), holder.mac.end(), value.mac);
    value.whose = static_cast<uint8_t>(holder.whose);
    if (bpf_map_update_elem(map, &key, &value, BPF_ANY) != 0) {
      status.Update(absl::ErrnoToStatus(errno, "ARP: a neighbour more"));
      continue;
    }
    known_[address] = holder;
  }
  return status;
}

absl::Status ArpGuard::HoldUntil(std::chrono::steady_clock::time_point end) {
  // CLOCK_MONOTONIC, as bpf_ktime_get_ns has it.
  const auto since_boot = end.time_since_epoch();
  const auto until = static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(since_boot).count());
  const uint32_t zero = 0;
  if (bpf_map_update_elem(bpf_map__fd(program_->maps.arp_until), &zero, &until,
                          BPF_ANY) != 0) {
    return absl::ErrnoToStatus(errno, "ARP: how long neighbours are held to");
  }
  return absl::OkStatus();
}

std::vector<ArpGuard::Claim> ArpGuard::Take() {
  const int map = bpf_map__fd(program_->maps.arp_claims);
  std::vector<Claim> claims;
  uint32_t key = 0;
  while (claims.size() < kArpMaxRefused &&
         bpf_map_get_next_key(map, nullptr, &key) == 0) {
    ArpClaim value = {};
    if (bpf_map_lookup_elem(map, &key, &value) != 0) break;
    bpf_map_delete_elem(map, &key);
    Claim claim;
    claim.address = IpAddress::FromV4(reinterpret_cast<const uint8_t*>(&key));
    std::copy(std::begin(value.mac), std::end(value.mac), claim.mac.begin());
    claim.frames = value.frames;
    claims.push_back(claim);
  }
  return claims;
}

int ArpGuard::program_fd() const {
  return bpf_program__fd(program_->progs.godwit_arp);
}

}  // namespace godwit
