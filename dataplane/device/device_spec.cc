// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/device/device_spec.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <utility>

namespace godwit {
namespace {

using Kind = DeviceSpec::Kind;
using MemifRole = DeviceSpec::MemifRole;

constexpr std::array<std::pair<std::string_view, Kind>, 7> kPrefixes = {{
    {"xdp", Kind::kXdp},
    {"veth", Kind::kVeth},
    {"afpacket", Kind::kAfPacket},
    {"tap", Kind::kTap},
    {"memif", Kind::kMemif},
    {"vhost", Kind::kVhost},
    {"dpdk", Kind::kDpdk},
}};

constexpr std::string_view kAllowed =
    "a PCI address (0000:3b:00.0), xdp:IFNAME, veth:IFNAME, afpacket:IFNAME, "
    "tap:IFNAME, memif:PATH[,role=server|client,id=N], vhost:PATH or "
    "dpdk:DEVARGS";

// sizeof(sockaddr_un::sun_path) less the final zero.
constexpr size_t kMaxSocketPath = 107;
// RTE_DEV_NAME_MAX_LEN less the final zero.
constexpr size_t kMaxVdevName = 63;

std::string Quoted(std::string_view text) {
  return '"' + std::string(text) + '"';
}

DeviceSpecResult Refused(std::string error) {
  return {std::nullopt, std::move(error)};
}

DeviceSpec Spec(Kind kind, std::string_view target) {
  DeviceSpec spec;
  spec.kind = kind;
  spec.target = target;
  return spec;
}

bool IsHex(char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; }

bool IsPrintable(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return c > ' ' && c < 0x7f; });
}

// Reads "DDDD:BB:DD.F", or "BB:DD.F" with domain 0. The whole text is hex
// digits in fixed places, so a shape to compare with says it all.
std::optional<std::string> ParsePci(std::string_view text) {
  constexpr std::string_view kShape = "xxxx:xx:xx.x";
  constexpr std::string_view kNoDomain = "0000:";
  std::string full(text);
  if (full.size() + kNoDomain.size() == kShape.size()) {
    full.insert(0, kNoDomain);
  }
  if (full.size() != kShape.size()) return std::nullopt;
  for (size_t i = 0; i < kShape.size(); ++i) {
    const bool fits = kShape[i] == 'x' ? IsHex(full[i]) : full[i] == kShape[i];
    if (!fits) return std::nullopt;
    full[i] =
        static_cast<char>(std::tolower(static_cast<unsigned char>(full[i])));
  }
  // A bus has devices 0-31 of functions 0-7.
  if (full[8] > '1' || full[11] > '7') return std::nullopt;
  return full;
}

// Empty, or why no socket can be made at `path`. DPDK separates a device's
// arguments by commas, so a path can hold none.
std::string CheckSocketPath(std::string_view path) {
  if (path.empty() || path.front() != '/') {
    return "socket path " + Quoted(path) + " is not absolute: it begins with /";
  }
  if (path.size() > kMaxSocketPath) {
    return "socket path " + Quoted(path) + " is longer than " +
           std::to_string(kMaxSocketPath) + " characters";
  }
  if (!IsPrintable(path) || path.find_first_of(",=[]\"") != path.npos) {
    return "socket path " + Quoted(path) +
           " has white space or one of , = [ ] \"";
  }
  if (path.back() == '/') {
    return "socket path " + Quoted(path) + " names a directory";
  }
  return "";
}

// One "key=value" of a memif; empty, or what is wrong with it.
std::string SetMemifOption(std::string_view option, DeviceSpec& spec) {
  const size_t equals = option.find('=');
  const std::string_view key = option.substr(0, equals);
  const std::string_view value =
      equals == option.npos ? std::string_view() : option.substr(equals + 1);
  if (key == "role") {
    if (value != "server" && value != "client") {
      return "memif role " + Quoted(value) + " is not server or client";
    }
    spec.memif_role =
        value == "server" ? MemifRole::kServer : MemifRole::kClient;
    return "";
  }
  if (key == "id") {
    const char* const end = value.data() + value.size();
    const auto [stop, code] = std::from_chars(value.data(), end, spec.memif_id);
    if (value.empty() || code != std::errc() || stop != end) {
      return "memif id " + Quoted(value) + " is not a number of 0-4294967295";
    }
    return "";
  }
  return "memif option " + Quoted(option) +
         " is not role=server, role=client or id=N";
}

DeviceSpecResult ParseMemif(std::string_view rest) {
  DeviceSpec spec = Spec(Kind::kMemif, "");
  size_t comma = rest.find(',');
  const std::string_view path = rest.substr(0, comma);
  if (std::string error = CheckSocketPath(path); !error.empty()) {
    return Refused(std::move(error));
  }
  spec.target = path;
  bool seen_role = false;
  bool seen_id = false;
  while (comma != rest.npos) {
    rest.remove_prefix(comma + 1);
    comma = rest.find(',');
    const std::string_view option = rest.substr(0, comma);
    if (std::string error = SetMemifOption(option, spec); !error.empty()) {
      return Refused(std::move(error));
    }
    bool& seen = option.starts_with("role=") ? seen_role : seen_id;
    if (seen) return Refused("memif option " + Quoted(option) + " is a second");
    seen = true;
  }
  return {std::move(spec), ""};
}

DeviceSpecResult ParseDpdk(std::string_view rest) {
  const std::string_view name = rest.substr(0, rest.find(','));
  if (name.empty() || name.size() > kMaxVdevName || !IsPrintable(name)) {
    return Refused("DPDK device name " + Quoted(name) +
                   " is not 1-63 characters without white space, as in "
                   "dpdk:net_ring0");
  }
  const bool has_control = std::any_of(
      rest.begin(), rest.end(), [](char c) { return c < ' ' || c == 0x7f; });
  if (has_control) return Refused("DPDK arguments have control characters");
  return {Spec(Kind::kDpdk, rest), ""};
}

DeviceSpecResult ParseInterface(Kind kind, std::string_view name) {
  if (std::string error = CheckInterfaceName(name); !error.empty()) {
    return Refused(std::move(error));
  }
  return {Spec(kind, name), ""};
}

}  // namespace

std::string_view KindName(Kind kind) {
  for (const auto& [word, each] : kPrefixes) {
    if (each == kind) return word;
  }
  return "pci";
}

std::string CheckInterfaceName(std::string_view name) {
  // IFNAMSIZ less the final zero, and dev_valid_name() of the kernel.
  constexpr size_t kMaxName = 15;
  const bool fits = !name.empty() && name.size() <= kMaxName && name != "." &&
                    name != ".." && IsPrintable(name) &&
                    name.find_first_of("/:,") == name.npos;
  if (fits) return "";
  return "interface name " + Quoted(name) +
         " is not 1-15 printable characters without /, : or comma";
}

std::string DeviceSpec::ToString() const {
  if (kind == Kind::kPci) return target;
  std::string text = std::string(KindName(kind)) + ':' + target;
  if (kind == Kind::kMemif) {
    if (memif_role == MemifRole::kClient) text += ",role=client";
    if (memif_id != 0) text += ",id=" + std::to_string(memif_id);
  }
  return text;
}

DeviceSpecResult ParseDeviceSpec(std::string_view text) {
  if (std::optional<std::string> pci = ParsePci(text)) {
    return {Spec(Kind::kPci, *pci), ""};
  }
  const size_t colon = text.find(':');
  for (const auto& [word, kind] : kPrefixes) {
    if (colon == text.npos || text.substr(0, colon) != word) continue;
    const std::string_view rest = text.substr(colon + 1);
    switch (kind) {
      case Kind::kMemif:
        return ParseMemif(rest);
      case Kind::kDpdk:
        return ParseDpdk(rest);
      case Kind::kVhost:
        if (std::string error = CheckSocketPath(rest); !error.empty()) {
          return Refused(std::move(error));
        }
        return {Spec(kind, rest), ""};
      default:
        return ParseInterface(kind, rest);
    }
  }
  return Refused("device " + Quoted(text) + " is not " + std::string(kAllowed));
}

}  // namespace godwit
