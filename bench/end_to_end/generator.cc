// SPDX-License-Identifier: BSD-3-Clause
// The far ends of devices under test: one process, one CPU, that owns both
// peers of each, the uplink's and the queue's, makes the traffic, and looks at
// what comes out. end_to_end.py starts it and tells it what to do.
//
//   generator EAL-ARGUMENTS [-- MBUFS]
//
// Ports 0 and 1 are device 0's uplink and queue, ports 2 and 3 device 1's, and
// so on. One command a line on standard input, words KEY=VALUE, one JSON object
// back for each:
//
//   up device=0                        do both links have a peer?
//   meet device=0 gateway=A unicast=A service=A   ARP: learn its MACs
//   flows device=0 family=4 protocol=17 originated=0 plain=0 flows=65536
//       sizes=60,508 service=A unicast=A          begin flows, see each through
//   rate device=0 way=in ms=200
//   latency device=0 way=in ms=200 pace=1000000
//   flooded device=0 way=in ms=200 pace=1000000 kind=syn flood_pace=9000000
//   calibrate lines=65536                         see bench/calibration.h
#include <fcntl.h>
#include <poll.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_memory.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "bench/calibration.h"
#include "bench/end_to_end/flood.h"
#include "bench/end_to_end/link.h"
#include "bench/end_to_end/trial.h"

namespace godwit {
namespace {

constexpr unsigned kMbufs = 16383;
constexpr unsigned kCache = 256;
constexpr double kMeet_s = 5;
// Between commands the CPU is left to those who ask the daemon.
constexpr int kIdle_ms = 1;

using Words = std::map<std::string, std::string>;

[[noreturn]] void Fail(const std::string& why) {
  std::fprintf(stderr, "generator: %s\n", why.c_str());
  std::exit(1);
}

const std::string& Word(const Words& words, const char* key) {
  const auto found = words.find(key);
  if (found == words.end()) Fail(std::string("a word is missing: ") + key);
  return found->second;
}
uint32_t Number(const Words& words, const char* key) {
  return static_cast<uint32_t>(std::stoul(Word(words, key)));
}
IpAddress Address(const Words& words, const char* key) {
  const auto address = IpAddress::Parse(Word(words, key));
  if (!address.has_value()) Fail(std::string("no address: ") + key);
  return *address;
}

rte_mempool* Pool(const char* name, unsigned mbufs) {
  rte_mempool* pool =
      rte_pktmbuf_pool_create(name, mbufs, kCache, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
                              static_cast<int>(rte_socket_id()));
  if (pool == nullptr) Fail("no memory for buffers");
  const auto clear = [](rte_mempool*, void*, void* object, unsigned) {
    const auto* mbuf = static_cast<rte_mbuf*>(object);
    std::memset(mbuf->buf_addr, 0, mbuf->buf_len);
  };
  rte_mempool_obj_iter(pool, clear, nullptr);
  return pool;
}

// A zero-copy memif client of DPDK 22.11 closes the EAL's own descriptor of the
// memory that it has given to its peer; the next one would give away another
// file. So it is put back once a link is up.
class MemoryFile {
 public:
  explicit MemoryFile(const rte_mempool& pool)
      : number_(rte_memseg_get_fd(rte_mem_virt2memseg(&pool, nullptr))),
        copy_(number_ < 0 ? -1 : dup(number_)) {}
  ~MemoryFile() {
    if (copy_ < 0) return;
    if (fcntl(number_, F_GETFD) < 0) dup2(copy_, number_);
    close(copy_);
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

 private:
  int number_;
  int copy_;
};

class Generator {
 public:
  explicit Generator(unsigned mbufs) {
    rte_mempool* rx_pool = Pool("received", mbufs);
    rte_mempool* tx_pool = Pool("sent", mbufs);
    const uint16_t count = rte_eth_dev_count_avail();
    for (uint16_t i = 0; i < count; ++i) {
      const MemoryFile file(*rx_pool);
      links_.push_back(std::make_unique<Link>(i, rx_pool, tx_pool));
      const uint64_t end = rte_rdtsc() + rte_get_tsc_hz();
      while (!links_.back()->Up() && rte_rdtsc() < end) rte_delay_us_block(100);
    }
    devices_.resize(count / 2);
    if (devices_.empty()) Fail("two ports a device are needed");
  }

  void Obey(const std::string& line) {
    std::istringstream text(line);
    std::string verb;
    text >> verb;
    Words words;
    for (std::string word; text >> word;) {
      const size_t equals = word.find('=');
      if (equals == word.npos) Fail("not KEY=VALUE: " + word);
      words[word.substr(0, equals)] = word.substr(equals + 1);
    }
    if (verb == "calibrate") {
      std::printf("{\"calib\": %.3f}\n",
                  CalibrationClocks(Number(words, "lines")));
    } else {
      const size_t number = Number(words, "device");
      if (number >= devices_.size()) Fail("no such device");
      Device& device = devices_[number];
      Link& uplink = *links_[2 * number];
      Link& queue = *links_[2 * number + 1];
      if (verb == "up") {
        std::printf("{\"up\": %s}\n",
                    uplink.Up() && queue.Up() ? "true" : "false");
      } else if (verb == "meet") {
        Meet(device, uplink, queue, words);
      } else if (verb == "flows") {
        Begin(device, uplink, queue, words);
      } else {
        Measure(*device.trial, verb, words);
      }
    }
    std::fflush(stdout);
  }

  // Between commands: the neighbours' questions are answered.
  void Idle() {
    Link::Received frames;
    for (const auto& link : links_) {
      const uint16_t count = link->Receive(frames);
      for (uint16_t i = 0; i < count; ++i) {
        link->Answer({rte_pktmbuf_mtod(frames[i], const uint8_t*),
                      rte_pktmbuf_data_len(frames[i])});
      }
      rte_pktmbuf_free_bulk(frames.data(), count);
    }
  }

 private:
  struct Device {
    MacAddress uplink_mac = {2, 0, 0, 0, 0, 0x55};
    MacAddress queue_mac = {2, 0, 0, 0, 0, 0x56};
    std::unique_ptr<Trial> trial;
  };

  std::optional<MacAddress> Ask(Link& link, const IpAddress& sender,
                                const IpAddress& target) {
    const uint64_t hz = rte_get_tsc_hz();
    const uint64_t end =
        rte_rdtsc() + static_cast<uint64_t>(kMeet_s * static_cast<double>(hz));
    for (uint64_t next = 0; rte_rdtsc() < end && !link.answer().has_value();) {
      if (rte_rdtsc() >= next) {
        link.AskArp(sender, target);
        next = rte_rdtsc() + hz / 10;
      }
      Idle();
    }
    return link.answer();
  }

  void Meet(Device& device, Link& uplink, Link& queue, const Words& words) {
    const IpAddress gateway = Address(words, "gateway");
    const auto uplink_mac = Ask(uplink, gateway, Address(words, "unicast"));
    const auto queue_mac = Ask(queue, Address(words, "service"), gateway);
    if (uplink_mac.has_value()) device.uplink_mac = *uplink_mac;
    if (queue_mac.has_value()) device.queue_mac = *queue_mac;
    std::printf(
        "{\"met\": %s}\n",
        uplink_mac.has_value() && queue_mac.has_value() ? "true" : "false");
  }

  void Begin(Device& device, Link& uplink, Link& queue, const Words& words) {
    Traffic traffic;
    traffic.kind.family =
        Word(words, "family") == "4" ? Family::kV4 : Family::kV6;
    traffic.kind.protocol = static_cast<uint8_t>(Number(words, "protocol"));
    traffic.originated = Number(words, "originated") != 0;
    traffic.plain = Number(words, "plain") != 0;
    traffic.flows = Number(words, "flows");
    traffic.sizes.clear();
    std::istringstream sizes(Word(words, "sizes"));
    for (std::string size; std::getline(sizes, size, ',');) {
      traffic.sizes.push_back(static_cast<uint16_t>(std::stoul(size)));
    }
    traffic.service = Address(words, "service");
    traffic.unicast = Address(words, "unicast");
    device.trial = std::make_unique<Trial>(traffic, uplink, queue,
                                           device.uplink_mac, device.queue_mac);
    Outcome outcome;
    const bool all = device.trial->Establish(outcome);
    std::printf("{\"all\": %s, ", all ? "true" : "false");
    Print(outcome);
  }

  void Measure(Trial& trial, const std::string& verb, const Words& words) {
    const Way way = Word(words, "way") == "in" ? Way::kIn : Way::kOut;
    const double seconds = Number(words, "ms") / 1e3;
    std::printf("{");
    if (verb == "rate") {
      Print(trial.Rate(way, seconds));
    } else if (verb == "latency") {
      Print(trial.Latency(way, seconds, Number(words, "pace")));
    } else if (verb == "flooded") {
      Print(trial.Flooded(way, seconds, Number(words, "pace"),
                          Flood(trial, way, Word(words, "kind")),
                          Number(words, "flood_pace")));
    } else {
      Fail("no such command: " + verb);
    }
  }

  const FrameTable& Flood(Trial& trial, Way way, const std::string& kind) {
    const auto [found, is_new] = floods_.try_emplace(kind);
    if (is_new) {
      found->second = std::make_unique<FrameTable>(
          FloodOf(kind, trial.traffic(), trial.EndsOf(way)));
    }
    return *found->second;
  }

  static void Print(const Outcome& outcome) {
    std::printf(
        "\"sent\": %lu, \"received\": %lu, \"looked_at\": %lu, \"wrong\": %lu, "
        "\"pps\": %.0f, \"p50_ns\": %.0f, \"p99_ns\": %.0f, \"p99_all_ns\": "
        "%.0f, "
        "\"late\": %lu, \"flood\": %lu, \"flood_taken\": %lu, \"flood_pps\": "
        "%.0f, \"goodput\": %.4f}\n",
        outcome.sent, outcome.received, outcome.looked_at, outcome.wrong,
        outcome.packets_per_second, outcome.p50_ns, outcome.p99_ns,
        outcome.p99_all_ns, outcome.late, outcome.flood, outcome.flood_taken,
        outcome.flood_per_second, outcome.goodput);
  }

  std::vector<std::unique_ptr<Link>> links_;
  std::vector<Device> devices_;
  // By kind. All trials of a run that has any are of one family.
  std::map<std::string, std::unique_ptr<FrameTable>> floods_;
};

int Run(int argc, char** argv) {
  const int used = rte_eal_init(argc, argv);
  if (used < 0) Fail("the EAL does not start");
  const unsigned mbufs = argc > used + 1
                             ? static_cast<unsigned>(std::stoul(argv[used + 1]))
                             : kMbufs;
  Generator generator(mbufs);
  std::string line;
  pollfd input = {STDIN_FILENO, POLLIN, 0};
  while (true) {
    generator.Idle();
    if (poll(&input, 1, kIdle_ms) == 0) continue;
    char letter;
    if (read(STDIN_FILENO, &letter, 1) != 1) break;
    if (letter != '\n') {
      line += letter;
      continue;
    }
    generator.Obey(line);
    line.clear();
  }
  rte_eal_cleanup();
  return 0;
}

}  // namespace
}  // namespace godwit

int main(int argc, char** argv) { return godwit::Run(argc, argv); }
