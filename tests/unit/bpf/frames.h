// SPDX-License-Identifier: BSD-3-Clause
// Frames for the BPF programs, from the inside out. Checksums are left zero:
// neither program reads them.
#ifndef GODWIT_TESTS_UNIT_BPF_FRAMES_H_
#define GODWIT_TESTS_UNIT_BPF_FRAMES_H_

#include <cstdint>
#include <string>
#include <vector>

namespace godwit {

using Bytes = std::vector<uint8_t>;

Bytes operator+(Bytes first, const Bytes& second);

Bytes L4(uint16_t source, uint16_t destination);  // 20 bytes: TCP or UDP
Bytes IcmpMessage(uint8_t type, uint8_t code, uint16_t id,
                  const Bytes& rest = {});

struct Ipv4Extra {
  unsigned options = 0;   // 4-byte words of no-operation
  uint16_t fragment = 0;  // flags and offset, as in the header
  uint8_t ihl = 0;        // 0: as the options need
};
Bytes V4(const std::string& source, const std::string& destination,
         uint8_t protocol, const Bytes& payload, const Ipv4Extra& extra = {});
Bytes V6(const std::string& source, const std::string& destination,
         uint8_t next_header, const Bytes& payload, uint8_t hop_limit = 64);

// An extension header of `size` bytes (a multiple of 8) in front of `rest`.
Bytes Ext(uint8_t next_header, unsigned size, const Bytes& rest);
Bytes AuthExt(uint8_t next_header, unsigned size, const Bytes& rest);
Bytes FragmentExt(uint8_t next_header, uint16_t offset_flags,
                  const Bytes& rest);

// An Ethernet frame; its type is told from the IP version of `packet`.
Bytes Frame(const Bytes& packet);
Bytes Tagged(uint16_t ether_type, uint16_t tci, const Bytes& frame);
Bytes FrameOfType(uint16_t ether_type, const Bytes& payload);

inline constexpr uint8_t kTcp = 6;
inline constexpr uint8_t kUdp = 17;
inline constexpr uint8_t kIcmp4 = 1;
inline constexpr uint8_t kIcmp6 = 58;
inline constexpr uint8_t kGre = 47;
inline constexpr uint8_t kHopByHop = 0;
inline constexpr uint8_t kRouting = 43;
inline constexpr uint8_t kFragment = 44;
inline constexpr uint8_t kAuth = 51;
inline constexpr uint8_t kDestOptions = 60;

}  // namespace godwit

#endif  // GODWIT_TESTS_UNIT_BPF_FRAMES_H_
