// SPDX-License-Identifier: BSD-3-Clause
#include "control/server/service.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "control/api/godwit.grpc.pb.h"
#include "grpcpp/grpcpp.h"

namespace godwit {

// Every call is one line: what it means is the node's business.
class ControlService final : public api::Godwit::Service {
  using Context = grpc::ServerContext;

 public:
  explicit ControlService(Node& node) : node_(node) {}

  grpc::Status Status(Context*, const api::StatusRequest* request,
                      api::StatusReply* reply) override {
    return Answer(node_.Status(*request), reply);
  }
  grpc::Status ServiceList(Context*, const api::ServiceListRequest* request,
                           api::ServiceListReply* reply) override {
    return Answer(node_.ServiceList(*request), reply);
  }
  grpc::Status ServiceSet(Context*, const api::ServiceSetRequest* request,
                          api::ChangeReply* reply) override {
    return Answer(node_.ServiceSet(*request), reply);
  }
  grpc::Status ServiceRemove(Context*, const api::ServiceRemoveRequest* request,
                             api::ChangeReply* reply) override {
    return Answer(node_.ServiceRemove(*request), reply);
  }
  grpc::Status QueueList(Context*, const api::QueueListRequest* request,
                         api::QueueListReply* reply) override {
    return Answer(node_.QueueList(*request), reply);
  }
  grpc::Status QueueSet(Context*, const api::QueueSetRequest* request,
                        api::ChangeReply* reply) override {
    return Answer(node_.QueueSet(*request), reply);
  }
  grpc::Status QueueDrain(Context*, const api::QueueDrainRequest* request,
                          api::ChangeReply* reply) override {
    return Answer(node_.QueueDrain(*request), reply);
  }
  grpc::Status QueueRemove(Context*, const api::QueueRemoveRequest* request,
                           api::ChangeReply* reply) override {
    return Answer(node_.QueueRemove(*request), reply);
  }
  grpc::Status UplinkList(Context*, const api::UplinkListRequest* request,
                          api::UplinkListReply* reply) override {
    return Answer(node_.UplinkList(*request), reply);
  }
  grpc::Status EgressShow(Context*, const api::EgressShowRequest* request,
                          api::EgressShowReply* reply) override {
    return Answer(node_.EgressShow(*request), reply);
  }
  grpc::Status EgressSet(Context*, const api::EgressSetRequest* request,
                         api::ChangeReply* reply) override {
    return Answer(node_.EgressSet(*request), reply);
  }
  grpc::Status FlowList(Context*, const api::FlowListRequest* request,
                        api::FlowListReply* reply) override {
    return Answer(node_.FlowList(*request), reply);
  }
  grpc::Status FlowCount(Context*, const api::FlowCountRequest* request,
                         api::FlowCountReply* reply) override {
    return Answer(node_.FlowCount(*request), reply);
  }
  grpc::Status FlowFlush(Context*, const api::FlowFlushRequest* request,
                         api::FlowFlushReply* reply) override {
    return Answer(node_.FlowFlush(*request), reply);
  }
  grpc::Status NeighborList(Context*, const api::NeighborListRequest* request,
                            api::NeighborListReply* reply) override {
    return Answer(node_.NeighborList(*request), reply);
  }
  grpc::Status RouteList(Context*, const api::RouteListRequest* request,
                         api::RouteListReply* reply) override {
    return Answer(node_.RouteList(*request), reply);
  }
  grpc::Status Counters(Context*, const api::CountersRequest* request,
                        api::CountersReply* reply) override {
    return Answer(node_.Counters(*request), reply);
  }
  grpc::Status Explain(Context*, const api::ExplainRequest* request,
                       api::ExplainReply* reply) override {
    return Answer(node_.Explain(*request), reply);
  }
  grpc::Status ConfigShow(Context*, const api::ConfigShowRequest* request,
                          api::ConfigShowReply* reply) override {
    return Answer(node_.ConfigShow(*request), reply);
  }
  grpc::Status ConfigCheck(Context*, const api::ConfigCheckRequest* request,
                           api::ConfigCheckReply* reply) override {
    return Answer(node_.ConfigCheck(*request), reply);
  }
  grpc::Status ConfigDiff(Context*, const api::ConfigDiffRequest* request,
                          api::ConfigDiffReply* reply) override {
    return Answer(node_.ConfigDiff(*request), reply);
  }
  grpc::Status ConfigApply(Context*, const api::ConfigApplyRequest* request,
                           api::ChangeReply* reply) override {
    return Answer(node_.ConfigApply(*request), reply);
  }
  grpc::Status ConfigConfirm(Context*, const api::ConfigConfirmRequest* request,
                             api::ChangeReply* reply) override {
    return Answer(node_.ConfigConfirm(*request), reply);
  }
  grpc::Status ConfigRollback(Context*,
                              const api::ConfigRollbackRequest* request,
                              api::ChangeReply* reply) override {
    return Answer(node_.ConfigRollback(*request), reply);
  }
  grpc::Status ConfigHistory(Context*, const api::ConfigHistoryRequest* request,
                             api::ConfigHistoryReply* reply) override {
    return Answer(node_.ConfigHistory(*request), reply);
  }
  grpc::Status ConfigSave(Context*, const api::ConfigSaveRequest* request,
                          api::ConfigSaveReply* reply) override {
    return Answer(node_.ConfigSave(*request), reply);
  }
  grpc::Status Upgrade(Context*, const api::UpgradeRequest* request,
                       api::ChangeReply* reply) override {
    return Answer(node_.Upgrade(*request), reply);
  }
  grpc::Status Version(Context*, const api::VersionRequest* request,
                       api::VersionReply* reply) override {
    return Answer(node_.Version(*request), reply);
  }

 private:
  template <typename Reply>
  static grpc::Status Answer(absl::StatusOr<Reply> from_node, Reply* reply) {
    if (from_node.ok()) {
      *reply = *std::move(from_node);
      return grpc::Status::OK;
    }
    // Abseil took its codes from gRPC: the numbers are the same.
    return grpc::Status(
        static_cast<grpc::StatusCode>(from_node.status().code()),
        std::string(from_node.status().message()));
  }

  Node& node_;
};

namespace {

absl::Status Errno(const std::string& path, absl::string_view what) {
  const int error = errno;
  return absl::ErrnoToStatus(
      error, absl::StrCat("control.socket: ", path, ": ", what));
}

// Who the socket belongs to.
struct Access {
  gid_t group = 0;
  mode_t mode = 0;
  std::string warning;
};

absl::StatusOr<Access> ReadAccess(const api::Control& config) {
  Access access;
  const std::string mode =
      config.mode().empty() ? kDefaultControlMode : config.mode();
  char* end = nullptr;
  const unsigned long bits = std::strtoul(mode.c_str(), &end, 8);
  if (mode[0] < '0' || mode[0] > '7' || *end != '\0' || bits > 0777) {
    return absl::InvalidArgumentError(
        absl::StrCat("control.mode: \"", mode,
                     "\" is not a file mode in octal, such as 0660"));
  }
  access.mode = static_cast<mode_t>(bits);
  access.group = getegid();
  const std::string group =
      config.group().empty() ? kDefaultControlGroup : config.group();
  errno = 0;
  if (const struct group* entry = getgrnam(group.c_str())) {
    access.group = entry->gr_gid;
    return access;
  }
  // The package makes its own group; without it the socket is only narrower.
  if (group != kDefaultControlGroup) {
    return absl::InvalidArgumentError(absl::StrCat(
        "control.group: \"", group, "\" is not a group of this system"));
  }
  access.warning = absl::StrCat("control.group: this system has no group \"",
                                group, "\": the socket is its owner's alone");
  access.mode &= ~static_cast<mode_t>(S_IRWXG);
  return access;
}

std::string PathOf(const api::Control& config) {
  return config.socket().empty() ? kDefaultControlSocket : config.socket();
}

absl::StatusOr<sockaddr_un> SocketAddress(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  constexpr size_t kLongest = sizeof(address.sun_path) - 1;
  if (path.empty() || path[0] != '/' || path.back() == '/' ||
      path.size() > kLongest) {
    return absl::InvalidArgumentError(absl::StrCat(
        "control.socket: \"", path, "\" is not an absolute path of at most ",
        kLongest, " bytes"));
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

// OK if the place is free, or held by a socket that nobody answers on.
absl::Status CheckIsFree(const std::string& path, const sockaddr_un& address) {
  struct stat found = {};
  if (lstat(path.c_str(), &found) != 0) {
    return errno == ENOENT ? absl::OkStatus() : Errno(path, "stat");
  }
  if (!S_ISSOCK(found.st_mode)) {
    return absl::AlreadyExistsError(absl::StrCat(
        "control.socket: ", path, " is there and is not a socket"));
  }
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return Errno(path, "socket");
  const int result =
      connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  const int error = errno;
  close(fd);
  // EAGAIN: somebody listens, and has more callers than it can take.
  if (result == 0 || error == EAGAIN) {
    return absl::AlreadyExistsError(absl::StrCat(
        "control.socket: a daemon answers on ", path,
        " already: stop it, or give this one a socket of its own"));
  }
  return absl::OkStatus();
}

absl::Status MakeDirectory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(),
                                      error);
  if (!error) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("control.socket: ", path,
                   ": its directory can't be made: ", error.message()));
}

}  // namespace

absl::Status ControlServer::CheckPlace(const api::Control& config) {
  const std::string path = PathOf(config);
  const absl::StatusOr<sockaddr_un> address = SocketAddress(path);
  if (!address.ok()) return address.status();
  return CheckIsFree(path, *address);
}

// gRPC binds with whatever the umask leaves open, and would take a live
// daemon's socket from it. So it binds inside a directory that only we can
// enter, and the socket moves to its place once it has its owner and mode.
absl::StatusOr<std::unique_ptr<ControlServer>> ControlServer::Start(
    const api::Control& config, Node& node) {
  const std::string path = PathOf(config);
  const absl::StatusOr<Access> access = ReadAccess(config);
  if (!access.ok()) return access.status();
  const absl::StatusOr<sockaddr_un> address = SocketAddress(path);
  if (!address.ok()) return address.status();
  absl::Status status = CheckIsFree(path, *address);
  if (status.ok()) status = MakeDirectory(path);
  if (!status.ok()) return status;

  std::string birthplace = absl::StrCat(path, ".XXXXXX");
  if (mkdtemp(birthplace.data()) == nullptr) {
    return Errno(path, "a directory beside it can't be made");
  }
  const std::string newborn = absl::StrCat(birthplace, "/s");
  // A socket's name is short, and the path may be as long as one. Kept open, so
  // that the name stands for nothing else while gRPC remembers it.
  const int directory =
      open(birthplace.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);

  auto service = std::make_unique<ControlService>(node);
  grpc::ServerBuilder builder;
  builder.AddListeningPort(absl::StrCat("unix:/proc/self/fd/", directory, "/s"),
                           grpc::InsecureServerCredentials());
  builder.RegisterService(service.get());
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();

  if (server == nullptr) {
    status = absl::UnavailableError(
        absl::StrCat("control.socket: ", path, ": gRPC can't listen there"));
  } else if (chown(newborn.c_str(), geteuid(), access->group) != 0) {
    status = Errno(path, "chown");
  } else if (chmod(newborn.c_str(), access->mode) != 0) {
    status = Errno(path, "chmod");
  } else if (std::rename(newborn.c_str(), path.c_str()) != 0) {
    status = Errno(path, "rename");
  }
  if (!status.ok()) unlink(newborn.c_str());
  rmdir(birthplace.c_str());
  if (!status.ok()) {
    server.reset();
    close(directory);
    return status;
  }

  std::unique_ptr<ControlServer> control(new ControlServer(
      path, directory, std::move(service), std::move(server), access->warning));
  status = control->Identify();
  if (!status.ok()) return status;
  return control;
}

ControlServer::ControlServer(std::string path, int directory,
                             std::unique_ptr<ControlService> service,
                             std::unique_ptr<grpc::Server> server,
                             std::string warning)
    : path_(std::move(path)),
      directory_(directory),
      warning_(std::move(warning)),
      service_(std::move(service)),
      server_(std::move(server)) {}

ControlServer::~ControlServer() { Shutdown(); }

absl::Status ControlServer::Identify() {
  struct stat ours = {};
  if (lstat(path_.c_str(), &ours) != 0) return Errno(path_, "stat");
  device_ = ours.st_dev;
  inode_ = ours.st_ino;
  return absl::OkStatus();
}

void ControlServer::Shutdown(absl::Duration grace) {
  if (server_ == nullptr) return;
  // First, so that no new caller meets a server that only says goodbye.
  struct stat found = {};
  if (lstat(path_.c_str(), &found) == 0 && found.st_dev == device_ &&
      found.st_ino == inode_) {
    unlink(path_.c_str());
  }
  server_->Shutdown(absl::ToChronoTime(absl::Now() + grace));
  server_->Wait();
  server_.reset();
  close(directory_);
}

}  // namespace godwit
