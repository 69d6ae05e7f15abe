// SPDX-License-Identifier: BSD-3-Clause
#include "control/health/dns_message.h"

#include "gtest/gtest.h"

namespace godwit {
namespace {

using namespace std::string_literals;

const std::string kQuery =
    "\x12\x34\0\0\0\1\0\0\0\0\0\0\6health\7example\0\0\1\0\1"s;

std::string Answer(char rcode) {
  std::string answer = kQuery;
  answer[2] = '\x84';
  answer[3] = rcode;
  return answer + "\xc0\x0c";
}

TEST(DnsMessageTest, AsksAsRfc1035Says) {
  EXPECT_EQ(DnsQuery(0x1234, "health.example"), kQuery);
  EXPECT_EQ(DnsQuery(0x1234, "health.example."), kQuery);
}

TEST(DnsMessageTest, KnowsItsAnswer) {
  EXPECT_TRUE(AnswersDnsQuery(Answer('\0'), kQuery));
  std::string other = Answer('\0');
  other[1] = '\x35';
  EXPECT_FALSE(AnswersDnsQuery(other, kQuery)) << "another id";
  EXPECT_FALSE(AnswersDnsQuery(kQuery, kQuery)) << "a question";
  other = Answer('\0');
  other[14] = 'x';
  EXPECT_FALSE(AnswersDnsQuery(other, kQuery)) << "another name";
  EXPECT_FALSE(AnswersDnsQuery(Answer('\0').substr(0, 11), kQuery));
  EXPECT_FALSE(AnswersDnsQuery(Answer('\0').substr(0, 20), kQuery));
}

TEST(DnsMessageTest, TakesARefusalWithoutTheQuestion) {
  const std::string bare = "\x12\x34\x80\x05\0\0\0\0\0\0\0\0"s;
  EXPECT_TRUE(AnswersDnsQuery(bare, kQuery));
  EXPECT_EQ(DnsRcodeOf(bare), "REFUSED");
}

TEST(DnsMessageTest, NamesTheRcode) {
  EXPECT_EQ(DnsRcodeOf(Answer('\0')), "NOERROR");
  EXPECT_EQ(DnsRcodeOf(Answer('\x82')), "SERVFAIL");
  EXPECT_EQ(DnsRcodeOf(Answer('\x0b')), "RCODE 11");
}

}  // namespace
}  // namespace godwit
