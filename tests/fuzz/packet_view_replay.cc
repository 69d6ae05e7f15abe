// SPDX-License-Identifier: BSD-3-Clause
// Runs packet_view_fuzz.cc without a fuzzer, so with every compiler: on each
// sample packet whole, cut off at every byte and with every byte changed, and
// on the files of the directories given (inputs once found).
//
//   packet_view_replay [--corpus-only] DIRECTORY...   only the files
//   packet_view_replay --write DIRECTORY     writes the samples as seeds
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "dataplane/net/check.h"
#include "tests/support/packet_samples.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace godwit {
namespace {

constexpr uint8_t kFixChecksum = 1;
constexpr uint8_t kQuoteV4 = 2;
constexpr uint8_t kQuoteV6 = 4;

size_t runs = 0;

void Run(const Bytes& input) {
  LLVMFuzzerTestOneInput(input.data(), input.size());
  ++runs;
}

Bytes WithMode(uint8_t mode, const Bytes& bytes) {
  Bytes input = {mode};
  Append(input, bytes);
  return input;
}

std::vector<std::pair<std::string, Bytes>> Seeds() {
  std::vector<std::pair<std::string, Bytes>> seeds;
  for (const auto& [name, packet] : PacketSamples()) {
    const uint8_t quote = packet.source().IsV4() ? kQuoteV4 : kQuoteV6;
    seeds.emplace_back(name, WithMode(kFixChecksum, packet.Frame()));
    seeds.emplace_back(name + "_quoted", WithMode(quote, packet.Packet()));
  }
  return seeds;
}

void RunAround(const Bytes& seed) {
  Run(seed);
  for (size_t size = 0; size < seed.size(); ++size) {
    Run(Bytes(seed.begin(), seed.begin() + static_cast<ptrdiff_t>(size)));
  }
  for (size_t at = 1; at < seed.size(); ++at) {
    Bytes changed = seed;
    for (unsigned value = 0; value < 256; ++value) {
      changed[at] = static_cast<uint8_t>(value);
      Run(changed);
    }
  }
}

void RunFiles(const std::filesystem::path& directory) {
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    std::ifstream file(entry.path(), std::ios::binary);
    const Bytes input{std::istreambuf_iterator<char>(file), {}};
    Run(input);
  }
}

void WriteSeeds(const std::filesystem::path& directory) {
  std::filesystem::create_directories(directory);
  for (const auto& [name, input] : Seeds()) {
    std::ofstream file(directory / name, std::ios::binary);
    file.write(reinterpret_cast<const char*>(input.data()),
               static_cast<std::streamsize>(input.size()));
    GODWIT_CHECK(file.good());
  }
}

}  // namespace
}  // namespace godwit

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "--write") {
    godwit::WriteSeeds(argv[2]);
    return 0;
  }
  const bool more = argc < 2 || std::string_view(argv[1]) != "--corpus-only";
  if (more) {
    for (const auto& seed : godwit::Seeds()) godwit::RunAround(seed.second);
  }
  for (int i = more ? 1 : 2; i < argc; ++i) godwit::RunFiles(argv[i]);
  std::printf("%zu inputs\n", godwit::runs);
  return godwit::runs > 0 ? 0 : 1;
}
