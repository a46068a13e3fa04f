#include "cli/bench/workload.hpp"

#include <gtest/gtest.h>

#include <set>

#include "control/config/config.hpp"
#include "protocol/json/validator.hpp"

namespace tocsin::cli::bench {
namespace {

// Goal: every shape has exactly the size asked for, both changing fields once, and a form of its
// own.
TEST(BenchWorkload, ShapesHaveTheirSize) {
  for (const std::uint32_t size : {payload_size_min, 100U, 200U, 201U, 1000U, payload_size_max}) {
    const auto shapes = make_shapes(shapes_max, size);
    ASSERT_EQ(shapes.size(), shapes_max);
    for (const Template& shape : shapes) {
      EXPECT_EQ(shape.text.size(), size);
      EXPECT_EQ(shape.slots.size(), 2U) << shape.text;
      std::string text = shape.text;
      Stamps().fill(text, shape, MonoTime{Duration{5}});
      text.reserve(text.size() + json_padding);
      EXPECT_TRUE(json::Validator(payload_size_max).validate(text).has_value()) << text;
    }
  }
}

TEST(BenchWorkload, ShapesDiffer) {
  std::set<std::string> texts;
  for (const Template& shape : make_shapes(shapes_max, 200)) texts.insert(shape.text);
  EXPECT_EQ(texts.size(), shapes_max);
}

// Goal: the configuration is one that the server takes, with the rules asked for on both ways in.
TEST(BenchWorkload, ConfigurationIsValid) {
  for (const std::uint32_t rules : {0U, 1U, 100U}) {
    const auto config =
        config::parse(make_server_config({.rules = rules, .data = "/tmp/x"}), "bench");
    ASSERT_TRUE(config.has_value()) << config::to_string(config.error().front());
    EXPECT_EQ(config->rules.size(), 2 * rules + 1);
  }
}

}  // namespace
}  // namespace tocsin::cli::bench
