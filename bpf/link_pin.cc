// SPDX-License-Identifier: BSD-3-Clause
#include "bpf/link_pin.h"

#include <bpf/bpf.h>
#include <linux/magic.h>
#include <mntent.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace godwit {
namespace {

// The source of our mounts: how they are told from the system's.
constexpr std::string_view kMountSource = "godwit";

std::string FolderOf(const std::string& path) {
  return std::filesystem::path(path).parent_path().string();
}

bool IsBpffs(const std::string& folder) {
  struct statfs about;
  return statfs(folder.c_str(), &about) == 0 && about.f_type == BPF_FS_MAGIC;
}

absl::Status EnsureBpffs(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    return absl::ErrnoToStatus(error.value(),
                               absl::StrCat(folder, ": making the folder"));
  }
  if (IsBpffs(folder)) return absl::OkStatus();
  if (mount(kMountSource.data(), folder.c_str(), "bpf",
            MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") != 0) {
    return absl::ErrnoToStatus(errno,
                               absl::StrCat(folder, ": mounting a bpffs"));
  }
  return absl::OkStatus();
}

bool IsOurMount(const std::string& folder) {
  FILE* mounts = setmntent("/proc/self/mounts", "r");
  if (mounts == nullptr) return false;
  bool ours = false;
  while (const mntent* entry = getmntent(mounts)) {
    if (folder == entry->mnt_dir) ours = kMountSource == entry->mnt_fsname;
  }
  endmntent(mounts);
  return ours;
}

// Names with a dot are the kernel's: it may put iterators of its own on every
// bpffs (CONFIG_BPF_PRELOAD).
bool HasPins(const std::string& folder) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (!entry.path().has_extension()) return true;
  }
  return bool{error};
}

}  // namespace

absl::Status PinLink(int link_fd, const std::string& path) {
  const absl::Status status = EnsureBpffs(FolderOf(path));
  if (!status.ok()) return status;
  unlink(path.c_str());
  if (bpf_obj_pin(link_fd, path.c_str()) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat(path, ": pinning"));
  }
  return absl::OkStatus();
}

int OpenPinnedLink(const std::string& path) {
  return bpf_obj_get(path.c_str());
}

void RemovePin(const std::string& path) {
  unlink(path.c_str());
  const std::string folder = FolderOf(path);
  if (!IsOurMount(folder) || HasPins(folder)) return;
  umount2(folder.c_str(), UMOUNT_NOFOLLOW);
}

}  // namespace godwit
