#include "protocol/mqtt/utf8.hpp"

#include <gtest/gtest.h>

#include <string>

namespace tocsin::mqtt {
namespace {

TEST(MqttUtf8, ValidAndInvalid) {
  using namespace std::string_literals;
  for (const std::string& good :
       {""s, "plain ascii, longer than a word"s, "gr\xc3\xbc\xc3\x9f"s, "\xe2\x82\xac"s,
        "\xf0\x9f\x94\x94"s, "\xed\x9f\xbf"s, "\xee\x80\x80"s, "\xf4\x8f\xbf\xbf"s}) {
    EXPECT_TRUE(string_valid(good)) << good;
  }
  for (const std::string& bad :
       {"\0"s, "1234567\0"s, "12345678\0"s, "\x80"s, "\xc3"s, "\xc1\xbf"s, "\xe0\x9f\xbf"s,
        "\xed\xa0\x80"s, "\xf0\x8f\xbf\xbf"s, "\xf4\x90\x80\x80"s, "\xf5\x80\x80\x80"s, "\xe2\x82"s,
        "12345678\xff"s}) {
    EXPECT_FALSE(string_valid(bad));
  }
}

// Goal: a wildcard is found at every position, inside and behind the eight-byte words, and nothing
// else is taken for one.
TEST(MqttUtf8, WildcardAnywhere) {
  for (std::size_t size = 1; size <= 20; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      for (unsigned byte = 1; byte < 256; ++byte) {
        std::string topic(size, 'a');
        topic[at] = static_cast<char>(byte);
        EXPECT_EQ(has_wildcard(topic), byte == '+' || byte == '#') << size << ' ' << at;
      }
    }
  }
}

// Goal: plain is what both of the others pass and what is ASCII; no byte at any place escapes.
TEST(MqttUtf8, PlainTopicNames) {
  for (std::size_t size = 0; size <= 27; ++size) {
    EXPECT_EQ(plain_topic_name(std::string(size, '/')), size >= 8);
    for (std::size_t at = 0; at < size; ++at) {
      for (unsigned byte = 0; byte < 256; ++byte) {
        std::string topic(size, 'a');
        topic[at] = static_cast<char>(byte);
        const bool plain = byte > 0 && byte < 128 && byte != '+' && byte != '#';
        EXPECT_EQ(plain_topic_name(topic), plain && size >= 8) << size << ' ' << at << ' ' << byte;
      }
    }
  }
}

}  // namespace
}  // namespace tocsin::mqtt
