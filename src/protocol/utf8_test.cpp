#include "protocol/utf8.hpp"

#include <gtest/gtest.h>

#include <string>

namespace tocsin {
namespace {

// Method: the scalar check must agree with the vectorized one on every 1 to 3 byte sequence with
// interesting bytes.
TEST(Utf8, SequenceAgreesWithTheVectorizedCheck) {
  const std::string bytes{
      "\x00\x41\x7F\x80\x8F\x90\x9F\xA0\xBF\xC0\xC1\xC2\xDF\xE0\xED\xEF\xF0\xF4"
      "\xF5\xFF",
      20};
  const auto valid_by_sequence = [](std::string_view text) {
    while (!text.empty()) {
      const std::size_t n = utf8_sequence(text);
      if (n == 0) return false;
      text.remove_prefix(n);
    }
    return true;
  };
  for (const char a : bytes) {
    for (const char b : bytes) {
      for (const char c : bytes) {
        for (const char d : {'\x41', '\x80', '\xBF'}) {
          const std::string text{a, b, c, d};
          ASSERT_EQ(valid_by_sequence(text), utf8_valid(text));
        }
      }
    }
  }
}

}  // namespace
}  // namespace tocsin
