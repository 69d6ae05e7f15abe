// SPDX-License-Identifier: BSD-3-Clause
//
// The control socket: gRPC over a Unix socket, every call handed to a Node.
// Who may call is who may write to the socket: its group and mode are the
// whole of the access control, and nothing is ever served over the network.
#ifndef GODWIT_CONTROL_SERVER_SERVICE_H_
#define GODWIT_CONTROL_SERVER_SERVICE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "control/api/godwit.pb.h"
#include "control/server/node.h"

namespace grpc {
class Server;
}  // namespace grpc

namespace godwit {

inline constexpr char kDefaultControlSocket[] = "/run/godwit/control.sock";
inline constexpr char kDefaultControlGroup[] = "godwit";
inline constexpr char kDefaultControlMode[] = "0660";

class ControlService;

// Listens from Start() until Shutdown() or destruction.
class ControlServer {
 public:
  // Serves `node` on the socket that `config` describes; what is absent there
  // is the default above. Neither argument's ownership passes, and `node` must
  // outlive the server. The socket appears under its name with its final owner
  // and mode, never with wider ones.
  //
  // The directory is made if it is missing. A socket that nobody answers on is
  // replaced; ALREADY_EXISTS if a daemon answers there, INVALID_ARGUMENT for a
  // path, group or mode that can't be, else what the system said.
  static absl::StatusOr<std::unique_ptr<ControlServer>> Start(
      const api::Control& config, Node& node);

  // What Start() would say of the place: for who has much to do before that.
  static absl::Status CheckPlace(const api::Control& config);

  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;
  ~ControlServer();

  // Takes no new calls, gives running ones `grace` to end, then cancels them,
  // and removes the socket. No call into the node is running when it returns:
  // it waits for those for as long as they take. May be called again.
  void Shutdown(absl::Duration grace = absl::Seconds(2));

  const std::string& path() const { return path_; }

  // What the operator should know though the socket is there; empty: nothing.
  const std::string& warning() const { return warning_; }

 private:
  ControlServer(std::string path, int directory,
                std::unique_ptr<ControlService> service,
                std::unique_ptr<grpc::Server> server, std::string warning);

  // Remembers which file is ours, so that a successor's is left alone.
  absl::Status Identify();

  std::string path_;
  int directory_;  // where the socket was born, gone by now
  std::string warning_;
  std::unique_ptr<ControlService> service_;
  std::unique_ptr<grpc::Server> server_;
  uint64_t device_ = 0;
  uint64_t inode_ = 0;
};

}  // namespace godwit

#endif  // GODWIT_CONTROL_SERVER_SERVICE_H_
