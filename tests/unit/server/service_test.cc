// SPDX-License-Identifier: BSD-3-Clause
#include "control/server/service.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "control/api/godwit.grpc.pb.h"
#include "tests/unit/server/scratch_directory.h"
#include "tests/unit/server/small_node.h"

namespace godwit {
namespace {

using ::testing::HasSubstr;

std::unique_ptr<api::Godwit::Stub> Connect(const std::string& path) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, 1 << 20);
  // Each test has a channel of its own, also after one that failed.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return api::Godwit::NewStub(
      grpc::CreateCustomChannel(absl::StrCat("unix:", path),
                                grpc::InsecureChannelCredentials(), arguments));
}

grpc::Status AskStatus(const std::string& path, api::StatusReply* reply) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::seconds(10));
  return Connect(path)->Status(&context, {}, reply);
}

struct stat Stat(const std::string& path) {
  struct stat found = {};
  EXPECT_EQ(lstat(path.c_str(), &found), 0) << path;
  return found;
}

class ServiceTest : public ::testing::Test {
 protected:
  ServiceTest() { config_.set_socket(scratch_ / "control.sock"); }

  std::unique_ptr<ControlServer> StartOrDie() {
    auto server = ControlServer::Start(config_, node_);
    EXPECT_TRUE(server.ok()) << server.status();
    return server.ok() ? *std::move(server) : nullptr;
  }

  // A refusal names the key and says `why`; what was in the directory stays.
  void ExpectRefused(absl::StatusCode code, const std::string& why) {
    const auto server = ControlServer::Start(config_, node_);
    ASSERT_FALSE(server.ok());
    EXPECT_EQ(server.status().code(), code) << server.status();
    EXPECT_THAT(std::string(server.status().message()), HasSubstr(why));
  }

  // A socket as a daemon leaves it that was killed.
  void LeaveStaleSocket() {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, config_.socket().c_str(),
                 sizeof(address.sun_path) - 1);
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)),
              0);
    ASSERT_EQ(listen(fd, 1), 0);
    close(fd);
  }

  ScratchDirectory scratch_;
  SmallNode node_;
  api::Control config_;
};

TEST_F(ServiceTest, CarriesACallToTheNodeAndItsAnswerBack) {
  node_.status.set_ready(true);
  node_.status.set_generation(18446744073709551615U);
  const auto server = StartOrDie();
  api::StatusReply reply;
  const grpc::Status status = AskStatus(config_.socket(), &reply);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_TRUE(reply.ready());
  EXPECT_EQ(reply.generation(), 18446744073709551615U);
}

TEST_F(ServiceTest, CarriesARefusalWithItsCodeAndEveryLine) {
  std::string message;
  for (int line = 0; line < 1000; ++line) {
    absl::StrAppend(&message, "godwit.yaml:", line, ": \"ü\" is not a name\n");
  }
  node_.refusal = absl::FailedPreconditionError(message);
  const auto server = StartOrDie();
  api::StatusReply reply;
  const grpc::Status status = AskStatus(config_.socket(), &reply);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(status.error_message(), message);
}

TEST_F(ServiceTest, ServesManyCallersAtOnce) {
  std::atomic<int> inside = 0;
  absl::Notification all_inside;
  node_.before = [&] {
    if (++inside == 4) all_inside.Notify();
    all_inside.WaitForNotificationWithTimeout(absl::Seconds(10));
  };
  const auto server = StartOrDie();
  std::vector<std::thread> callers;
  std::atomic<int> answered = 0;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      api::StatusReply reply;
      if (AskStatus(config_.socket(), &reply).ok()) ++answered;
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_TRUE(all_inside.HasBeenNotified());
  EXPECT_EQ(answered, 4);
}

TEST_F(ServiceTest, GivesTheSocketItsGroupAndMode) {
  config_.set_group("daemon");
  config_.set_mode("0640");
  const auto server = StartOrDie();
  const struct stat found = Stat(config_.socket());
  EXPECT_TRUE(S_ISSOCK(found.st_mode));
  EXPECT_EQ(found.st_mode & 0777U, 0640U);
  EXPECT_EQ(found.st_gid, getgrnam("daemon")->gr_gid);
  EXPECT_EQ(server->warning(), "");
}

// Whether this machine has the group or not: an installed godwit brings it.
TEST_F(ServiceTest, WithoutTheDefaultGroupTheSocketIsItsOwnersAlone) {
  const group* const there = getgrnam(kDefaultControlGroup);
  const gid_t expected = there == nullptr ? getegid() : there->gr_gid;
  const auto server = StartOrDie();
  const struct stat found = Stat(config_.socket());
  EXPECT_EQ(found.st_gid, expected);
  EXPECT_EQ(found.st_mode & 0777U, there == nullptr ? 0600U : 0660U);
  EXPECT_THAT(server->warning(), there == nullptr
                                     ? HasSubstr("no group \"godwit\"")
                                     : HasSubstr(""));
  EXPECT_EQ(server->warning().empty(), there != nullptr);
}

TEST_F(ServiceTest, MakesTheDirectoryAndLeavesNothingElseInIt) {
  config_.set_socket(scratch_ / "run/godwit/control.sock");
  auto server = StartOrDie();
  const auto directory = [this] {
    return std::filesystem::directory_iterator(scratch_ / "run/godwit");
  };
  EXPECT_EQ(std::distance(directory(), {}), 1);
  server->Shutdown();
  EXPECT_EQ(std::distance(directory(), {}), 0);
}

TEST_F(ServiceTest, ReplacesTheSocketOfADeadDaemon) {
  LeaveStaleSocket();
  const auto server = StartOrDie();
  api::StatusReply reply;
  EXPECT_TRUE(AskStatus(config_.socket(), &reply).ok());
}

TEST_F(ServiceTest, RefusesTheSocketOfALiveDaemonAndLeavesItAlone) {
  const auto server = StartOrDie();
  ExpectRefused(absl::StatusCode::kAlreadyExists, "a daemon answers on");
  api::StatusReply reply;
  EXPECT_TRUE(AskStatus(config_.socket(), &reply).ok());
}

TEST_F(ServiceTest, RefusesAPlaceThatIsNoSocket) {
  std::ofstream(config_.socket()) << "precious";
  ExpectRefused(absl::StatusCode::kAlreadyExists, "is not a socket");
  EXPECT_EQ(std::filesystem::file_size(config_.socket()), 8U);
}

TEST_F(ServiceTest, RefusesAGroupThatIsNone) {
  config_.set_group("nosuchgroup");
  ExpectRefused(absl::StatusCode::kInvalidArgument,
                "control.group: \"nosuchgroup\"");
}

TEST_F(ServiceTest, RefusesAModeThatIsNone) {
  for (const char* mode : {"0888", "rw", "1777", "-1", "0660x", " 660"}) {
    config_.set_mode(mode);
    ExpectRefused(absl::StatusCode::kInvalidArgument,
                  absl::StrCat("control.mode: \"", mode, "\""));
  }
}

TEST_F(ServiceTest, RefusesAPathThatIsNone) {
  for (const std::string& path :
       {std::string("control.sock"), std::string("/run/"),
        absl::StrCat("/", std::string(107, 'x'))}) {
    config_.set_socket(path);
    ExpectRefused(absl::StatusCode::kInvalidArgument, "control.socket: ");
  }
}

TEST_F(ServiceTest, TakesTheLongestPathThatItAllows) {
  const size_t room = 107 - scratch_.path().size() - 1;
  config_.set_socket(scratch_ / std::string(room, 'x'));
  const auto server = StartOrDie();
  api::StatusReply reply;
  EXPECT_TRUE(AskStatus(config_.socket(), &reply).ok());
}

TEST_F(ServiceTest, ShutdownEndsCallsAndRemovesTheSocket) {
  absl::Notification inside;
  node_.before = [&] {
    inside.Notify();
    absl::SleepFor(absl::Milliseconds(200));
  };
  const auto server = StartOrDie();
  grpc::Status status;
  std::thread caller([&] {
    api::StatusReply reply;
    status = AskStatus(config_.socket(), &reply);
  });
  inside.WaitForNotification();
  server->Shutdown(absl::Seconds(5));
  EXPECT_NE(node_.last(), "") << "a call was still running";
  caller.join();
  EXPECT_TRUE(status.ok()) << "it had time to end: " << status.error_message();
  EXPECT_FALSE(std::filesystem::exists(config_.socket()));
}

TEST_F(ServiceTest, ShutdownLeavesASuccessorsSocketAlone) {
  const auto server = StartOrDie();
  std::filesystem::remove(config_.socket());
  const auto successor = StartOrDie();
  server->Shutdown();
  api::StatusReply reply;
  EXPECT_TRUE(AskStatus(config_.socket(), &reply).ok());
}

}  // namespace
}  // namespace godwit
