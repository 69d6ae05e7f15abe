// SPDX-License-Identifier: BSD-3-Clause
#include "control/health/url.h"

#include "gtest/gtest.h"

namespace godwit {
namespace {

TEST(HttpUrlTest, ReadsItsParts) {
  const auto url = ParseHttpUrl("http://www.example:8080/health?deep=1#top");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->host, "www.example");
  EXPECT_EQ(url->authority, "www.example:8080");
  EXPECT_EQ(url->l4port, 8080);
  EXPECT_EQ(url->path, "/health?deep=1");
}

TEST(HttpUrlTest, ReadsAddressesInBrackets) {
  const auto url = ParseHttpUrl("http://[2001:db8:53::80]:81");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->host, "2001:db8:53::80");
  EXPECT_EQ(url->authority, "[2001:db8:53::80]:81");
  EXPECT_EQ(url->l4port, 81);
  EXPECT_EQ(url->path, "/");
  EXPECT_EQ(ParseHttpUrl("http://192.0.2.80?x")->path, "/?x");
  EXPECT_EQ(ParseHttpUrl("http://192.0.2.80")->l4port, 80);
}

TEST(HttpUrlTest, RefusesWhatItCanNotAsk) {
  for (const char* text :
       {"https://a/", "http://", "http:///x", "http://a:0/", "http://a:70000/",
        "http://[::1/", "http://[::1]x/", "192.0.2.80"}) {
    EXPECT_FALSE(ParseHttpUrl(text)) << text;
  }
}

TEST(HttpUrlTest, FindsTheStatus) {
  EXPECT_EQ(HttpStatusOf("HTTP/1.1 204 No Content\r\n"), 204);
  EXPECT_EQ(HttpStatusOf("HTTP/1.0 503"), 503);
  for (const char* text :
       {"", "HTTP/1.1", "HTTP/1.1 2", "SSH-2.0-x 200 200", "HTTP/1.1-200 OK"}) {
    EXPECT_EQ(HttpStatusOf(text), 0) << text;
  }
}

}  // namespace
}  // namespace godwit
