// Goal: whatever a shape says yes to is a valid document with its values where the shape has them;
// and it says yes to what devices send.
#include "protocol/json/shape.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "protocol/json/shape_cache.hpp"
#include "tests/support/known_shapes.hpp"

namespace tocsin::json {
namespace {

using Starts = std::array<ValueStart, shape_values_max>;

// What is readable behind a text; it would end a string and go on with a number.
constexpr char behind[] = "\"1}\"1}";

struct Text {
  explicit Text(std::string_view text) : buffer(text), size(text.size()) {
    while (buffer.size() < size + json_padding) buffer += behind;
  }
  [[nodiscard]] std::string_view view() const { return std::string_view{buffer}.substr(0, size); }
  std::string buffer;
  std::size_t size;
};

std::optional<Shape> learn(std::string_view document) {
  const Text text(document);
  Validator validator(document.size() + 1);
  const auto valid = validator.validate(text.view());
  EXPECT_TRUE(valid.has_value()) << document;
  return valid ? Shape::of(*valid) : std::nullopt;
}

bool reads(const Shape& shape, std::string_view document) {
  const Text text(document);
  Starts starts;
  if (!shape.read(text.view(), starts.data())) return false;
  EXPECT_EQ(test::wrong_about(text.view(), shape, starts.data()), "") << document;
  return true;
}

const std::vector<std::string> devices = {
    R"({"device":"boiler-0017","seq":12,"temperature":21.5,"ok":true,"note":""})",
    R"({"v":3,"gps":{"fix":true,"sats":11,"at":{"lat":52.5163,"lon":-13.3777}},"last":null})",
    R"({"phases":[229.8,230.1,230.4],"tags":["a","b"],"none":[],"empty":{}, "x":1})",
    "{\n  \"room\" : \"4.112 \\u00e4\" ,\n  \"t\" : 2.15e1 }\n",
    "{\"k\xC3\xA9y\":\"v\xC3\xA4lue of more than sixteen characters\"}",
    R"({"a":-0,"b":12345678901234567890,"c":0.12345678901234567890123456789,"d":"\\\""})"};

TEST(Shape, ReadsWhatItWasLearnedFrom) {
  for (const std::string& device : devices) {
    const auto shape = learn(device);
    ASSERT_TRUE(shape.has_value()) << device;
    EXPECT_TRUE(reads(*shape, device)) << device;
  }
}

TEST(Shape, ReadsOtherValues) {
  const auto shape = learn(R"({"s":"x","n":1,"w":true})");
  ASSERT_TRUE(shape.has_value());
  const std::vector<std::string> strings = {"",
                                            "fifteen letters",
                                            "sixteen  letters",
                                            "seventeen letters",
                                            std::string(1500, 'x'),
                                            "\\n\\u00e4\\ud83d\\ude00",
                                            "\xC3\xA4\xF0\x9F\x98\x80",
                                            "\x7F",
                                            "}],:"};
  const std::vector<std::string> numbers = {"0",
                                            "-1",
                                            "7.25",
                                            "-0.5",
                                            "1e3",
                                            "2.5E-7",
                                            "1234567890123456789",
                                            "18446744073709551615",
                                            "-9223372036854775808",
                                            "0.1234567890123456789012345678901234567890",
                                            "123456789012345678901234567890.5"};
  for (const std::string& s : strings) {
    for (const std::string& n : numbers) {
      for (const char* w : {"true", "false", "null"}) {
        const std::string text = R"({"s":")" + s + R"(","n":)" + n + R"(,"w":)" + w + "}";
        EXPECT_TRUE(reads(*shape, text)) << text;
      }
    }
  }
}

TEST(Shape, RefusesWhatIsNoValue) {
  const auto shape = learn(R"({"s":"x","n":1,"w":true})");
  ASSERT_TRUE(shape.has_value());
  const auto with = [](std::string_view s, std::string_view n, std::string_view w) {
    return R"({"s":")" + std::string(s) + R"(","n":)" + std::string(n) + R"(,"w":)" +
           std::string(w) + "}";
  };
  ASSERT_TRUE(reads(*shape, with("", "2", "null")));
  for (const char* s : {"\\x", "\\u12", "\\ud800", "\xC3", "\xFF", "a\nb", "\x1F", "\\"}) {
    EXPECT_FALSE(reads(*shape, with(s, "1", "true"))) << s;
  }
  EXPECT_FALSE(reads(*shape, with(std::string(1, '\0'), "1", "true")));
  for (const char* n : {"",
                        "-",
                        "01",
                        "-01",
                        "1.",
                        ".5",
                        "1e",
                        "1e+",
                        "1e999",
                        "--1",
                        "+1",
                        "0x1",
                        "18446744073709551616",
                        "-9223372036854775809",
                        "1 ",
                        " 1",
                        "true",
                        "\"1\"",
                        "1.5.2",
                        "1-",
                        "12345678901234567890123"}) {
    EXPECT_FALSE(reads(*shape, with("", n, "true"))) << n;
  }
  for (const char* w : {"", "tru", "truE", "nul", "fals", "True", "1", "truetrue", "\"true\""}) {
    EXPECT_FALSE(reads(*shape, with("", "1", w))) << w;
  }
}

// Method: every byte replaced by every other, taken out, or doubled; every beginning of the text.
TEST(Shape, IsNeverWrongAboutWhatHasOneByteOfDifference) {
  for (const std::string& device : devices) {
    const auto shape = learn(device);
    ASSERT_TRUE(shape.has_value());
    std::size_t read = 0;
    for (std::size_t i = 0; i < device.size(); ++i) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string other = device;
        other[i] = static_cast<char>(byte);
        if (reads(*shape, other)) ++read;
      }
      std::string other = device;
      static_cast<void>(reads(*shape, other.erase(i, 1)));
      other = device;
      static_cast<void>(reads(*shape, other.insert(i, 1, device[i])));
      EXPECT_FALSE(reads(*shape, device.substr(0, i)));
    }
    EXPECT_GT(read, device.size()) << "the same byte, and other digits";
  }
}

TEST(Shape, IsNotLearnedFromWhatItCannotSay) {
  for (const char* text :
       {"1", "[1]", "\"x\"", "{}", R"({"a":{}})", R"({"a":[]})", R"({"a":[{"b":1}]})",
        R"({"a":[[1]]})", R"({"a":[{}],"b":1})", R"({"a":1,"a":2})", R"({"o":{"a":1,"a":2}})",
        R"({"\u0061":1})", R"({"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":1}}}}}}}}})"}) {
    EXPECT_FALSE(learn(text).has_value()) << text;
  }
  std::string keys = R"({"v":1)";
  for (std::size_t i = 1; i < shape_keys_max; ++i) keys += ",\"" + std::to_string(i) + "\":{}";
  EXPECT_TRUE(learn(keys + "}").has_value());
  EXPECT_FALSE(learn(keys + ",\"x\":{}}").has_value()) << "empty objects have keys too";
  std::string values = "{\"a\":[0";
  for (std::size_t i = 1; i < shape_values_max; ++i) values += ",1";
  EXPECT_TRUE(learn(values + "]}").has_value());
  EXPECT_FALSE(learn(values + ",1]}").has_value());
  const auto sized = [](std::size_t size) {
    return R"({"a":")" + std::string(size - 8, 'x') + "\"}";
  };
  const auto largest = learn(sized(shape_size_max));
  ASSERT_TRUE(largest.has_value());
  EXPECT_TRUE(reads(*largest, sized(shape_size_max)));
  EXPECT_FALSE(reads(*largest, sized(shape_size_max + 1)));
  EXPECT_FALSE(learn(sized(shape_size_max + 1)).has_value());
}

class ShapeCacheTest : public ::testing::Test {
 protected:
  ShapeIndex read(std::string_view document) {
    const Text text(document);
    return cache_.read(text.view(), starts_.data());
  }
  void learn(std::string_view document) {
    const Text text(document);
    const auto valid = validator_.validate(text.view());
    ASSERT_TRUE(valid.has_value());
    cache_.learn(*valid);
  }
  static std::string numbered(int i) { return "{\"key" + std::to_string(i) + "\":1}"; }

  Validator validator_{64 * 1024};
  ShapeCache cache_;
  Starts starts_;
};

TEST_F(ShapeCacheTest, KnowsWhatItLearned) {
  EXPECT_EQ(read(devices[0]), no_shape);
  for (const std::string& device : devices) learn(device);
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < devices.size(); ++i) {
      EXPECT_EQ(read(devices[i]), i);
      EXPECT_EQ(read(devices[i]), i) << "twice in a row, too";
      EXPECT_EQ(read(numbered(1)), no_shape);
    }
  }
  EXPECT_EQ(read(""), no_shape);
  EXPECT_EQ(read("{"), no_shape);
}

// Goal: forms that begin alike, more than are tried, do not fill the table with copies.
TEST_F(ShapeCacheTest, LearnsNothingTwice) {
  const auto alike = [](int i) { return R"({"device":"x",)" + numbered(i).substr(1); };
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 20; ++i) learn(alike(i));
    for (int i = 0; i < 70; ++i) learn("[]");
  }
  EXPECT_EQ(cache_.table()->size(), 20U);
  for (int i = 0; i < 12; ++i) EXPECT_EQ(read(alike(i)), i);
}

// Goal: what has no shape costs hardly anything, and keeps others from being learned for a while
// only.
TEST_F(ShapeCacheTest, PausesWhereNothingCanBeLearned) {
  for (int i = 0; i < 1000; ++i) learn("[]");
  int put_off = 0;
  while (read(devices[0]) == no_shape) {
    learn(devices[0]);
    ASSERT_LT(++put_off, 66);
  }
  EXPECT_GT(put_off, 1);
  learn(devices[1]);
  EXPECT_EQ(read(devices[1]), 1) << "at once again";
}

// Goal: devices whose documents are always new neither fill the memory nor keep others out for
// ever; what was given out of the old table stays as it was.
TEST_F(ShapeCacheTest, BeginsAnewWhenTooManyAreUnknown) {
  learn(devices[0]);
  auto first = cache_.table();
  for (int i = 1; i < static_cast<int>(shapes_max); ++i) learn(numbered(i));
  EXPECT_EQ(read(devices[0]), 0);
  const auto renews = [&] {
    const auto before = cache_.table();
    for (int i = 0; i < 2000 && cache_.table() == before; ++i) {
      learn(devices[1]);
      cache_.renew();
    }
    return cache_.table() != before;
  };
  learn(devices[1]);
  cache_.renew();
  EXPECT_EQ(read(devices[1]), no_shape) << "the table is full";
  EXPECT_EQ(cache_.table(), first);
  ASSERT_TRUE(renews());
  EXPECT_NE(cache_.table()->serial(), first->serial());
  learn(devices[1]);
  EXPECT_EQ(read(devices[1]), 0);
  EXPECT_EQ(read(devices[0]), no_shape);
  const Text text(devices[0]);
  EXPECT_TRUE((*first)[0].read(text.view(), starts_.data()));
  // Never more than two: as long as somebody holds the first, the second stays.
  for (int i = 1; i < static_cast<int>(shapes_max); ++i) learn(numbered(i));
  learn(devices[2]);
  const auto learn_other = [&] {
    const auto before = cache_.table();
    for (int i = 0; i < 2000; ++i) {
      learn(devices[2]);
      cache_.renew();
    }
    return cache_.table() != before;
  };
  EXPECT_FALSE(learn_other());
  first.reset();
  EXPECT_TRUE(learn_other());
}

TEST_F(ShapeCacheTest, KeepsATableThatMostlyKnows) {
  for (int i = 0; i < static_cast<int>(shapes_max); ++i) learn(numbered(i));
  const auto table = cache_.table();
  for (int i = 0; i < 4000; ++i) {
    for (int j = 0; j < 20; ++j) ASSERT_EQ(read(numbered(j)), j);
    learn(devices[0]);
    cache_.renew();
  }
  EXPECT_EQ(cache_.table(), table);
  // However long it was good: what counts is what comes now.
  for (int i = 0; i < 1000; ++i) {
    learn(devices[0]);
    cache_.renew();
  }
  EXPECT_NE(cache_.table(), table);
}

}  // namespace
}  // namespace tocsin::json
