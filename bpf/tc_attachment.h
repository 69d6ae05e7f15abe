// SPDX-License-Identifier: BSD-3-Clause
// One of our classifiers on one side of one interface, for as long as the
// object lives.
#ifndef GODWIT_BPF_TC_ATTACHMENT_H_
#define GODWIT_BPF_TC_ATTACHMENT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace godwit {

enum class TcSide : uint8_t { kIngress, kEgress };

class TcAttachment {
 public:
  // Replaces what a crashed run left there: our filters have a fixed priority
  // (1: before any other) and handle, and programs named godwit_*. Somebody
  // else's in that place is refused. That no live process has it is for the
  // caller to know. The program stays the caller's.
  static absl::StatusOr<std::unique_ptr<TcAttachment>> Attach(
      const std::string& interface_name, TcSide side, int program_fd);
  // Removes our filters of a process that is gone and returns the names of
  // their programs. This process's and somebody else's stay; that no other
  // live daemon has the interface is for the caller to know.
  static std::vector<std::string> RemoveLeftovers(int ifindex);
  // Removes the filter, if it is still this one, and the clsact qdisc if
  // nothing else is on it.
  ~TcAttachment();
  TcAttachment(const TcAttachment&) = delete;
  TcAttachment& operator=(const TcAttachment&) = delete;

 private:
  TcAttachment(int ifindex, TcSide side) : ifindex_(ifindex), side_(side) {}
  const int ifindex_;
  const TcSide side_;
  uint32_t program_id_ = 0;
};

}  // namespace godwit

#endif  // GODWIT_BPF_TC_ATTACHMENT_H_
