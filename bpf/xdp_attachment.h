// SPDX-License-Identifier: BSD-3-Clause
// Our XDP program on one interface. It is the interface's, by netlink, not this
// process's: a process that dies leaves it, and nothing that is ours reaches
// the kernel until a successor has put its own in its place.
#ifndef GODWIT_BPF_XDP_ATTACHMENT_H_
#define GODWIT_BPF_XDP_ATTACHMENT_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bpf/inspect.h"
#include "bpf/map_layout.h"

namespace godwit {

enum class XdpMode : uint8_t { kNative, kGeneric };

class XdpAttachment {
 public:
  // Native, else generic. The program of a dead process is exchanged in one
  // step, in the mode that it has; the one that a dead process's libxdp has
  // attached is removed before; anybody else's is refused. That no live process
  // has the interface is for the caller to know.
  static absl::StatusOr<std::unique_ptr<XdpAttachment>> Attach(
      const std::string& interface_name, int program_fd);
  // The program that a process which is gone has left there, if there is one;
  // never this process's own.
  static std::unique_ptr<XdpAttachment> FindLeftover(int ifindex);
  // Removes the program, if it is still this one.
  ~XdpAttachment();
  XdpAttachment(const XdpAttachment&) = delete;
  XdpAttachment& operator=(const XdpAttachment&) = delete;

  XdpMode mode() const { return mode_; }
  // What the program of the one before had counted when it was exchanged.
  const std::optional<SteerCounters>& predecessor() const {
    return predecessor_;
  }
  // The program stays when this is destroyed.
  void Leave() { leave_ = true; }

 private:
  XdpAttachment(int ifindex, XdpMode mode, Descriptor program);

  const int ifindex_;
  const XdpMode mode_;
  const Descriptor program_;
  std::optional<SteerCounters> predecessor_;
  bool leave_ = false;
};

}  // namespace godwit

#endif  // GODWIT_BPF_XDP_ATTACHMENT_H_
