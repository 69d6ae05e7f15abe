// SPDX-License-Identifier: BSD-3-Clause
// What the kernel says of the programs and maps that it has, whoever made them.
#ifndef GODWIT_BPF_INSPECT_H_
#define GODWIT_BPF_INSPECT_H_

#include <linux/types.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace godwit {

// A descriptor that is closed with its owner; -1: none.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept;
  Descriptor& operator=(Descriptor&&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

// "": there is no such program, or not any more.
std::string ProgramName(const Descriptor& program);
std::string ProgramName(__u32 program_id);

// A map that the program uses, by its name.
Descriptor MapOf(const Descriptor& program, std::string_view name);

// One element of u64 fields, by CPU and by field.
absl::StatusOr<std::vector<__u64>> ReadPerCpu(int map_fd, size_t fields);

// The same, summed over the CPUs.
template <class Counters>
absl::StatusOr<Counters> SumOverCpus(int map_fd) {
  constexpr size_t kFields = sizeof(Counters) / sizeof(__u64);
  const auto each = ReadPerCpu(map_fd, kFields);
  if (!each.ok()) return each.status();
  Counters sum = {};
  auto* total = reinterpret_cast<__u64*>(&sum);
  for (size_t i = 0; i < each->size(); ++i) total[i % kFields] += (*each)[i];
  return sum;
}

}  // namespace godwit

#endif  // GODWIT_BPF_INSPECT_H_
