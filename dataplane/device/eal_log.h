// SPDX-License-Identifier: BSD-3-Clause
// What DPDK, libbpf and libxdp have to say: to stderr from warnings on, one
// prefixed line each; or, while something is being tried, into its error text.
#ifndef GODWIT_DATAPLANE_DEVICE_EAL_LOG_H_
#define GODWIT_DATAPLANE_DEVICE_EAL_LOG_H_

#include <string>

namespace godwit {

// Routes the three libraries' logs; before anything of them is called. Any
// number of calls.
void InstallEalLog();

// While one lives, lines are kept instead of printed: an operation that fails
// says why in its own error, and one that is retried makes no noise. One at a
// time, on the control thread; lines of other threads are kept too.
class EalLogCapture {
 public:
  EalLogCapture();
  ~EalLogCapture();
  EalLogCapture(const EalLogCapture&) = delete;
  EalLogCapture& operator=(const EalLogCapture&) = delete;

  // ": " and the first and the last line kept (the cause and what gave up),
  // or empty: to be appended to an error text.
  std::string Why() const;
  void Clear();
};

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_DEVICE_EAL_LOG_H_
