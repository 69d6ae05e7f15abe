// SPDX-License-Identifier: BSD-3-Clause
#include "bpf/skeleton.h"

#include <cstdarg>

#include "absl/strings/str_cat.h"

namespace godwit {
namespace {

// The verifier says what it objects to at the end; before it is the walk.
constexpr size_t kVerifierLogSize = 1U << 20;
constexpr size_t kVerifierLogShown = 2000;

int Silent(libbpf_print_level, const char*, va_list) { return 0; }

}  // namespace

void SilenceLibbpf() { libbpf_set_print(Silent); }

SkeletonOptions::SkeletonOptions() : log_(kVerifierLogSize) {
  SilenceLibbpf();
  options_.sz = sizeof(options_);
  options_.kernel_log_buf = log_.data();
  options_.kernel_log_size = log_.size();
}

absl::Status SkeletonOptions::Failed(int error, absl::string_view what) const {
  absl::string_view log(log_.data());
  if (log.size() > kVerifierLogShown) {
    log.remove_prefix(log.size() - kVerifierLogShown);
  }
  return absl::ErrnoToStatus(
      error, absl::StrCat(what, log.empty() ? "" : "; the verifier: ", log));
}

}  // namespace godwit
