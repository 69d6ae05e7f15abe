// SPDX-License-Identifier: BSD-3-Clause
// Runs stages_fuzz.cc without a fuzzer, so with every compiler: on sequences
// of packets made here, with every setup, with bytes of theirs changed and cut
// off, and on the files of the directories given (inputs once found).
//
//   stages_replay [--corpus-only] DIRECTORY...   only the files
//   stages_replay --write DIRECTORY     writes the sequences as seeds
//   stages_replay --write-packets DIRECTORY     and these for packet_fuzz.cc
#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "dataplane/net/check.h"
#include "dataplane/net/headers.h"
#include "tests/fuzz/stages_input.h"
#include "tests/fuzz/support/stages_stories.h"
#include "tests/fuzz/support/stages_world.h"
#include "tests/support/packet_samples.h"
#include "tests/support/walk.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace godwit {
namespace {

size_t runs = 0;

void Run(const Bytes& input) {
  LLVMFuzzerTestOneInput(input.data(), input.size());
  ++runs;
}

uint8_t Number(std::string_view device) {
  for (uint8_t i = 0; i < kDevices.size(); ++i) {
    if (kDevices[i] == device) return i;
  }
  GODWIT_CHECK(false && "a device of this name");
}

class Sequence {
 public:
  explicit Sequence(std::string name) : name_(std::move(name)) {}
  Sequence& Then(std::string_view device, const Bytes& frame) {
    steps_.push_back(static_cast<uint8_t>(Number(device) | Step::kFixSums));
    Put16(steps_, frame.size());
    Append(steps_, frame);
    return *this;
  }
  Sequence& Then(std::string_view device, const PacketBuilder& packet) {
    return Then(device, packet.Frame());
  }
  Sequence& Change(uint16_t setup) {
    steps_.push_back(Step::kChange);
    Put16(steps_, setup);
    return *this;
  }
  Bytes With(uint16_t setup) const {
    Bytes input;
    Put16(input, setup);
    Append(input, steps_);
    return input;
  }
  const std::string& name() const { return name_; }

 private:
  std::string name_;
  Bytes steps_;
};

// What a queue originates, and an error about it: by the fixed seed of a walk
// the l4port given is the same each time, and a fuzzer finds it.
void Originate(Sequence& sequence, const PacketBuilder& query) {
  sequence.Then("crawl0", query);
  const auto left = [&query](const char* unicast) {
    auto copy = query;
    return copy.From(unicast);
  };
  const bool v4 = query.source().IsV4();
  const auto sent = left(v4 ? "198.51.100.7" : "2001:db8:7::7");
  sequence.Then("wan0", IcmpError(v4 ? "203.0.113.254" : "2001:db8:c::254",
                                  v4 ? 3 : 1, 4, sent.Packet()));
}

std::vector<Sequence> Sequences() {
  std::vector<Sequence> all;
  for (const auto& [name, packet] : PacketSamples()) {
    Sequence sequence(name);
    for (const char* device : {"wan0", "crawl0", "gw0"}) {
      sequence.Then(device, packet);
    }
    const bool v4 = packet.source().IsV4();
    auto served = packet;
    served.To(v4 ? "192.0.2.53" : "2001:db8:53::53");
    auto reply = packet;
    reply.From(v4 ? "192.0.2.53" : "2001:db8:53::53");
    auto unsolicited = packet;
    unsolicited.To(v4 ? "198.51.100.7" : "2001:db8:7::7");
    sequence.Then("wan0", served).Then("dns0", reply).Then("gw0", reply);
    sequence.Then("wan0", unsolicited).Then("crawl0", served);
    all.push_back(sequence);
  }
  for (const bool v4 : {true, false}) {
    const std::string tail = v4 ? "4" : "6";
    const std::string inside = v4 ? "10.0.0.5" : "fd00::5";
    const std::string remote = v4 ? "203.0.113.80" : "2001:db8:c::80";
    const auto at = [v4](const std::string& address, unsigned l4port) {
      return (v4 ? address : "[" + address + "]") + ":" +
             std::to_string(l4port);
    };
    Sequence originate("originate" + tail);
    Originate(originate, Udp(at(inside, 5000), at(remote, 53)).Payload("who?"));
    Originate(originate, Tcp(at(inside, 5000), at(remote, 80)).Flags("S"));
    Originate(originate, Echo(inside, remote, 77));
    all.push_back(originate);
    Sequence pieces("pieces" + tail);
    const auto frames =
        Udp(at(inside, 5000), at(remote, 53)).PayloadSize(700).Fragments(256);
    pieces.Then("crawl0", frames[2]).Then("crawl0", frames[0]);
    pieces.Then("crawl0", frames[1]).Then("wan0", frames[1]);
    all.push_back(pieces);
    Sequence long_ones("long" + tail);
    long_ones.Then("dns0", Udp(at(v4 ? "192.0.2.53" : "2001:db8:53::53", 53),
                               at(remote, 4000))
                               .PayloadSize(1200));
    long_ones.Then("crawl0",
                   Udp(at(inside, 5000), at(remote, 53)).PayloadSize(1200));
    all.push_back(long_ones);
  }
  return all;
}

// Answers to the flows there, and errors about them. By the fixed seed of a
// walk the l4ports given are the same each time.
Sequence AnswersIn(uint16_t setup) {
  Sequence sequence("answers");
  Walk walk(StagesWorld(setup).builder(),
            {.workers = WorkersOf(setup), .max_flows = kMaxFlows});
  for (const auto& [device, packet] : FlowsThere()) {
    for (const Arrival& arrival : walk.Send(device, packet)) {
      if (arrival.device != "wan0") continue;
      const Bytes left = arrival.Packet();
      const bool v4 = left[0] >> 4 == 4;
      sequence.Then("wan0", AnswerTo(left));
      sequence.Then("wan0", IcmpError(v4 ? "203.0.113.254" : "2001:db8:c::254",
                                      v4 ? 3 : 2, v4 ? 4 : 0, left)
                                .Mtu(1400));
    }
  }
  return sequence;
}

// With this many the replay takes seconds, not minutes.
constexpr std::array<uint16_t, 12> kSetups = {0x0000, 0x0001, 0x0002, 0x0085,
                                              0x000a, 0x0110, 0x0221, 0x0840,
                                              0x047e, 0x1002, 0x6001, 0x8100};

void RunAround(const Sequence& sequence) {
  for (const uint16_t setup : kSetups) Run(sequence.With(setup));
  const Bytes seed = sequence.With(0x01);
  for (size_t at = 2; at < seed.size(); at += 7) {
    Run(Bytes(seed.begin(), seed.begin() + static_cast<ptrdiff_t>(at)));
    Bytes changed = seed;
    changed[at] = static_cast<uint8_t>(changed[at] ^ (1U << (at % 8)));
    Run(changed);
  }
}

void RunFiles(const std::filesystem::path& directory) {
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    std::ifstream file(entry.path(), std::ios::binary);
    const Bytes input{std::istreambuf_iterator<char>(file), {}};
    Run(input);
  }
}

void Write(const std::filesystem::path& path, const Bytes& input) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(input.data()),
             static_cast<std::streamsize>(input.size()));
  GODWIT_CHECK(file.good());
}

// Each sample from each device, in a setup of its own, cut twice.
void WritePackets(const std::filesystem::path& directory) {
  std::filesystem::create_directories(directory);
  uint8_t setup = 0;
  auto samples = PacketSamples();
  // Longer than what is brought together of a chain.
  const auto longest = [&samples](const char* name, PacketBuilder packet) {
    samples.push_back({name, packet.PayloadSize(1300)});
  };
  longest("long_echo4", Echo("192.0.2.100", "192.0.2.53", 77));
  longest("long_echo6", Echo("2001:db8:c::100", "2001:db8:53::53", 77));
  longest("long_miss6", Udp("[2001:db8:c::9]:4000", "[2001:db8:53::53]:9"));
  longest("long_out6", Udp("[fd00::5]:5000", "[2001:db8:c::80]:53").Ttl(1));
  for (const auto& [name, packet] : samples) {
    for (uint8_t device = 0; device < kDevices.size(); ++device) {
      Bytes input = {setup++, static_cast<uint8_t>(device | Step::kFixSums)};
      Append(input, {0, 20, 0, 40, 0x04, 0xb0});
      Append(input, packet.Frame());
      Write(directory / (name + "_" + kDevices[device]), input);
    }
  }
}

void WriteSeeds(const std::filesystem::path& directory) {
  std::filesystem::create_directories(directory);
  for (const uint16_t setup : kSetups) {
    Write(directory / ("answers_" + std::to_string(setup)),
          AnswersIn(setup).With(setup));
  }
  for (const auto& [name, input] : StagesStories()) {
    Write(directory / name, input);
  }
  for (const Sequence& sequence : Sequences()) {
    for (const uint16_t setup : kSetups) {
      const std::string name = sequence.name() + "_" + std::to_string(setup);
      Write(directory / name, sequence.With(setup));
    }
  }
}

}  // namespace
}  // namespace godwit

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "--write") {
    godwit::WriteSeeds(argv[2]);
    return 0;
  }
  if (argc == 3 && std::string_view(argv[1]) == "--write-packets") {
    godwit::WritePackets(argv[2]);
    return 0;
  }
  const bool more = argc < 2 || std::string_view(argv[1]) != "--corpus-only";
  if (more) {
    for (const uint16_t setup : godwit::kSetups) {
      godwit::Run(godwit::AnswersIn(setup).With(setup));
    }
    for (const auto& [name, input] : godwit::StagesStories()) {
      godwit::Run(input);
    }
    for (const auto& sequence : godwit::Sequences())
      godwit::RunAround(sequence);
  }
  for (int i = more ? 1 : 2; i < argc; ++i) godwit::RunFiles(argv[i]);
  std::printf("%zu inputs\n", godwit::runs);
  GODWIT_CHECK(godwit::reached.delivered > 0);
  GODWIT_CHECK(godwit::reached.translated_out > 0);
  GODWIT_CHECK(godwit::reached.translated_in > 0);
  GODWIT_CHECK(godwit::reached.error_in > 0);
  return godwit::runs > 0 ? 0 : 1;
}
