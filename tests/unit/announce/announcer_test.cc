// SPDX-License-Identifier: BSD-3-Clause
#include "control/announce/announcer.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace godwit {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const IpAddress kOne = *IpAddress::Parse("192.0.2.53");
const IpAddress kOther = *IpAddress::Parse("2001:db8:53::53");
const AnnounceSettings kSettings = {7480, 100, seconds(1), seconds(60)};
const AddressLife kLive = {true, false, ""};
const AddressLife kDead = {false, false, "queue dns0: no link"};
const AddressLife kDrained = {false, true, "queue dns0: drained"};

class AnnouncerTest : public testing::Test {
 protected:
  std::vector<std::string> Decide(const AddressLives& lives,
                                  milliseconds at = seconds(10)) {
    return announcer_.Decide(kSettings, lives, At(at));
  }
  static Announcer::Clock::time_point At(milliseconds since_start) {
    return Announcer::Clock::time_point(since_start);
  }
  Announcer announcer_{At(milliseconds(0))};
};

TEST_F(AnnouncerTest, WhatIsAliveIsARoute) {
  EXPECT_THAT(Decide({{kOne, kLive}, {kOther, kDead}}),
              ElementsAre("routes announced: 192.0.2.53"));
  const Announcement wanted = {7480, 100, seconds(1), {kOne}, {}};
  EXPECT_EQ(announcer_.wanted(), wanted);
  EXPECT_TRUE(announcer_.IsAnnounced(kOne));
  EXPECT_EQ(announcer_.ReasonOf(kOne, At(seconds(10))), "");
  EXPECT_EQ(announcer_.ReasonOf(kOther, At(seconds(10))),
            "queue dns0: no link");
  EXPECT_THAT(Decide({{kOne, kLive}, {kOther, kDead}}), IsEmpty());
  EXPECT_FALSE(announcer_.next());
}

TEST_F(AnnouncerTest, WhatDiesIsWithdrawnWithItsReason) {
  Decide({{kOne, kLive}, {kOther, kLive}});
  EXPECT_THAT(Decide({{kOne, kDead}, {kOther, kDead}}),
              ElementsAre("routes withdrawn (queue dns0: no link): 192.0.2.53, "
                          "2001:db8:53::53"));
  EXPECT_THAT(announcer_.wanted().addresses, IsEmpty());
  EXPECT_EQ(announcer_.announcements(), 2u);
  EXPECT_EQ(announcer_.withdrawals(), 2u);
}

TEST_F(AnnouncerTest, AnAddressThatIsRemovedGoes) {
  Decide({{kOne, kLive}});
  EXPECT_THAT(Decide({}),
              ElementsAre(HasSubstr("no address of a service any more")));
  EXPECT_THAT(announcer_.wanted().addresses, IsEmpty());
}

TEST_F(AnnouncerTest, APredecessorsRouteMayStayForTheFirstSecondOnly) {
  Decide({{kOne, kDead}, {kOther, kDrained}}, milliseconds(10));
  EXPECT_THAT(announcer_.wanted().kept, ElementsAre(kOne));
  EXPECT_THAT(announcer_.wanted().addresses, IsEmpty());
  EXPECT_EQ(announcer_.next(), At(seconds(1)));
  Decide({{kOne, kDead}, {kOther, kDrained}}, seconds(1));
  EXPECT_THAT(announcer_.wanted().kept, IsEmpty());
  EXPECT_FALSE(announcer_.next());
}

TEST_F(AnnouncerTest, WhatIsWithdrawnIsNotKept) {
  Decide({{kOne, kLive}}, milliseconds(10));
  Decide({{kOne, kDead}}, milliseconds(20));
  EXPECT_THAT(announcer_.wanted().kept, IsEmpty());
}

TEST_F(AnnouncerTest, WhatComesAndGoesIsHeldBack) {
  for (int i = 0; i < 5; ++i) {
    Decide({{kOne, kLive}, {kOther, kLive}});
    EXPECT_TRUE(announcer_.IsAnnounced(kOne)) << i;
    Decide({{kOne, kDead}, {kOther, kLive}});
  }
  EXPECT_THAT(Decide({{kOne, kLive}, {kOther, kLive}}), IsEmpty());
  EXPECT_THAT(announcer_.wanted().addresses, ElementsAre(kOther));
  EXPECT_THAT(announcer_.ReasonOf(kOne, At(seconds(10))),
              HasSubstr("withdrawn too often: held back for 16"));
  ASSERT_TRUE(announcer_.next());
  EXPECT_GT(*announcer_.next(), At(seconds(160)));
  announcer_.Decide(kSettings, {{kOne, kLive}, {kOther, kLive}},
                    *announcer_.next() + milliseconds(1));
  EXPECT_TRUE(announcer_.IsAnnounced(kOne));
}

TEST_F(AnnouncerTest, AnOperatorsDrainsAreNoFlaps) {
  for (int i = 0; i < 20; ++i) {
    Decide({{kOne, kLive}});
    Decide({{kOne, kDrained}});
  }
  Decide({{kOne, kLive}});
  EXPECT_TRUE(announcer_.IsAnnounced(kOne));
}

TEST_F(AnnouncerTest, ALineNamesAsManyAsOneCanRead) {
  AddressLives lives;
  for (int i = 1; i <= 50; ++i) {
    lives[*IpAddress::Parse("192.0.2." + std::to_string(i))] = kLive;
  }
  EXPECT_THAT(Decide(lives), ElementsAre(HasSubstr(" and 30 more")));
}

}  // namespace
}  // namespace godwit
