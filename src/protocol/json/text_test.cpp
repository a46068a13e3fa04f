// Goal: escaping and unescaping are inverse, and no byte sequence leaves the escaper as invalid
// JSON.
#include "protocol/json/text.hpp"

#include <gtest/gtest.h>

#include <string>

#include "protocol/json/validator.hpp"

namespace tocsin::json {
namespace {

std::string unescaped(std::string_view raw) {
  std::string buffer(raw.size(), '?');
  const auto text = unescape(raw, buffer);
  return text ? std::string(*text) : "(too small)";
}

TEST(Unescape, WithoutBackslashNothingIsCopied) {
  const std::string_view raw = "plain \xC3\xA9";
  const auto text = unescape(raw, {});
  ASSERT_TRUE(text.has_value());
  EXPECT_EQ(text->data(), raw.data());
}

TEST(Unescape, EveryEscape) {
  EXPECT_EQ(unescaped(R"(\"\\\/\b\f\n\r\t)"), "\"\\/\b\f\n\r\t");
  EXPECT_EQ(unescaped(R"(x\u0041\u00e9\u20AC\ud83d\ude00y)"),
            "xA\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80y");
  EXPECT_EQ(unescaped(R"(\u0000)"), std::string(1, '\0'));
}

TEST(Unescape, BufferBoundIsExact) {
  std::array<char, 3> buffer{};
  EXPECT_EQ(unescape("ab\\n", buffer), "ab\n");
  EXPECT_EQ(unescape("abc\\n", buffer), std::nullopt);
  EXPECT_EQ(unescape("abcd\\n", buffer), std::nullopt);
}

TEST(Escape, RoundTripOfEveryCodePointBelowTwoThousand) {
  std::string text;
  for (unsigned code = 0; code < 0x7FF; ++code) {
    if (code < 0x80) {
      text += static_cast<char>(code);
    } else {
      text += static_cast<char>(0xC0U | code >> 6U);
      text += static_cast<char>(0x80U | (code & 0x3FU));
    }
  }
  std::string out = "\"";
  ASSERT_TRUE(append_escaped(out, text));
  out += '"';
  EXPECT_EQ(unescaped(std::string_view{out}.substr(1, out.size() - 2)), text);
  const std::size_t size = out.size();
  out.append(json_padding, ' ');
  Validator validator(out.size());
  EXPECT_TRUE(validator.validate(std::string_view{out}.substr(0, size)).has_value());
}

TEST(Escape, InvalidUtf8IsRefusedOrReplacedByPolicy) {
  std::string out = "kept";
  EXPECT_FALSE(append_escaped(out,
                              "a\xFF"
                              "b"));
  EXPECT_EQ(out, "kept");
  out.clear();
  EXPECT_TRUE(append_escaped(out, "a\xFF\xC3\n\xED\xA0\x80", InvalidUtf8::replace));
  const std::string_view r = "\xEF\xBF\xBD";
  std::string wanted = "a";
  wanted.append(r).append(r).append("\\n").append(r).append(r).append(r);
  EXPECT_EQ(out, wanted);
}

TEST(Escape, StringHasQuotesAndTakesAnyBytes) {
  std::string out = "x";
  append_string(out, "a\"\xFF");
  EXPECT_EQ(out, "x\"a\\\"\xEF\xBF\xBD\"");
}

TEST(Escape, FixedBufferNeverOverflows) {
  std::array<char, 6> buffer{};
  EXPECT_EQ(write_escaped(buffer, "\x01"), 6U);
  EXPECT_EQ(std::string_view(buffer.data(), 6), "\\u0001");
  EXPECT_EQ(write_escaped(std::span{buffer}.first(5), "\x01"), std::nullopt);
  EXPECT_EQ(write_escaped(buffer, "\xFF"), std::nullopt);
  EXPECT_EQ(write_escaped(buffer, ""), 0U);
}

}  // namespace
}  // namespace tocsin::json
