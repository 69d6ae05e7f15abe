// SPDX-License-Identifier: BSD-3-Clause
// An XDP program on one interface, held by a bpf_link.
#ifndef GODWIT_BPF_XDP_ATTACHMENT_H_
#define GODWIT_BPF_XDP_ATTACHMENT_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace godwit {

enum class XdpMode : uint8_t { kNative, kGeneric };

class XdpAttachment {
 public:
  // Native, else generic. The link goes when its owner dies, cleanly or not,
  // unless it is pinned: with `pin_folder` (on a bpffs; one is mounted there if
  // it is not) a crash leaves the program in place. It then drops what is ours,
  // and the next Attach with the same folder takes the link over and exchanges
  // the program in one step. "": no pin.
  // An XDP program that a crashed run left without a link is replaced; anybody
  // else's is refused, and so is a second live owner.
  static absl::StatusOr<std::unique_ptr<XdpAttachment>> Attach(
      const std::string& interface_name, int program_fd,
      const std::string& pin_folder);
  ~XdpAttachment();
  XdpAttachment(const XdpAttachment&) = delete;
  XdpAttachment& operator=(const XdpAttachment&) = delete;

  XdpMode mode() const { return mode_; }
  // The pin stays when this is destroyed; without a pin nothing does.
  void Leave() { leave_ = true; }

 private:
  XdpAttachment(int link_fd, XdpMode mode, std::string pin_path)
      : link_fd_(link_fd), mode_(mode), pin_path_(std::move(pin_path)) {}
  const int link_fd_;
  const XdpMode mode_;
  const std::string pin_path_;
  bool leave_ = false;
};

}  // namespace godwit

#endif  // GODWIT_BPF_XDP_ATTACHMENT_H_
