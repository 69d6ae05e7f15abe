// SPDX-License-Identifier: BSD-3-Clause
// How our BPF programs are opened, and what is said when that fails.
#ifndef GODWIT_BPF_SKELETON_H_
#define GODWIT_BPF_SKELETON_H_

#include <bpf/libbpf.h>

#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace godwit {

// libbpf writes to stderr by default, expected failures too (a qdisc that is
// already there). What matters of it is in our Status.
void SilenceLibbpf();

// Options for a skeleton's open, with room for what the verifier says.
class SkeletonOptions {
 public:
  SkeletonOptions();
  const bpf_object_open_opts* get() const { return &options_; }

  // `what` went wrong with `error`, in the verifier's words if it has any.
  absl::Status Failed(int error, absl::string_view what) const;

 private:
  std::vector<char> log_;
  bpf_object_open_opts options_ = {};
};

}  // namespace godwit

#endif  // GODWIT_BPF_SKELETON_H_
