// SPDX-License-Identifier: BSD-3-Clause
// What the queue `kernel` answers to the queues of this node finds its way
// back: loopback.bpf.c, on the loopback interface of the calling thread's
// network namespace for as long as this lives.
#ifndef GODWIT_BPF_LOOPBACK_RETURN_H_
#define GODWIT_BPF_LOOPBACK_RETURN_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bpf/map_sync.h"
#include "bpf/tc_attachment.h"

struct loopback_bpf;

namespace godwit {

class LoopbackReturn {
 public:
  // Loads the program, publishes `first` and attaches it. What a crashed run
  // has left is replaced.
  static absl::StatusOr<std::unique_ptr<LoopbackReturn>> Attach(
      const SteeringTables& first);
  ~LoopbackReturn();
  LoopbackReturn(const LoopbackReturn&) = delete;
  LoopbackReturn& operator=(const LoopbackReturn&) = delete;

  // See TableSync::Publish. Of the tables count the addresses, the l4ports and
  // identifiers, and `kernel_queue_ifindex`: where answers go.
  absl::Status Publish(const SteeringTables& tables);

  // For BPF_PROG_TEST_RUN.
  int program_fd() const;

 private:
  LoopbackReturn() = default;

  loopback_bpf* program_ = nullptr;
  std::unique_ptr<TableSync> sync_;
  std::unique_ptr<TcAttachment> tc_;
};

}  // namespace godwit

#endif  // GODWIT_BPF_LOOPBACK_RETURN_H_
