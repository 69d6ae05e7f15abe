// SPDX-License-Identifier: BSD-3-Clause
// One of our classifiers on one side of one interface, for as long as the
// object lives.
#ifndef GODWIT_BPF_TC_ATTACHMENT_H_
#define GODWIT_BPF_TC_ATTACHMENT_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace godwit {

enum class TcSide : uint8_t { kIngress, kEgress };

class TcAttachment {
 public:
  // Replaces what a crashed run left there: our filters have a fixed priority
  // (1: before any other) and handle. The program stays the caller's.
  static absl::StatusOr<std::unique_ptr<TcAttachment>> Attach(
      const std::string& interface_name, TcSide side, int program_fd);
  // Removes the filter, and the clsact qdisc if nothing else is on it.
  ~TcAttachment();
  TcAttachment(const TcAttachment&) = delete;
  TcAttachment& operator=(const TcAttachment&) = delete;

  // The filter stays when this is destroyed.
  void Leave() { leave_ = true; }

 private:
  TcAttachment(int ifindex, TcSide side) : ifindex_(ifindex), side_(side) {}
  const int ifindex_;
  const TcSide side_;
  bool leave_ = false;
};

}  // namespace godwit

#endif  // GODWIT_BPF_TC_ATTACHMENT_H_
