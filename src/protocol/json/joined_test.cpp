// Goal: documents that are validated together get the verdicts that each gets alone, and those are
// simdjson's, above all for numbers, which are seen from whole words.
#include <gtest/gtest.h>
#include <simdjson.h>

#include <optional>
#include <random>
#include <string>
#include <vector>

#include "protocol/json/validator.hpp"

namespace tocsin::json {
namespace {

class JoinedTest : public ::testing::Test {
 protected:
  JoinedTest() { EXPECT_EQ(parser_.allocate(capacity, json_depth_max + 1), simdjson::SUCCESS); }

  std::optional<JsonError> alone(std::string_view text) {
    // What follows a document must not matter.
    for (const char after : {'"', '5', '.', ' '}) {
      std::string buffer(text);
      buffer.append(json_padding, after);
      const auto result = validator_.validate(std::string_view{buffer}.substr(0, text.size()));
      const std::optional<JsonError> verdict =
          result ? std::nullopt : std::optional{result.error()};
      if (after == '"') first_ = verdict;
      EXPECT_EQ(verdict, first_) << text;
    }
    return first_;
  }
  bool simdjson_accepts(std::string_view text) {
    return parser_.parse(simdjson::padded_string(text)).error() == simdjson::SUCCESS;
  }
  // Compares; returns whether all are valid.
  bool check(const std::vector<std::string>& documents) {
    std::string text;
    std::vector<std::uint32_t> ends;
    for (const std::string& document : documents) {
      text += document;
      ends.push_back(static_cast<std::uint32_t>(text.size()));
      text += '\n';
    }
    bool wanted = true;
    std::vector<std::optional<JsonError>> wanted_verdicts;
    for (const std::string& document : documents) {
      wanted_verdicts.push_back(alone(document));
      wanted = wanted && !wanted_verdicts.back();
    }
    const std::size_t size = text.size();
    // With and without the newline of the last one.
    for (const std::size_t less : {0U, 1U}) {
      std::string buffer = text.substr(0, size - less);
      buffer.append(json_padding, '5');
      std::vector<std::optional<JsonError>> verdicts(documents.size());
      const bool valid = validator_.validate_joined(std::string_view{buffer}.substr(0, size - less),
                                                    ends, verdicts);
      EXPECT_EQ(valid, wanted) << text;
      if (valid) continue;
      EXPECT_EQ(verdicts, wanted_verdicts) << text;
    }
    return wanted;
  }

  static constexpr std::size_t capacity = 64 * 1024;
  Validator validator_{capacity};
  simdjson::dom::parser parser_{capacity};
  std::optional<JsonError> first_;
};

// Every form of a number that is near a limit of the quick look: digits before and behind the
// point, sign, exponent, leading zeros.
std::vector<std::string> numbers() {
  std::vector<std::string> all{"0",
                               "-0",
                               "00",
                               "-00",
                               "01",
                               "-01",
                               "1.",
                               "-1.",
                               ".5",
                               "-.5",
                               "1.5",
                               "-1.5",
                               "0.0",
                               "00.0",
                               "0.",
                               ".",
                               "-",
                               "--1",
                               "+1",
                               "1..2",
                               "1.2.3",
                               "1.23456.",
                               "1.e5",
                               "1e",
                               "1e+",
                               "1e5",
                               "1E-5",
                               "1.5e+10",
                               "0e0",
                               "1e999",
                               "-1e999",
                               "1e-999",
                               "0x10",
                               "1_000",

                               "1 5",
                               "1/5",
                               "1:5",
                               "12345678:",
                               "1;",
                               "1a",
                               "1\"",
                               "NaN",
                               "Infinity",
                               "18446744073709551614",
                               "18446744073709551615",
                               "18446744073709551616",
                               "9223372036854775807",
                               "9223372036854775808",
                               "-9223372036854775807",
                               "-9223372036854775808",
                               "-9223372036854775809",
                               "9999999999999999999",
                               "10000000000000000000",
                               "-999999999999999999",
                               "-1000000000000000000"};
  for (const char* digit : {"1", "9", "0"}) {
    std::string digits;
    for (std::size_t size = 1; size <= 33; ++size) {
      digits += digit;
      for (const char* sign : {"", "-"}) {
        all.push_back(sign + digits);
        for (const std::size_t point : {std::size_t{0}, std::size_t{1}, size / 2, size - 1, size}) {
          all.push_back(sign + digits.substr(0, point) + '.' + digits.substr(point));
        }
        all.push_back(sign + ("0." + digits));
        all.push_back(sign + digits + "e1");
        all.push_back(sign + digits + "x");
      }
    }
  }
  return all;
}

TEST_F(JoinedTest, NumbersOfEveryFormHaveSimdjsonsVerdict) {
  std::size_t valid = 0;
  for (const std::string& number : numbers()) {
    const bool wanted = simdjson_accepts('[' + number + ']');
    for (const char* behind : {"", " ", "\t", "\n", "\r\n", "   \n\t   "}) {
      const std::string text = number + behind;
      const std::string element = '[' + text + ']';
      std::string elements = "[" + text;
      elements.append(",").append(text).append("]");
      std::string member = R"({"a":)";
      member.append(text).append("}");
      EXPECT_EQ(!alone(text), simdjson_accepts(text)) << text;
      EXPECT_EQ(!alone(element), wanted) << text;
      EXPECT_EQ(!alone(elements), wanted) << text;
      EXPECT_EQ(!alone(member), wanted) << text;
      check({text, "{\"a\":1}"});
      check({"[1,2]", text, text});
      check({text, number});
    }
    valid += wanted ? 1 : 0;
  }
  EXPECT_GT(valid, 200U);
  EXPECT_LT(valid, numbers().size() - 200);
}

// Method: each of the 256 bytes at each place of numbers of one to three words, without a point and
// with one.
TEST_F(JoinedTest, ByteInsideANumber) {
  for (const std::size_t size : {1U, 5U, 8U, 9U, 16U, 17U}) {
    for (const std::size_t point : {std::size_t{1}, std::size_t{12}, size}) {
      if (point > size) continue;
      for (std::size_t at = 0; at < size; ++at) {
        for (int byte = 0; byte < 256; ++byte) {
          std::string text = "[" + std::string(size, '7') + "]";
          if (point < size) text[1 + point] = '.';
          text[1 + at] = static_cast<char>(byte);
          ASSERT_EQ(!alone(text), simdjson_accepts(text)) << size << ' ' << at << ' ' << byte;
        }
      }
    }
  }
}

TEST_F(JoinedTest, NoDocumentReachesIntoTheNext) {
  const std::vector<std::string> pieces{
      "1",      "{}",     "[1",  ",2]",  "[",      "]",      "{\"a\":", "1}",
      "\"x",    "y\"",    "\"",  "\\",   "\"\\",   "",       "  ",      "\"a\":1",
      ",",      ":",      "tr",  "ue",   "-",      "5.",     "\xC3",    "\xA9",
      "\"\xC3", "\xA9\"", "1 2", "{}{}", "\"a\"b", "5\"a\"", "[]x",     "null"};
  for (const std::string& a : pieces) {
    for (const std::string& b : pieces) {
      check({a, b});
      check({"[0]", a, b, "[0]"});
    }
  }
  EXPECT_TRUE(check({"1", "{}", "[{\"a\":[]}]", "\"\\\\\"", "null", " 5 ", "{\n\"a\"\n:\n1\n}"}));
  EXPECT_TRUE(check({"\"no escape\"", "\"\\u00e9\"", "\"no escape\""}));
  EXPECT_FALSE(check({"\"no escape\"", "\"\\u00g9\"", "\"\\n\""}));
}

TEST_F(JoinedTest, DepthIsThatOfEachDocument) {
  const std::string deep =
      std::string(json_depth_max, '[') + "1" + std::string(json_depth_max, ']');
  EXPECT_TRUE(check({deep, deep, deep}));
  EXPECT_FALSE(check({deep, '[' + deep + ']', deep}));
  EXPECT_FALSE(check({std::string(json_depth_max, '['), deep}));
}

TEST_F(JoinedTest, AnotherSizeThanTheMemory) {
  Validator small(16, 64);
  std::string text = std::string(62, '1');
  const std::string one = std::string(31, ' ') + "1";
  std::string buffer = one + '\n' + one.substr(1);
  ASSERT_EQ(buffer.size(), 64U);
  buffer.append(json_padding, ' ');
  const std::vector<std::uint32_t> ends{32, 64};
  std::vector<std::optional<JsonError>> verdicts(2);
  EXPECT_TRUE(small.validate_joined(std::string_view{buffer}.substr(0, 64), ends, verdicts));
  // Together they are too long: then each is looked into alone.
  const std::vector<std::uint32_t> longer{32, 65};
  buffer.insert(33, " ");
  EXPECT_TRUE(small.validate_joined(std::string_view{buffer}.substr(0, 65), longer, verdicts));
  EXPECT_EQ(verdicts, (std::vector<std::optional<JsonError>>(2)));
}

// Method: documents of a few characters each, from an alphabet of what means something.
TEST_F(JoinedTest, RandomDocuments) {
  std::mt19937_64 random(7);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  constexpr std::string_view alphabet = "{}[]\"\\:,10.-e tn\xC3\xA9\n";
  std::size_t valid = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::vector<std::string> documents(1 + below(4));
    for (std::string& document : documents) {
      switch (below(4)) {
        case 0:
          document = "{\"k\":[1.5,-2]}";
          break;
        case 1:
          document = std::to_string(static_cast<std::int64_t>(random()) >> below(64));
          break;
        default:
          for (std::size_t n = 1 + below(6); n > 0; --n) {
            document += alphabet[below(alphabet.size())];
          }
      }
      if (below(4) != 0 || documents.size() == 1) continue;
      if (!document.empty()) document[below(document.size())] = alphabet[below(20)];
    }
    valid += check(documents) ? 1 : 0;
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_GT(valid, 1000U);
}

}  // namespace
}  // namespace tocsin::json
