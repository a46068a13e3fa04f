// Goal: what Validator accepts is JSON, what it refuses gets the right reason, and the walker reads
// exactly what stands there.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "protocol/json/number.hpp"
#include "protocol/json/scanner.hpp"
#include "protocol/json/validator.hpp"
#include "protocol/json/walker.hpp"

namespace tocsin::json {
namespace {

// Text followed by the readable bytes that the parser needs; hostile ones.
std::string padded(std::string_view text) {
  std::string out(text);
  out.reserve(text.size() + json_padding);
  out.append(json_padding, '"');
  return out;
}

class ValidatorTest : public ::testing::Test {
 protected:
  Result<Document, JsonError> check(std::string_view text) {
    text_ = padded(text);
    return validator_.validate(std::string_view{text_}.substr(0, text.size()));
  }
  std::string verdict(std::string_view text) {
    const auto result = check(text);
    return result ? "ok" : std::string(to_string(result.error()));
  }
  Validator validator_{64 * 1024};
  std::string text_;
};

std::string nested(std::size_t depth, std::string_view inside) {
  return std::string(depth, '[') + std::string(inside) + std::string(depth, ']');
}

TEST_F(ValidatorTest, AnyRootValueIsAccepted) {
  for (const char* text : {"{}", "[]", "\"\"", "\"a\\u00e9\"", "12", " -0.5e3\r\n", "true", "false",
                           " null ", "{\"a\":[1,{\"b\":null}]}", "18446744073709551615"}) {
    EXPECT_EQ(verdict(text), "ok") << text;
  }
}

TEST_F(ValidatorTest, EveryKindOfDamageHasItsReason) {
  EXPECT_EQ(verdict(""), "empty");
  EXPECT_EQ(verdict(" \t\r\n"), "empty");
  for (const std::string& text : {std::string("{"),
                                  std::string("{\"a\":1}x"),
                                  std::string("{} {}"),
                                  std::string("[1,]"),
                                  std::string("\xEF\xBB\xBF{}"),
                                  std::string("{}\0", 3),
                                  std::string("\0", 1),
                                  std::string("[\"a\0b\"]", 7),
                                  std::string("\"a\nb\""),
                                  std::string("\"abc"),
                                  std::string("[01]"),
                                  std::string("[1.]"),
                                  std::string("[-]"),
                                  std::string("01"),
                                  std::string("1 2"),
                                  std::string("-"),
                                  std::string("[\"\\ud800\"]"),
                                  std::string("[\"\\udc00\"]"),
                                  std::string("[\"\\ud800\\u0041\"]"),
                                  std::string("[\"\\x\"]"),
                                  std::string("{\"a\" 1}"),
                                  std::string("{a:1}"),
                                  std::string("nul"),
                                  std::string("[NaN]"),
                                  std::string("[+1]"),
                                  std::string("'a'"),
                                  std::string("12\0", 3)}) {
    EXPECT_EQ(verdict(text), "syntax") << text;
  }
  EXPECT_EQ(verdict("\"\xC3\x28\""), "utf8");
  EXPECT_EQ(verdict("\"\xC0\xAF\""), "utf8");
  EXPECT_EQ(verdict("\"\xED\xA0\x80\""), "utf8");
  EXPECT_EQ(verdict("[1e400]"), "number");
  EXPECT_EQ(verdict("1e400"), "number");
  EXPECT_EQ(verdict("-1795e246000000"), "number");
  EXPECT_EQ(verdict("[1e400,01]"), "number");
  EXPECT_EQ(verdict("[01,1e400]"), "syntax");
  EXPECT_EQ(verdict("{\"a\":18446744073709551616}"), "number");
  EXPECT_EQ(verdict("18446744073709551616"), "number");
}

TEST_F(ValidatorTest, NumbersTooSmallForBinary64AreZero) {
  EXPECT_EQ(verdict("[1e-400]"), "ok");
  EXPECT_EQ(verdict("1e-400"), "ok");
  EXPECT_EQ(verdict("[0e999999]"), "ok");
  EXPECT_EQ(verdict("0e999999"), "ok");
  EXPECT_EQ(verdict("[-0.0001e-99999999999999999999]"), "ok");
  EXPECT_EQ(verdict('1' + std::string(500, '0') + "e-10"), "number");
  EXPECT_EQ(verdict("0." + std::string(500, '0') + "1e10"), "ok");
}

TEST_F(ValidatorTest, DepthIsBounded) {
  EXPECT_EQ(verdict(nested(json_depth_max, "1")), "ok");
  EXPECT_EQ(verdict(nested(json_depth_max + 1, "1")), "depth");
  EXPECT_EQ(verdict(nested(20'000, "1")), "depth");
  Validator large(4'000'000);
  const std::string bomb = padded(nested(1'000'000, "1"));
  const auto result = large.validate(std::string_view{bomb}.substr(0, 2'000'001));
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error(), JsonError::depth);
}

TEST_F(ValidatorTest, SizeLimitIsExactAndGrowthIsBounded) {
  Validator small(16, 100);
  const std::string text = padded('"' + std::string(98, 'x') + '"');
  EXPECT_TRUE(small.validate(std::string_view{text}.substr(0, 100)).has_value());
  const std::string longer = padded('"' + std::string(99, 'x') + '"');
  const auto result = small.validate(std::string_view{longer}.substr(0, 101));
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error(), JsonError::too_large);
  EXPECT_TRUE(small.validate(std::string_view{text}.substr(0, 100)).has_value()) << "still usable";
}

TEST_F(ValidatorTest, WalkerReadsMembersKeysAndValues) {
  const auto document = check(R"( {"a" : 1 ,"b":"x\"y" , "c":[ 1, {"d":[]} ,true],"e":{} } )");
  ASSERT_TRUE(document.has_value());
  std::vector<std::string> seen;
  for (Members m(document->root()); m.next();) {
    seen.push_back(std::string(m.key()) + '=' + std::string(m.value().text()));
  }
  EXPECT_EQ(seen,
            (std::vector<std::string>{"a=1", R"(b="x\"y")", R"(c=[ 1, {"d":[]} ,true])", "e={}"}));
  const auto array = document->root().find("c");
  ASSERT_TRUE(array.has_value());
  std::vector<Kind> kinds;
  for (Elements e(*array); e.next();) kinds.push_back(e.value().kind());
  EXPECT_EQ(kinds, (std::vector<Kind>{Kind::number, Kind::object, Kind::boolean}));
  EXPECT_EQ(document->root().find("b")->raw_string(), R"(x\"y)");
  EXPECT_FALSE(document->root().find("d").has_value());
}

TEST_F(ValidatorTest, EnteredValuesNeedNoSkip) {
  const auto document = check(R"({"a":{"x":[1,2]},"b":3})");
  ASSERT_TRUE(document.has_value());
  Members outer(document->root());
  ASSERT_TRUE(outer.next());
  Members inner(outer.value());
  while (inner.next()) {
  }
  outer.walked(inner.after());
  ASSERT_TRUE(outer.next());
  EXPECT_EQ(outer.key(), "b");
  EXPECT_EQ(outer.value().text(), "3");
  EXPECT_FALSE(outer.next());
}

TEST_F(ValidatorTest, KeysWithEscapesAreFoundAndTheLastDuplicateCounts) {
  const auto document = check(R"({"\u0061":1,"b\n":2,"a":3,"\ud83d\ude00":4,"q\\n":5})");
  ASSERT_TRUE(document.has_value());
  EXPECT_EQ(document->root().find("a")->text(), "3");
  EXPECT_EQ(document->root().find("b\n")->text(), "2");
  EXPECT_EQ(document->root().find("\xF0\x9F\x98\x80")->text(), "4");
  EXPECT_EQ(document->root().find("q\\n")->text(), "5");
  EXPECT_FALSE(document->root().find("b\\n").has_value());
  EXPECT_FALSE(document->root().find("").has_value());
}

TEST(StructuralScanner, OnePassOverJoinedDocumentsCutsApart) {
  const std::vector<std::string> documents{R"({"a":1})", "12", R"("x")", "[1,2]", "true"};
  std::string text;
  for (const auto& document : documents) text += document + '\n';
  const std::string buffer = padded(text);
  StructuralScanner scanner(buffer.size());
  const auto indexes = scanner.scan(std::string_view{buffer}.substr(0, text.size()));
  ASSERT_TRUE(indexes.has_value());
  auto rest = *indexes;
  std::size_t end = 0;
  for (const auto& document : documents) {
    end += document.size();
    const auto own = take_document(rest, end);
    ASSERT_FALSE(own.empty());
    EXPECT_EQ(Value(buffer.data(), own).text(), document);
    ++end;
  }
  EXPECT_TRUE(rest.empty());
}

TEST(StructuralScanner, LimitsAndDamage) {
  StructuralScanner scanner(64);
  const std::string buffer = padded(std::string(64, '['));
  EXPECT_TRUE(scanner.scan(std::string_view{buffer}.substr(0, 64)).has_value());
  EXPECT_EQ(scanner.scan(std::string_view{buffer}.substr(0, 65)).error(), JsonError::too_large);
  EXPECT_EQ(scanner.scan({}).error(), JsonError::empty);
  const std::string open = padded("\"a\n1\n");
  EXPECT_EQ(scanner.scan(std::string_view{open}.substr(0, 5)).error(), JsonError::syntax);
}

TEST(Number, KeepsWhatSixtyFourBitsHold) {
  EXPECT_EQ(parse_int64("-9223372036854775808"), INT64_MIN);
  EXPECT_EQ(parse_int64("9223372036854775808"), std::nullopt);
  EXPECT_EQ(parse_uint64("18446744073709551615"), UINT64_MAX);
  EXPECT_EQ(parse_int64("1.0"), std::nullopt);
  EXPECT_EQ(parse_double("0.1"), 0.1);
  EXPECT_EQ(parse_double("1e400"), std::nullopt);
  EXPECT_EQ(parse_double("1e-400"), 0.0);
  EXPECT_EQ(parse_double("0x10"), std::nullopt);
  EXPECT_EQ(parse_double("inf"), std::nullopt);
  EXPECT_EQ(parse_number("9223372036854775808")->kind, Number::Kind::uint64);
  EXPECT_EQ(parse_number("-3")->integer, -3);
  EXPECT_EQ(parse_number("2.50")->real, 2.5);
}

}  // namespace
}  // namespace tocsin::json
