// SPDX-License-Identifier: BSD-3-Clause
#include "control/state/state_store.h"

#include <fcntl.h>
#include <nmmintrin.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "dataplane/table/random_stream.h"

namespace godwit {
namespace {

// Before what protobuf makes of it: it takes nearly anything for a message.
struct FileHead {
  static constexpr uint64_t kMagic = 0x65646f6e74697764;  // "dwitnode"
  uint64_t magic = kMagic;
  uint32_t size = 0;
  uint32_t check = 0;  // CRC-32C of the message
};

constexpr size_t kReadBytes = size_t{1} << 20;  // whole entries
static_assert(kReadBytes % sizeof(Flow) == 0);

uint32_t CheckOf(const std::string& text) {
  uint64_t sum = UINT32_MAX;
  for (const char byte : text) {
    sum = _mm_crc32_u8(static_cast<uint32_t>(sum), static_cast<uint8_t>(byte));
  }
  return static_cast<uint32_t>(sum);
}

std::string ReadWhole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string Boot() {
  const std::string id = ReadWhole("/proc/sys/kernel/random/boot_id");
  return std::string(absl::StripSuffix(id, "\n"));
}

// Never given to another while the machine is up; 0 before Linux 5.14.
uint64_t NetworkNamespace() {
  const OwnedFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  uint64_t cookie = 0;
  socklen_t size = sizeof(cookie);
  constexpr int kSoNetnsCookie = 71;
  if (fd.get() < 0 ||
      getsockopt(fd.get(), SOL_SOCKET, kSoNetnsCookie, &cookie, &size) != 0) {
    return 0;
  }
  return cookie;
}

uint64_t RandomNumber() {
  const RandomStream::Seed seed = RandomStream::SystemSeed();
  uint64_t number;
  static_assert(sizeof(seed) >= sizeof(number));
  std::memcpy(&number, seed.data(), sizeof(number));
  return number;
}

std::optional<state::Node> Parse(const std::string& text) {
  FileHead head;
  if (text.size() < sizeof(head)) return std::nullopt;
  std::memcpy(&head, text.data(), sizeof(head));
  const std::string message = text.substr(sizeof(head));
  state::Node node;
  if (head.magic != FileHead::kMagic || head.size != message.size() ||
      head.check != CheckOf(message) || !node.ParseFromString(message)) {
    return std::nullopt;
  }
  return node;
}

}  // namespace

StateStore::StateStore(StateFolder folder, std::string control_socket)
    : folder_(std::move(folder)),
      control_socket_(std::move(control_socket)),
      boot_(Boot()),
      network_namespace_(NetworkNamespace()),
      run_(RandomNumber()) {}

absl::StatusOr<std::unique_ptr<StateStore>> StateStore::Open(
    const std::string& folder, const std::string& control_socket) {
  const auto root = StateRoot(folder);
  if (!root.ok()) return root.status();
  auto held = StateFolder::Hold(*root, control_socket);
  if (!held.ok()) return held.status();
  RemoveGone(*root, held->path());
  std::error_code error;
  const auto absolute = std::filesystem::absolute(control_socket, error);
  return std::unique_ptr<StateStore>(
      new StateStore(*std::move(held), absolute.string()));
}

// A node whose socket's folder is gone does not come back.
void StateStore::RemoveGone(const std::string& root, const std::string& mine) {
  for (const StateFolder& orphan : HoldOrphans(root, mine)) {
    const auto node = Parse(ReadWhole(orphan.PathOf(kNodeFileName)));
    std::error_code error;
    const bool may_come_back =
        node.has_value() && node->boot() == Boot() &&
        std::filesystem::exists(
            std::filesystem::path(node->control_socket()).parent_path(), error);
    if (may_come_back) {
      orphan.Compact();
    } else {
      orphan.Remove();
    }
  }
}

std::optional<state::Node> StateStore::ReadNode(std::string& why_not) const {
  const std::string path = folder_.PathOf(kNodeFileName);
  const std::string text = ReadWhole(path);
  if (text.empty() && !std::filesystem::exists(path)) return std::nullopt;
  std::optional<state::Node> node = Parse(text);
  if (!node.has_value()) {
    why_not = absl::StrCat(path, " is damaged");
  } else if (node->layout() != kLayout) {
    why_not = absl::StrCat("its layout is ", node->layout(), ", not ", kLayout);
  } else if (node->boot() != boot_) {
    why_not = "the machine was started since";
  } else if (node->network_namespace() != network_namespace_) {
    why_not = "it is of another network namespace";
  } else if (node->hash_seed().size() != sizeof(RandomStream::Seed) ||
             node->cycles_per_tick() == 0) {
    why_not = absl::StrCat(path, " is not complete");
  }
  if (!why_not.empty()) return std::nullopt;
  return node;
}

FlowReader StateStore::ReadFlows(const state::Node& node, uint32_t now,
                                 uint32_t longest,
                                 std::vector<std::string>& problems) const {
  FlowReader reader(now, longest);
  for (unsigned worker = 0; worker < node.workers(); ++worker) {
    ReadFlowFile(FlowFileName(node.run(), worker), node, reader, problems);
  }
  return reader;
}

void StateStore::ReadFlowFile(const std::string& name, const state::Node& node,
                              FlowReader& reader,
                              std::vector<std::string>& problems) const {
  const std::string path = folder_.PathOf(name);
  const OwnedFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  FlowRegionHeader header;
  header.magic = 0;
  const bool read = fd.get() >= 0 && pread(fd.get(), &header, sizeof(header),
                                           0) == sizeof(header);
  if (!read || header.magic != FlowRegionHeader::kMagic) {
    problems.push_back(absl::StrCat(path, ": is missing, or none of godwit's"));
    return;
  }
  if (header.layout != FlowRegionHeader::kLayout ||
      header.flow_bytes != sizeof(Flow) || header.run != node.run()) {
    problems.push_back(absl::StrCat(path, ": of another layout or run"));
    return;
  }
  struct stat info = {};
  if (fstat(fd.get(), &info) != 0) info.st_size = 0;
  // A damaged header may promise anything.
  reader.Expect(std::min<size_t>(
      header.capacity, static_cast<size_t>(info.st_size) / sizeof(Flow)));
  std::vector<std::byte> bytes(kReadBytes);
  const off_t end = static_cast<off_t>(FlowRegionBytes(header.capacity));
  off_t at = static_cast<off_t>(kFlowRegionStart);
  while (at < end) {
    const auto want = std::min<off_t>(end - at, kReadBytes);
    const ssize_t size =
        pread(fd.get(), bytes.data(), static_cast<size_t>(want), at);
    if (size <= 0) break;
    // One that was cut short ends in the middle of an entry.
    const size_t whole = static_cast<size_t>(size) / sizeof(Flow);
    if (whole == 0) break;
    reader.Read(std::span(bytes.data(), whole * sizeof(Flow)));
    at += static_cast<off_t>(whole * sizeof(Flow));
  }
  if (at < end) {
    problems.push_back(
        absl::StrCat(path, ": is cut short, ",
                     (static_cast<size_t>(end - at)) / sizeof(Flow),
                     " entries are missing"));
  }
}

BigMemory StateStore::MakeFlowFile(unsigned worker, uint32_t capacity) {
  const std::string path = folder_.PathOf(FlowFileName(run_, worker));
  const OwnedFd fd(open(
      path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (fd.get() < 0) return {};
  BigMemory memory = BigMemory::MapFile(fd.get(), FlowRegionBytes(capacity));
  if (memory.empty()) {
    unlink(path.c_str());
    return {};
  }
  return memory;
}

absl::Status StateStore::Write(state::Node node) {
  node.set_layout(kLayout);
  node.set_boot(boot_);
  node.set_network_namespace(network_namespace_);
  node.set_control_socket(control_socket_);
  node.set_run(run_);
  const std::string message = node.SerializeAsString();
  FileHead head;
  head.size = static_cast<uint32_t>(message.size());
  head.check = CheckOf(message);
  std::string content(sizeof(head), '\0');
  std::memcpy(content.data(), &head, sizeof(head));
  return Replace(kNodeFileName, content + message);
}

absl::Status StateStore::Replace(const char* name, const std::string& content) {
  const std::string path = folder_.PathOf(name);
  const std::string fresh = path + ".new";
  std::ofstream file(fresh, std::ios::binary | std::ios::trunc);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  file.close();
  if (!file || rename(fresh.c_str(), path.c_str()) != 0) {
    return absl::ErrnoToStatus(errno, path);
  }
  return absl::OkStatus();
}

absl::Status StateStore::WriteInterfaces(
    const std::vector<std::string>& interfaces) {
  return Replace(kInterfacesFileName,
                 absl::StrCat(run_, "\n", absl::StrJoin(interfaces, "\n")));
}

std::vector<std::string> StateStore::ReadInterfaces(
    const state::Node& node) const {
  const std::string text = ReadWhole(folder_.PathOf(kInterfacesFileName));
  std::vector<std::string> lines =
      absl::StrSplit(text, '\n', absl::SkipEmpty());
  if (lines.empty() || lines[0] != absl::StrCat(node.run())) return {};
  lines.erase(lines.begin());
  return lines;
}

void StateStore::RemoveOthers() {
  const std::string own = FlowFilePrefix(run_);
  for (const std::string& name : folder_.Files()) {
    if (name == kNodeFileName || name == kInterfacesFileName ||
        absl::StartsWith(name, own)) {
      continue;
    }
    unlink(folder_.PathOf(name).c_str());
  }
}

void StateStore::RemoveOwn() {
  const std::string own = FlowFilePrefix(run_);
  for (const std::string& name : folder_.Files()) {
    if (absl::StartsWith(name, own)) unlink(folder_.PathOf(name).c_str());
  }
  rmdir(folder_.path().c_str());  // if nothing else is in it
}

void StateStore::Rest() {
  if (!folder_.Compact()) Remove();
}

}  // namespace godwit
