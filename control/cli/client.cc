// SPDX-License-Identifier: BSD-3-Clause
#include "control/cli/client.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "grpcpp/grpcpp.h"

namespace godwit::cli {
namespace {

absl::Status Unreachable(const std::string& socket, absl::string_view reason) {
  return absl::UnavailableError(
      absl::StrCat("no godwitd answers on ", socket, ": ", reason,
                   " (is it running? --socket PATH names another socket)"));
}

// gRPC would say less, and later: this names the reason.
absl::Status Probe(const std::string& socket) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (socket.empty() || socket.size() >= sizeof(address.sun_path)) {
    return Unreachable(
        socket, absl::StrCat("a path has 1 to ", sizeof(address.sun_path) - 1,
                             " characters"));
  }
  std::memcpy(address.sun_path, socket.c_str(), socket.size() + 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return Unreachable(socket, std::strerror(errno));
  const int result =
      connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  const int error = errno;
  close(fd);
  if (result != 0) return Unreachable(socket, std::strerror(error));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Client> Client::Connect(const std::string& socket) {
  const absl::Status probe = Probe(socket);
  if (!probe.ok()) return probe;
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);  // a flow list is as long as it is
  // A refusal lists every error of a file; gRPC's own bound is 8 KiB.
  arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, 1 << 20);
  return Client(socket, api::Godwit::NewStub(grpc::CreateCustomChannel(
                            absl::StrCat("unix:", socket),
                            grpc::InsecureChannelCredentials(), arguments)));
}

absl::Status Client::ToStatus(const grpc::Status& status,
                              absl::Duration patience) const {
  switch (status.error_code()) {
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return Unreachable(
          socket_, absl::StrCat("silent for ", absl::FormatDuration(patience)));
    case grpc::StatusCode::UNAVAILABLE:
      return Unreachable(socket_, status.error_message());
    default:
      return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                          status.error_message());
  }
}

absl::StatusOr<api::ChangeReply> Client::AwaitNext(
    absl::Duration patience) const {
  const absl::Time deadline = absl::Now() + patience;
  while (absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(20));
    absl::StatusOr<Client> next = Connect(socket_);
    if (!next.ok()) continue;
    auto status = next->Call(&Stub::Status, api::StatusRequest());
    if (!status.ok()) continue;
    api::ChangeReply reply;
    reply.set_generation(status->generation());
    reply.set_message(absl::StrCat("ok, version ", status->version(), ", ",
                                   status->flows(), " flows go on"));
    return reply;
  }
  return absl::UnavailableError(
      absl::StrCat(socket_, ": the next daemon does not answer within ",
                   absl::FormatDuration(patience), ": its log says why"));
}

}  // namespace godwit::cli
