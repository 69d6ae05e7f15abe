// SPDX-License-Identifier: BSD-3-Clause
#include "control/watch/netlink.h"

#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dataplane/net/check.h"

namespace godwit {
namespace {

// The kernel answers at once; a route dump of a full table comes in pieces,
// each well within this.
constexpr int kAnswerTimeoutMs = 5000;

constexpr size_t kReceiveBytes = 256 << 10;

absl::Status NlError(absl::string_view what, int nl_error) {
  return absl::InternalError(absl::StrCat(
      what, ": ", nl_geterror(nl_error < 0 ? -nl_error : nl_error)));
}

// The text of the extended acknowledgement, behind the error and, unless
// capped, the request that it echoes. Empty if there is none.
std::string ExtendedText(const nlmsghdr& header, const nlmsgerr& error) {
  if ((header.nlmsg_flags & NLM_F_ACK_TLVS) == 0) return "";
  size_t offset = NLMSG_HDRLEN + sizeof(nlmsgerr);
  if ((header.nlmsg_flags & NLM_F_CAPPED) == 0) {
    offset += NLMSG_ALIGN(error.msg.nlmsg_len) - sizeof(nlmsghdr);
  }
  if (offset >= header.nlmsg_len) return "";
  const char* begin = reinterpret_cast<const char*>(&header) + offset;
  const nlattr* attribute =
      nla_find(reinterpret_cast<const nlattr*>(begin),
               static_cast<int>(header.nlmsg_len - offset), NLMSGERR_ATTR_MSG);
  if (attribute == nullptr) return "";
  const size_t size = static_cast<size_t>(nla_len(attribute));
  const char* text = static_cast<const char*>(nla_data(attribute));
  return std::string(text, strnlen(text, size));
}

absl::Status StatusOfError(const nlmsghdr& header, absl::string_view what) {
  const auto& error = *static_cast<const nlmsgerr*>(nlmsg_data(&header));
  if (error.error == 0) return absl::OkStatus();
  absl::Status status = absl::ErrnoToStatus(-error.error, what);
  if (error.error == -ENODEV) {  // Abseil calls it a failed precondition
    status = absl::NotFoundError(status.message());
  }
  const std::string text = ExtendedText(header, error);
  if (text.empty()) return status;
  return absl::Status(status.code(),
                      absl::StrCat(status.message(), " (", text, ")"));
}

}  // namespace

NetlinkMessage::NetlinkMessage(uint16_t type, int flags)
    : message_(nlmsg_alloc_simple(type, flags | NLM_F_REQUEST)) {
  GODWIT_CHECK(message_ != nullptr);
}

void NetlinkMessage::AppendBytes(const void* data, size_t size) {
  GODWIT_CHECK(nlmsg_append(message_.get(), const_cast<void*>(data), size,
                            NLMSG_ALIGNTO) == 0);
}

void NetlinkMessage::Put(int attribute, const void* data, size_t size) {
  GODWIT_CHECK(
      nla_put(message_.get(), attribute, static_cast<int>(size), data) == 0);
}

void NetlinkMessage::PutString(int attribute, absl::string_view text) {
  GODWIT_CHECK(nla_put_string(message_.get(), attribute,
                              std::string(text).c_str()) == 0);
}

void NetlinkMessage::PutAddress(int attribute, const IpAddress& address) {
  if (address.IsV4()) {
    Put(attribute, address.V4Bytes(), 4);
  } else {
    Put(attribute, address.bytes.data(), address.bytes.size());
  }
}

void NetlinkMessage::BeginNest(int attribute) {
  GODWIT_CHECK(open_nests_ < kMaxNests);
  nests_[open_nests_] = nla_nest_start(message_.get(), attribute);
  GODWIT_CHECK(nests_[open_nests_] != nullptr);
  ++open_nests_;
}

void NetlinkMessage::EndNest() {
  GODWIT_CHECK(open_nests_ > 0);
  --open_nests_;
  nla_nest_end(message_.get(), nests_[open_nests_]);
}

absl::StatusOr<NetlinkSocket> NetlinkSocket::Open(int protocol) {
  NetlinkSocket socket(nl_socket_alloc());
  if (socket.socket_ == nullptr) {
    return absl::ResourceExhaustedError("netlink: no memory for a socket");
  }
  const int error = nl_connect(socket.socket_.get(), protocol);
  if (error < 0) return NlError("netlink: cannot open a socket", error);
  const int on = 1;
  // Words instead of a bare errno, and filters in dumps; both since Linux
  // 4.20. Without them everything works, with shorter messages.
  setsockopt(socket.fd(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
  setsockopt(socket.fd(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
  return socket;
}

absl::Status NetlinkSocket::Subscribe(absl::Span<const int> groups) {
  for (const int group : groups) {
    const int error = nl_socket_add_membership(socket_.get(), group);
    if (error < 0) {
      return NlError(absl::StrCat("netlink: cannot join group ", group), error);
    }
  }
  return absl::OkStatus();
}

absl::Status NetlinkSocket::SetReceiveBuffer(int bytes) {
  if (setsockopt(fd(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)) < 0) {
    return absl::ErrnoToStatus(errno, "netlink: receive buffer");
  }
  return absl::OkStatus();
}

absl::Status NetlinkSocket::Send(NetlinkMessage& message,
                                 absl::string_view what) {
  nlmsghdr* header = nlmsg_hdr(message.get());
  header->nlmsg_seq = ++sequence_;
  header->nlmsg_pid = nl_socket_get_local_port(socket_.get());
  if (send(fd(), header, header->nlmsg_len, 0) < 0) {
    return absl::ErrnoToStatus(errno, what);
  }
  return absl::OkStatus();
}

absl::Status NetlinkSocket::Receive(
    absl::string_view what, absl::FunctionRef<void(const nlmsghdr&)> each) {
  std::vector<char> buffer(kReceiveBytes);
  bool interrupted = false;
  while (true) {
    pollfd readable{.fd = fd(), .events = POLLIN, .revents = 0};
    const int ready = poll(&readable, 1, kAnswerTimeoutMs);
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) {
      return absl::DeadlineExceededError(
          absl::StrCat(what, ": no answer from the kernel in 5 s"));
    }
    const ssize_t size = recv(fd(), buffer.data(), buffer.size(), MSG_TRUNC);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return absl::ErrnoToStatus(errno, what);
    if (static_cast<size_t>(size) > buffer.size()) {
      return absl::InternalError(
          absl::StrCat(what, ": answer of ", size, " bytes is too long"));
    }
    int left = static_cast<int>(size);
    for (auto* header = reinterpret_cast<nlmsghdr*>(buffer.data());
         nlmsg_ok(header, left) != 0; header = nlmsg_next(header, &left)) {
      // An answer that an earlier call gave up waiting for.
      if (header->nlmsg_seq != sequence_) continue;
      if ((header->nlmsg_flags & NLM_F_DUMP_INTR) != 0) interrupted = true;
      if (header->nlmsg_type == NLMSG_ERROR) {
        return StatusOfError(*header, what);
      }
      if (header->nlmsg_type == NLMSG_DONE) {
        // A dump's own error comes in its last message.
        const int error = nlmsg_datalen(header) >= 4
                              ? *static_cast<int*>(nlmsg_data(header))
                              : 0;
        if (error < 0) return absl::ErrnoToStatus(-error, what);
        if (!interrupted) return absl::OkStatus();
        return absl::AbortedError(absl::StrCat(what, ": changed meanwhile"));
      }
      each(*header);
    }
  }
}

absl::Status NetlinkSocket::Request(NetlinkMessage& message,
                                    absl::string_view what) {
  return Get(message, what, [](const nlmsghdr&) {});
}

absl::Status NetlinkSocket::Get(NetlinkMessage& message, absl::string_view what,
                                absl::FunctionRef<void(const nlmsghdr&)> each) {
  // The acknowledgement, which follows the object, ends the answer.
  nlmsg_hdr(message.get())->nlmsg_flags |= NLM_F_ACK;
  const absl::Status sent = Send(message, what);
  if (!sent.ok()) return sent;
  return Receive(what, each);
}

absl::Status NetlinkSocket::Dump(
    NetlinkMessage& message, absl::string_view what,
    absl::FunctionRef<void(const nlmsghdr&)> each) {
  nlmsg_hdr(message.get())->nlmsg_flags |= NLM_F_DUMP;
  const absl::Status sent = Send(message, what);
  if (!sent.ok()) return sent;
  return Receive(what, each);
}

std::optional<uint32_t> ReadU32(const nlattr* attribute) {
  if (attribute == nullptr || nla_len(attribute) < 4) return std::nullopt;
  return nla_get_u32(attribute);
}

std::optional<uint8_t> ReadU8(const nlattr* attribute) {
  if (attribute == nullptr || nla_len(attribute) < 1) return std::nullopt;
  return nla_get_u8(attribute);
}

std::optional<IpAddress> ReadAddress(const nlattr* attribute) {
  if (attribute == nullptr) return std::nullopt;
  if (nla_len(attribute) == 4) return IpAddress::FromV4(nla_data(attribute));
  if (nla_len(attribute) == 16) return IpAddress::FromV6(nla_data(attribute));
  return std::nullopt;
}

std::optional<MacAddress> ReadMac(const nlattr* attribute) {
  MacAddress mac;
  if (attribute == nullptr ||
      nla_len(attribute) != static_cast<int>(mac.size())) {
    return std::nullopt;
  }
  std::memcpy(mac.data(), nla_data(attribute), mac.size());
  return mac;
}

}  // namespace godwit
