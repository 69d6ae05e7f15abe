// SPDX-License-Identifier: BSD-3-Clause
#include "bpf/map_sync.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bpf/inspect.h"
#include "bpf/map_layout.h"

namespace godwit {
namespace {

struct AddressRows {
  std::vector<SteerAddress> keys;
  std::vector<uint32_t> flags;
};

SteerAddress KeyOf(const IpAddress& address) {
  SteerAddress key;
  std::memcpy(key.word, address.bytes.data(), sizeof(key));
  return key;
}

absl::Status CheckTables(const SteeringTables& tables) {
  const size_t count =
      tables.service_addresses.size() + tables.unicast_addresses.size();
  if (count > kSteerMaxAddresses) {
    return absl::ResourceExhaustedError(
        absl::StrCat(count, " service and unicast addresses: at most ",
                     static_cast<int>(kSteerMaxAddresses), " are allowed"));
  }
  if (tables.vlan > 4094) {
    return absl::InvalidArgumentError(absl::StrCat(
        "vlan ", tables.vlan, ": 1 to 4094 are allowed, or 0 for no tag"));
  }
  return absl::OkStatus();
}

// The rows of the address map; each address once.
absl::Status MakeRows(const SteeringTables& tables, AddressRows& rows) {
  std::vector<std::pair<IpAddress, uint32_t>> all;
  all.reserve(tables.service_addresses.size() +
              tables.unicast_addresses.size());
  for (const ServiceAddressEntry& entry : tables.service_addresses) {
    uint32_t flags = kSteerService;
    if (entry.served_by == ServedBy::kKernelOnly) flags |= kSteerToKernel;
    all.emplace_back(entry.address, flags);
  }
  for (const IpAddress& address : tables.unicast_addresses) {
    all.emplace_back(address, kSteerUnicast);
  }
  std::sort(all.begin(), all.end());
  for (size_t i = 0; i < all.size(); ++i) {
    if (i > 0 && all[i].first == all[i - 1].first) {
      return absl::InvalidArgumentError(absl::StrCat(
          all[i].first.ToString(), ": given twice, or both a service address",
          " and a unicast address; each once is allowed"));
    }
    rows.keys.push_back(KeyOf(all[i].first));
    rows.flags.push_back(all[i].second);
  }
  return absl::OkStatus();
}

void CopyBits(const L4PortSet& from, __u64* words) {
  for (size_t l4port = 0; l4port < from.size(); ++l4port) {
    if (from[l4port]) words[l4port / 64] |= 1ULL << (l4port % 64);
  }
}

std::unique_ptr<SteerConfig> MakeConfig(const SteeringTables& tables,
                                        uint32_t slot) {
  auto config = std::make_unique<SteerConfig>();
  config->generation = tables.generation;
  config->address_slot = slot;
  config->flags = tables.drop_without_socket ? kSteerDropWithoutSocket : 0;
  config->kernel_queue = tables.kernel_queue_ifindex;
  config->mark = tables.kernel_queue_mark;
  config->vlan = tables.vlan;
  CopyBits(tables.egress_tcp, config->tcp);
  CopyBits(tables.egress_udp, config->udp);
  CopyBits(tables.egress_icmp, config->icmp);
  return config;
}

absl::Status Failed(const char* what) {
  return absl::ErrnoToStatus(errno, absl::StrCat("steering tables: ", what));
}

int CreateInner(bpf_map_type type, const char* name, size_t key, size_t value,
                size_t entries) {
  return bpf_map_create(type, name, static_cast<uint32_t>(key),
                        static_cast<uint32_t>(value),
                        static_cast<uint32_t>(entries), nullptr);
}

absl::Status Fill(int fd, const AddressRows& rows) {
  auto count = static_cast<uint32_t>(rows.keys.size());
  if (count == 0) return absl::OkStatus();
  if (bpf_map_update_batch(fd, rows.keys.data(), rows.flags.data(), &count,
                           nullptr) != 0) {
    return Failed("filling the addresses");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status TableSync::Publish(const SteeringTables& tables) {
  absl::Status status = CheckTables(tables);
  if (!status.ok()) return status;
  AddressRows rows;
  status = MakeRows(tables, rows);
  if (!status.ok()) return status;

  const uint32_t slot = (slot_ + 1) % kSteerAddressSlots;
  const Descriptor addresses(
      CreateInner(BPF_MAP_TYPE_HASH, "steer_addrs", sizeof(SteerAddress),
                  sizeof(uint32_t), std::max<size_t>(rows.keys.size(), 1)));
  if (addresses.fd() < 0) return Failed("creating the addresses");
  const Descriptor generation(CreateInner(BPF_MAP_TYPE_ARRAY, "steer_gen",
                                          sizeof(uint32_t), sizeof(SteerConfig),
                                          1));
  if (generation.fd() < 0) return Failed("creating the generation");
  status = Fill(addresses.fd(), rows);
  if (!status.ok()) return status;
  const uint32_t zero = 0;
  const std::unique_ptr<SteerConfig> config = MakeConfig(tables, slot);
  if (bpf_map_update_elem(generation.fd(), &zero, config.get(), BPF_ANY) != 0) {
    return Failed("filling the generation");
  }

  // Nobody reads the free slot: the exchange before this one has waited for
  // the last program that did.
  const int addresses_fd = addresses.fd();
  const int generation_fd = generation.fd();
  if (bpf_map_update_elem(address_outer_fd_, &slot, &addresses_fd, BPF_ANY) !=
      0) {
    return Failed("placing the addresses");
  }
  if (bpf_map_update_elem(config_outer_fd_, &zero, &generation_fd, BPF_ANY) !=
      0) {
    return Failed("exchanging the generation");
  }
  // Only gives the memory back.
  if (published_) bpf_map_delete_elem(address_outer_fd_, &slot_);
  slot_ = slot;
  generation_ = tables.generation;
  published_ = true;
  return absl::OkStatus();
}

}  // namespace godwit
