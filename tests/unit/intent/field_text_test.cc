// SPDX-License-Identifier: BSD-3-Clause
#include "control/api/field_text.h"

#include <gtest/gtest.h>

#include <string>

#include "control/intent/port_spec.h"

namespace godwit {
namespace {

std::string Through(absl::string_view text) {
  const auto duration = ParseDuration(text);
  return duration.ok() ? DurationText(*duration)
                       : std::string(duration.status().message());
}

TEST(DurationTest, IsAWholeNumberAndItsUnit) {
  EXPECT_EQ(Through("500ms"), "500ms");
  EXPECT_EQ(Through("1500ms"), "1500ms");
  EXPECT_EQ(Through("2000ms"), "2s");
  EXPECT_EQ(Through("5s"), "5s");
  EXPECT_EQ(Through("2m"), "120s");
  EXPECT_EQ(Through("1h"), "3600s");
  EXPECT_EQ(Through("0s"), "0s");
  EXPECT_EQ(Through("86400000s"), "86400000s");
}

TEST(DurationTest, IsNothingElse) {
  for (const char* const text :
       {"", "s", "5", "5 s", " 5s", "5s ", "-5s", "+5s", "1.5s", "5S", "5sec",
        "5d", "0x5s", "86400001s", "99999999999999999999s",
        "18446744073709551616ms"}) {
    EXPECT_FALSE(ParseDuration(text).ok()) << text;
  }
}

TEST(EnumTest, IsALowerCaseWordWithDashes) {
  EXPECT_EQ(EnumWords(*api::Egress::Mapping_descriptor()),
            "per-destination, endpoint-independent");
}

TEST(QuotedTest, StaysOnOneShortLine) {
  EXPECT_EQ(Quoted("a"), "\"a\"");
  EXPECT_EQ(Quoted("a\nb\x7f"), "\"a\\x0ab\\x7f\"");
  EXPECT_EQ(Quoted(std::string(100, 'x')),
            "\"" + std::string(80, 'x') + "...\"");
}

TEST(SetFromTextTest, LeavesTheMessageAloneWhenItRefuses) {
  api::Dataplane dataplane;
  const auto& type = *dataplane.GetDescriptor();
  EXPECT_FALSE(
      SetFromText(dataplane, *type.FindFieldByName("idle"), "POLL").ok());
  EXPECT_FALSE(
      SetFromText(dataplane, *type.FindFieldByName("cpus"), "1 ").ok());
  EXPECT_FALSE(
      SetFromText(dataplane, *type.FindFieldByName("eal_args"), "a\n").ok());
  EXPECT_EQ(dataplane.ByteSizeLong(), 0u);
}

TEST(PortSpecTest, ReadsEndpoints) {
  using Proto = PortSpec::Proto;
  EXPECT_EQ(ParsePortSpec("udp/53"), (PortSpec{Proto::kUdp, {53, 53}}));
  EXPECT_EQ(ParsePortSpec("tcp/1-65535"), (PortSpec{Proto::kTcp, {1, 65535}}));
  EXPECT_EQ(ParsePortSpec("icmp"), (PortSpec{Proto::kIcmp, {0, 0}}));
  for (const char* const text :
       {"", "udp", "udp/", "udp/0", "udp/-1", "udp/1-", "udp/1-2-3", "udp/ 53",
        "UDP/53", "icmp/0", "tcp/65536", "tcp/2-1", "udp/53 "}) {
    EXPECT_EQ(ParsePortSpec(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace godwit
