// SPDX-License-Identifier: BSD-3-Clause
//
// The way to the daemon: one Unix socket, one call, one deadline.
#ifndef GODWIT_CONTROL_CLI_CLIENT_H_
#define GODWIT_CONTROL_CLI_CLIENT_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "control/api/godwit.grpc.pb.h"

namespace godwit::cli {

class Client {
 public:
  // UNAVAILABLE if nobody listens on `socket`, with the reason.
  static absl::StatusOr<Client> Connect(const std::string& socket);

  // What has become of an upgrade, as the next daemon on the socket says. The
  // one that has agreed to an upgrade answers nothing more, so that it is the
  // first who does.
  absl::StatusOr<api::ChangeReply> AwaitNext(absl::Duration patience) const;

  using Stub = api::Godwit::Stub;
  template <typename Request, typename Reply>
  using Method = grpc::Status (Stub::*)(grpc::ClientContext*, const Request&,
                                        Reply*);

  // What the daemon answers, or why it refused. UNAVAILABLE if it went away or
  // did not answer within `patience`.
  template <typename Request, typename Reply>
  absl::StatusOr<Reply> Call(Method<Request, Reply> method,
                             const Request& request,
                             absl::Duration patience = absl::Seconds(30)) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + patience));
    Reply reply;
    const grpc::Status status =
        (stub_.get()->*method)(&context, request, &reply);
    if (status.ok()) return reply;
    return ToStatus(status, patience);
  }

 private:
  Client(std::string socket, std::unique_ptr<Stub> stub)
      : socket_(std::move(socket)), stub_(std::move(stub)) {}

  absl::Status ToStatus(const grpc::Status& status,
                        absl::Duration patience) const;

  std::string socket_;
  std::unique_ptr<Stub> stub_;
};

}  // namespace godwit::cli

#endif  // GODWIT_CONTROL_CLI_CLIENT_H_
