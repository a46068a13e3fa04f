// Goal: what the language allows compiles, what it refuses is refused with a sentence that says
// why, and decimals compare by value.
#include "stages/match/pattern.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace tocsin::match {
namespace {

using ::testing::HasSubstr;

std::string error_of(std::string_view text) {
  Arena arena;
  const auto pattern = Pattern::compile(text, arena);
  return pattern ? "" : pattern.error();
}

TEST(Pattern, CompilesFieldsWithTheirPathsAndAlternatives) {
  Arena arena;
  const auto pattern = Pattern::compile(
      R"({"a":{"b.c":[1,"x",{"prefix":"p"}]},"d":[{"exists":false},null]})", arena);
  ASSERT_TRUE(pattern.has_value());
  ASSERT_EQ(pattern->fields.size(), 2U);
  EXPECT_EQ(pattern->fields[0].path, (std::vector<std::string_view>{"a", "b.c"}));
  EXPECT_EQ(pattern->fields[0].present.size(), 3U);
  EXPECT_FALSE(pattern->fields[0].absent_accepted);
  EXPECT_TRUE(pattern->fields[1].absent_accepted);
  EXPECT_EQ(pattern->fields[1].present.size(), 1U);
}

TEST(Pattern, EmptyTextMatchesEverything) {
  Arena arena;
  for (const char* text : {"", "  \n"}) {
    const auto pattern = Pattern::compile(text, arena);
    ASSERT_TRUE(pattern.has_value());
    EXPECT_TRUE(pattern->fields.empty());
  }
}

TEST(Pattern, RefusesWithReasonAndField) {
  struct Case {
    const char* text;
    const char* reason;
  };
  for (const auto& [text, reason] : {
           Case{"{}", "an empty object matches nothing"},
           Case{R"({"a":[]})", "field \"a\": an empty array matches nothing"},
           Case{R"({"a":{}})", "field \"a\": an empty object"},
           Case{R"({"a":"x"})", "needs an array of alternatives, such as [\"x\"]"},
           Case{R"({"a":{"b":5}})", "field \"a.b\": needs an array"},
           Case{R"({"a":[[1]]})", "arrays in arrays"},
           Case{R"({"a":[{}]})", "exactly one operator, this one has 0"},
           Case{R"({"a":[{"prefix":"x","exists":true}]})", "exactly one operator"},
           Case{R"({"$or":[{"a":[1]}]})", "$or is not supported yet"},
           Case{R"({"$or":[{"a":[1]},{"b":[2]}]})", "$or is not supported yet"},
           Case{R"({"a":[{"suffix":"x"}]})", "suffix is not supported yet"},
           Case{R"({"a":[{"anything-but":"x"}]})", "anything-but is not supported yet"},
           Case{R"({"a":[{"equals-ignore-case":"x"}]})", "equals-ignore-case is not supported"},
           Case{R"({"a":[{"wildcard":"x*"}]})", "wildcard is not supported yet"},
           Case{R"({"a":[{"cidr":"10.0.0.0/8"}]})", "cidr is not supported yet"},
           Case{R"({"a":[{"regex":"x"}]})", "regex is not supported yet"},
           Case{R"({"a":[{"prefix":{"equals-ignore-case":"x"}}]})", "not supported yet"},
           Case{R"({"a":[{"like":"x"}]})", "there is no operator \"like\""},
           Case{R"({"a":[{"prefix":5}]})", "prefix needs a string"},
           Case{R"({"a":[{"exists":"yes"}]})", "exists needs true or false"},
           Case{R"({"a":[{"numeric":5}]})", "numeric needs an array"},
           Case{R"({"a":[{"numeric":[]}]})", "needs a comparison"},
           Case{R"({"a":[{"numeric":["!=",5]}]})", "does not know the comparison \"!=\""},
           Case{R"({"a":[{"numeric":["",5]}]})", "does not know the comparison"},
           Case{R"({"a":[{"numeric":[">"]}]})", "needs a number after"},
           Case{R"({"a":[{"numeric":[">","5"]}]})", "needs a number after"},
           Case{R"({"a":[{"numeric":["<",5,">",0]}]})", "lower bound first"},
           Case{R"({"a":[{"numeric":["=",5,"<",9]}]})", "lower bound first"},
           Case{R"({"a":[{"numeric":[">",5,"<",5]}]})", "lower bound below the upper"},
           Case{R"({"a":[{"numeric":[">",0,"<",5,"<",6]}]})", "at most two"},
           Case{R"(["a"])", "must be a JSON object"},
           Case{R"({"a":[1)", "not valid JSON"},
           Case{R"({"a":[1]} x)", "not valid JSON"},
       }) {
    EXPECT_THAT(error_of(text), HasSubstr(reason)) << text;
  }
}

TEST(Pattern, RefusesWhatIsTooComplex) {
  std::string deep = "[1]";
  for (std::size_t i = 0; i <= pattern_depth_max; ++i) deep = R"({"a":)" + deep + "}";
  EXPECT_THAT(error_of(deep), HasSubstr("nested deeper"));
  std::string wide;
  for (std::size_t i = 0; i <= pattern_fields_max; ++i) {
    wide += (i == 0 ? "\"f" : ",\"f") + std::to_string(i) + "\":[1]";
  }
  EXPECT_THAT(error_of("{" + wide + "}"), HasSubstr("fields"));
  std::string many = "1";
  for (std::size_t i = 0; i < pattern_alternatives_max; ++i) many += ",1";
  EXPECT_THAT(error_of(R"({"a":[)" + many + "]}"), HasSubstr("alternatives"));
  EXPECT_THAT(error_of(R"({"a":[")" + std::string(pattern_size_max, 'x') + R"("]})"),
              HasSubstr("bytes"));
  std::string mixed;
  for (std::size_t i = 0; i <= pattern_mixed_fields_max; ++i) {
    mixed += (i == 0 ? "\"f" : ",\"f") + std::to_string(i) + R"(":[1,{"exists":false}])";
  }
  EXPECT_THAT(error_of("{" + mixed + "}"), HasSubstr("absence"));
}

TEST(Pattern, LastDuplicateKeyCounts) {
  Arena arena;
  const auto pattern = Pattern::compile(R"({"a":["x"],"\u0061":["y"]})", arena);
  ASSERT_TRUE(pattern.has_value());
  ASSERT_EQ(pattern->fields.size(), 1U);
  EXPECT_EQ(pattern->fields[0].present[0].operand.text, "y");
}

TEST(Decimal, ComparesByValueWhateverTheSpelling) {
  const auto order = [](std::string_view a, std::string_view b) {
    const auto result = compare(parse_decimal(a), parse_decimal(b));
    return result < 0 ? -1 : result > 0 ? 1 : 0;
  };
  for (const auto& [a, b] : std::initializer_list<std::pair<const char*, const char*>>{
           {"5", "5.0"},
           {"5", "5e0"},
           {"5", "0.5E1"},
           {"500", "5e2"},
           {"0", "-0.0"},
           {"0", "0e99"},
           {"0.1", "0.10"},
           {"0.001", "1e-3"},
           {"-12.50", "-1.25e1"},
           {"12345678901234567890123", "12345678901234567890123.00"},
           {"1.2345678901234567890123", "12345678901234567890123e-22"}}) {
    EXPECT_EQ(order(a, b), 0) << a << ' ' << b;
    EXPECT_EQ(order(b, a), 0) << a << ' ' << b;
  }
  for (const auto& [a, b] : std::initializer_list<std::pair<const char*, const char*>>{
           {"0.3", "0.30000000000000004"},
           {"9007199254740992", "9007199254740993"},
           {"18446744073709551614", "18446744073709551615"},
           {"-1", "0"},
           {"0", "1e-300"},
           {"-2", "-1"},
           {"-10", "-9"},
           {"9", "10"},
           {"0.09", "0.1"},
           {"12345678901234567890123", "12345678901234567890124"},
           {"1.23456789012345678901", "1.234567890123456789012"},
           {"-1.234567890123456789012", "-1.23456789012345678901"}}) {
    EXPECT_EQ(order(a, b), -1) << a << ' ' << b;
    EXPECT_EQ(order(b, a), 1) << a << ' ' << b;
  }
}

}  // namespace
}  // namespace tocsin::match
