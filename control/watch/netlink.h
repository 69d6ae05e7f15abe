// SPDX-License-Identifier: BSD-3-Clause
// One conversation with the kernel over netlink, on libnl: requests with an
// answer, dumps, and the kernel's own words when it refuses.
#ifndef GODWIT_CONTROL_WATCH_NETLINK_H_
#define GODWIT_CONTROL_WATCH_NETLINK_H_

#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/socket.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "dataplane/net/address.h"

namespace godwit {

// A request under construction.
class NetlinkMessage {
 public:
  // `type` is RTM_* or another protocol's; `flags` are NLM_F_* besides
  // NLM_F_REQUEST, which is always set.
  NetlinkMessage(uint16_t type, int flags);

  // The fixed header that comes first; once, before any attribute.
  template <typename Header>
  void Append(const Header& header) {
    AppendBytes(&header, sizeof(header));
  }
  void Put(int attribute, const void* data, size_t size);
  void PutU8(int attribute, uint8_t value) { Put(attribute, &value, 1); }
  void PutU32(int attribute, uint32_t value) { Put(attribute, &value, 4); }
  void PutString(int attribute, absl::string_view text);     // with its NUL
  void PutAddress(int attribute, const IpAddress& address);  // 4 or 16 bytes
  void PutMac(int attribute, const MacAddress& mac) {
    Put(attribute, mac.data(), mac.size());
  }
  void BeginNest(int attribute);
  void EndNest();  // closes the innermost open one

  nl_msg* get() { return message_.get(); }

 private:
  struct Free {
    void operator()(nl_msg* message) const { nlmsg_free(message); }
  };
  static constexpr int kMaxNests = 4;

  void AppendBytes(const void* data, size_t size);

  std::unique_ptr<nl_msg, Free> message_;
  nlattr* nests_[kMaxNests] = {};
  int open_nests_ = 0;
};

// A blocking netlink socket of the network namespace in which it was opened
// (the calling thread's), whatever thread uses it later. One user at a time.
class NetlinkSocket {
 public:
  // `protocol` is NETLINK_ROUTE or NETLINK_SOCK_DIAG.
  static absl::StatusOr<NetlinkSocket> Open(int protocol = NETLINK_ROUTE);

  // Events of the RTNLGRP_* groups come in from now on.
  absl::Status Subscribe(absl::Span<const int> groups);
  // What the kernel grants is at least 2,304 bytes, at most net.core.rmem_max.
  absl::Status SetReceiveBuffer(int bytes);
  int fd() const { return nl_socket_get_fd(socket_.get()); }

  // Sends and waits for the answer. The error carries the errno's canonical
  // code (EEXIST: AlreadyExists, ENOENT/ENODEV: NotFound, EPERM:
  // PermissionDenied ...) and reads "WHAT: kernel's words".
  absl::Status Request(NetlinkMessage& message, absl::string_view what);

  // Sends a dump request and calls `each` for every object. A dump that was
  // interrupted by a change is Aborted: `each` may have seen a mixture.
  absl::Status Dump(NetlinkMessage& message, absl::string_view what,
                    absl::FunctionRef<void(const nlmsghdr&)> each);

  // Like Request, for one object back (RTM_GETLINK).
  absl::Status Get(NetlinkMessage& message, absl::string_view what,
                   absl::FunctionRef<void(const nlmsghdr&)> each);

 private:
  struct Free {
    void operator()(nl_sock* socket) const { nl_socket_free(socket); }
  };
  explicit NetlinkSocket(nl_sock* socket) : socket_(socket) {}
  absl::Status Send(NetlinkMessage& message, absl::string_view what);
  absl::Status Receive(absl::string_view what,
                       absl::FunctionRef<void(const nlmsghdr&)> each);

  std::unique_ptr<nl_sock, Free> socket_;
  uint32_t sequence_ = 0;
};

// Attribute readers: nullopt when it is absent or too short.
std::optional<uint32_t> ReadU32(const nlattr* attribute);
std::optional<uint8_t> ReadU8(const nlattr* attribute);
// By the attribute's size: 4 bytes are IPv4, 16 IPv6.
std::optional<IpAddress> ReadAddress(const nlattr* attribute);
std::optional<MacAddress> ReadMac(const nlattr* attribute);

}  // namespace godwit

#endif  // GODWIT_CONTROL_WATCH_NETLINK_H_
