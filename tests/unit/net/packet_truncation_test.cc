// SPDX-License-Identifier: BSD-3-Clause
// Every kind of packet cut off at every byte: nothing is read past the end
// (AddressSanitizer looks), and the error has the right name.
#include <gtest/gtest.h>

#include "dataplane/net/headers.h"
#include "tests/support/packet_samples.h"
#include "tests/unit/net/parsed.h"

namespace godwit {
namespace {

class TruncationTest : public testing::TestWithParam<PacketSample> {
 protected:
  TruncationTest()
      : frame_(GetParam().packet.Frame()), whole_(ParseAll(frame_)) {}
  bool IsV4() const { return whole_.view.is_v4; }
  size_t L3() const { return whole_.view.l3_offset; }
  size_t L4() const { return whole_.view.l4_offset; }
  size_t End() const { return L3() + whole_.view.l3_size; }

  // What is wrong with the first `size` bytes as a frame.
  ParseError CutFrame(size_t size) const {
    if (size < L3()) return ParseError::kL2Short;
    if (size < L3() + (IsV4() ? 20 : 40)) {
      return IsV4() ? ParseError::kIp4Short : ParseError::kIp6Short;
    }
    if (size >= End()) return ParseError::kNone;
    return IsV4() ? ParseError::kIp4Trunc : ParseError::kIp6Len;
  }

  // The same when the IP length says that the packet ends there.
  ParseError CutPacket(size_t size) const {
    if (IsV4() && size < L4()) return ParseError::kIp4Len;
    if (!IsV4() && size == L3() + 40) return ParseError::kIp6Len;
    if (size < L4()) return ParseError::kV6EhTrunc;
    const size_t part = size - L4();
    const bool first = whole_.view.fragment == FragmentKind::kFirst;
    if (whole_.view.fragment != FragmentKind::kWhole) {
      if (part == 0) return ParseError::kFragLen;
      if (first && part % 8 != 0) return ParseError::kFragAlign;
      if (!first) return ParseError::kNone;
    }
    return CutL4(part, first);
  }

  // How much of the l4 header is read.
  size_t L4Read() const {
    if (!whole_.view.HasL4()) return 0;
    switch (whole_.view.protocol) {
      case kProtoTcp:
        return 20;
      case kProtoUdp:
      case kProtoIcmp:
      case kProtoIcmpv6:
        return 8;
      default:
        return 0;
    }
  }

  ParseError CutL4(size_t part, bool first) const {
    const uint8_t* l4 = frame_.data() + L4();
    const ParseError too_short =
        first ? ParseError::kFragTiny : ParseError::kL4Short;
    switch (whole_.view.protocol) {
      case kProtoTcp:
        if (part < 20) return too_short;
        return part < size_t{l4[12]} / 16 * 4 ? ParseError::kTcpDoff
                                              : ParseError::kNone;
      case kProtoUdp:
        if (part < 8) return too_short;
        return !first && part < size_t{l4[4]} * 256 + l4[5]
                   ? ParseError::kUdpLen
                   : ParseError::kNone;
      case kProtoIcmp:
      case kProtoIcmpv6:
        return part < 8 ? too_short : ParseError::kNone;
      default:
        return ParseError::kNone;
    }
  }

  const Bytes frame_;
  const Parsed whole_;
};

TEST_P(TruncationTest, IsGoodWhenWhole) {
  EXPECT_EQ(whole_.error, ParseError::kNone);
  EXPECT_EQ(whole_.view.kind, FrameKind::kIp);
}

TEST_P(TruncationTest, FrameCutOff) {
  for (size_t size = 0; size <= frame_.size(); ++size) {
    EXPECT_EQ(ParseCut(frame_, size).error, CutFrame(size)) << size;
  }
}

TEST_P(TruncationTest, PacketCutOff) {
  for (size_t size = L3() + (IsV4() ? 20 : 40); size < End(); ++size) {
    Bytes cut(frame_.begin(), frame_.begin() + static_cast<ptrdiff_t>(size));
    if (IsV4()) {
      Set16(cut, L3() + 2, size - L3());
      if (size >= L4()) FixIpv4Checksum(cut, L3());
    } else {
      Set16(cut, L3() + 4, size - L3() - 40);
    }
    EXPECT_EQ(ErrorOf(cut), CutPacket(size)) << size;
  }
}

// The frame goes on in another segment, and the headers are not all there:
// some error, or none if they are.
TEST_P(TruncationTest, SegmentCutOff) {
  for (size_t size = 0; size <= frame_.size(); ++size) {
    const ExactCopy copy(frame_, size);
    PacketView view;
    const ParseError error = ParseFrame(copy.get(), size, frame_.size(), view);
    EXPECT_EQ(error == ParseError::kNone, size >= L4() + L4Read()) << size;
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, TruncationTest,
                         testing::ValuesIn(PacketSamples()),
                         [](const auto& sample) { return sample.param.name; });

}  // namespace
}  // namespace godwit
