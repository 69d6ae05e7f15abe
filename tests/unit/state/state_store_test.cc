// SPDX-License-Identifier: BSD-3-Clause
#include "control/state/state_store.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/unit/server/scratch_directory.h"

namespace godwit {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint32_t kCapacity = 20000;  // more than one chunk of 2 MiB
constexpr uint32_t kNow = 100;

class StateStoreTest : public testing::Test {
 protected:
  std::unique_ptr<StateStore> Open() {
    auto store = StateStore::Open(scratch_.path(), socket_);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }
  fs::path Folder() const {
    return fs::canonical(scratch_ / "state") / StateFolder::NameOf(socket_);
  }
  static state::Node Node() {
    state::Node node;
    node.set_workers(1);
    node.set_cycles_per_tick(1000);
    node.set_hash_seed(std::string(32, 's'));
    (*node.mutable_queues())["dns0"] = 4;
    return node;
  }
  static void Make(Flow& flow, uint16_t number) {
    flow.kind = FlowKind::kInbound;
    flow.local_l4port = number;
    flow.deadline = kNow + 10;
    flow.seal = flow.SealOf();
  }
  // A run that leaves a flow in the first and in the last entry.
  void Leave() {
    const auto store = Open();
    BigMemory memory = store->MakeFlowFile(0, kCapacity);
    ASSERT_FALSE(memory.empty());
    FlowRegionHeader header;
    header.run = store->run();
    header.capacity = kCapacity;
    const std::span<Flow> flows = BeginFlowRegion(memory.bytes(), header);
    Make(flows[0], 1);
    Make(flows[kCapacity - 1], 2);
    ASSERT_TRUE(store->Write(Node()).ok());
  }
  fs::path FlowFile() const {
    for (const auto& entry : fs::directory_iterator(Folder())) {
      if (IsFlowFile(entry.path().filename())) return entry.path();
    }
    return {};
  }
  // How many flows the next one finds.
  size_t Found() {
    const auto store = Open();
    const auto node = store->ReadNode(why_not_);
    if (!node.has_value()) return 0;
    problems_.clear();
    return store->ReadFlows(*node, kNow, 1000, problems_).flows().size();
  }
  static void Damage(const fs::path& path, std::streamoff at) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(at);
    const auto byte = static_cast<char>(file.get() ^ 0x10);
    file.seekp(at);
    file.put(byte);
  }

  ScratchDirectory scratch_;
  const std::string socket_ = scratch_ / "control.sock";
  std::string why_not_;
  std::vector<std::string> problems_;
};

TEST_F(StateStoreTest, ASuccessorFindsWhatWasLeft) {
  EXPECT_EQ(Found(), 0u);
  EXPECT_THAT(why_not_, IsEmpty());
  Leave();
  const auto store = Open();
  const auto node = store->ReadNode(why_not_);
  ASSERT_TRUE(node.has_value()) << why_not_;
  EXPECT_EQ(node->queues().at("dns0"), 4u);
  EXPECT_EQ(
      store->ReadFlows(*node, kNow, 1000, problems_).flows()[1].local_l4port,
      2);
  EXPECT_THAT(problems_, IsEmpty());
}

TEST_F(StateStoreTest, TwoCannotHaveTheSame) {
  const auto store = Open();
  const auto other = StateStore::Open(scratch_.path(), socket_);
  EXPECT_EQ(other.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(
      StateStore::Open(scratch_.path(), scratch_ / "another.sock").ok());
}

TEST_F(StateStoreTest, EachByteOfTheNodeFileCounts) {
  Leave();
  const fs::path path = Folder() / kNodeFileName;
  const auto size = static_cast<std::streamoff>(fs::file_size(path));
  for (std::streamoff at = 0; at < size; ++at) {
    Damage(path, at);
    why_not_.clear();
    EXPECT_EQ(Found(), 0u) << at;
    EXPECT_THAT(why_not_, HasSubstr("damaged")) << at;
    Damage(path, at);
  }
  why_not_.clear();
  EXPECT_EQ(Found(), 2u);
}

TEST_F(StateStoreTest, AFlowFileOfAnotherLayoutIsLeftOut) {
  Leave();
  const std::streamoff end = offsetof(FlowRegionHeader, worker);
  for (std::streamoff at = 0; at < end; ++at) {
    Damage(FlowFile(), at);
    EXPECT_EQ(Found(), 0u) << at;
    EXPECT_EQ(problems_.size(), 1u) << at;
    Damage(FlowFile(), at);
  }
  EXPECT_EQ(Found(), 2u);
}

TEST_F(StateStoreTest, WhatACapacityPromisesMustBeThere) {
  Leave();
  Damage(FlowFile(), offsetof(FlowRegionHeader, capacity) + 3);
  EXPECT_EQ(Found(), 2u);
  EXPECT_THAT(problems_.at(0), HasSubstr("cut short"));
}

TEST_F(StateStoreTest, OfAFileThatIsCutShortTheRestIsRead) {
  Leave();
  const fs::path path = FlowFile();
  fs::resize_file(path, FlowRegionBytes(kCapacity) - 1);
  EXPECT_EQ(Found(), 1u);
  EXPECT_THAT(problems_.at(0), HasSubstr("1 entries are missing"));
  for (const size_t size : {kFlowRegionStart + 1, kFlowRegionStart, size_t{39},
                            size_t{1}, size_t{0}}) {
    fs::resize_file(path, size);
    EXPECT_EQ(Found(), 0u) << size;
    EXPECT_EQ(problems_.size(), 1u) << size;
  }
  fs::remove(path);
  EXPECT_EQ(Found(), 0u);
  EXPECT_EQ(problems_.size(), 1u);
}

TEST_F(StateStoreTest, AnotherLayoutOfTheNodeIsNotUsed) {
  Leave();
  const fs::path path = Folder() / kNodeFileName;
  {
    const auto store = Open();
    state::Node node = *store->ReadNode(why_not_);
    node.set_hash_seed("short");
    ASSERT_TRUE(store->Write(node).ok());
  }
  EXPECT_EQ(Found(), 0u);
  EXPECT_THAT(why_not_, HasSubstr("not complete"));
}

TEST_F(StateStoreTest, OneThatDiesWhileItTakesOverLeavesWhatItFound) {
  Leave();
  {
    const auto store = Open();
    EXPECT_FALSE(store->MakeFlowFile(0, kCapacity).empty());
  }
  EXPECT_EQ(Found(), 2u);
}

TEST_F(StateStoreTest, RestKeepsWhatIsInUseAndGivesTheRestBack) {
  const auto store = Open();
  BigMemory memory = store->MakeFlowFile(0, kCapacity);
  FlowRegionHeader header;
  header.run = store->run();
  header.capacity = kCapacity;
  const std::span<Flow> flows = BeginFlowRegion(memory.bytes(), header);
  Make(flows[kCapacity - 1], 2);
  ASSERT_TRUE(store->Write(Node()).ok());
  struct stat before = {};
  struct stat after = {};
  ASSERT_EQ(stat(FlowFile().c_str(), &before), 0);
  store->Rest();
  ASSERT_EQ(stat(FlowFile().c_str(), &after), 0);
  EXPECT_LT(after.st_blocks, before.st_blocks);
  EXPECT_EQ(after.st_size, before.st_size);
  EXPECT_EQ(store->ReadFlows(*store->ReadNode(why_not_), kNow, 1000, problems_)
                .flows()
                .size(),
            1u);
  flows[kCapacity - 1].kind = FlowKind::kFree;
  store->Rest();
  EXPECT_FALSE(fs::exists(Folder()));
}

TEST_F(StateStoreTest, WhatANodeThatIsGoneHasLeftGoes) {
  const std::string other = scratch_ / "other";
  fs::create_directory(other);
  fs::path folder;
  {
    auto gone = StateStore::Open(scratch_.path(), other + "/control.sock");
    ASSERT_TRUE(gone.ok());
    EXPECT_FALSE((*gone)->MakeFlowFile(0, kCapacity).empty());
    ASSERT_TRUE((*gone)->Write(Node()).ok());
    folder = fs::canonical(scratch_ / "state") /
             StateFolder::NameOf(other + "/control.sock");
  }
  Open();
  EXPECT_TRUE(fs::exists(folder));  // it may come back
  fs::remove_all(other);
  Open();
  EXPECT_FALSE(fs::exists(folder));
}

TEST_F(StateStoreTest, EachPathHasAFolderOfItsOwn) {
  EXPECT_EQ(StateFolder::NameOf("/run/godwit/control.sock"),
            "run+godwit+control.sock");
  EXPECT_NE(StateFolder::NameOf("/a/b"), StateFolder::NameOf("/a+b"));
  EXPECT_NE(StateFolder::NameOf("/a%2Bb"), StateFolder::NameOf("/a+b"));
}

}  // namespace
}  // namespace godwit
