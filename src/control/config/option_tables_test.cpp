// All option tables of the program, held against the reader that uses them.
#include <set>

#include <gtest/gtest.h>

#include "control/auth/options.hpp"
#include "control/config/config.hpp"
#include "control/config/option_parser.hpp"
#include "control/config/options.hpp"
#include "flow/quota_table.hpp"
#include "io/tls/options.hpp"
#include "stages/deliver/channel_type.hpp"
#include "stages/deliver/options.hpp"
#include "stages/ingress/http/options.hpp"
#include "stages/ingress/mqtt/options.hpp"
#include "stages/ingress/subscription/options.hpp"
#include "stages/journal/options.hpp"
#include "stages/ledger/options.hpp"

namespace tocsin::config {
namespace {

// One TOML table of the file: the option tables that share it.
struct Section {
  std::string name;
  std::vector<std::span<const OptionSpec>> tables;
};

std::vector<Section> sections() {
  std::vector<Section> all{
      {"server", {server_options}},
      {"http", {ingress::http_options}},
      {"mqtt", {ingress::mqtt_options}},
      {"quota", {flow::quota_options}},
      {"journal", {journal::options_table, ledger::options_table}},
      {"auth", {auth::auth_options}},
      {"tls", {io::tls_options}},
      {"user", {auth::user_options}},
      {"source", {source_options}},
      {"rule", {rule_options}},
      {"subscription", {subscription_name_options, ingress::subscription_options}}};
  for (const deliver::ChannelType* type : deliver::channel_types()) {
    all.push_back({"channel " + std::string(type->name),
                   {channel_options, deliver::delivery_options, type->options}});
  }
  return all;
}

template <class Check>
void each_option(Check check) {
  for (const Section& section : sections()) {
    for (const auto table : section.tables) {
      for (const OptionSpec& spec : table) {
        check(spec, section.name + "." + std::string(spec.key));
      }
    }
  }
}

TEST(OptionTables, EveryFallbackPassesItsOwnReader) {
  each_option([](const OptionSpec& spec, const std::string& path) {
    OptionValues values;
    EXPECT_EQ(apply_fallback(spec, values), "") << path;
  });
}

TEST(OptionTables, AFallbackThatDoesNotPassIsNoticed) {
  OptionValues values;
  EXPECT_NE(
      apply_fallback({.key = "x", .type = OptionType::integer, .fallback = "9", .max = 8}, values),
      "");
  EXPECT_NE(apply_fallback({.key = "x", .type = OptionType::boolean, .fallback = "yes"}, values),
            "");
  EXPECT_NE(
      apply_fallback({.key = "x", .type = OptionType::choice, .fallback = "c", .choices = "a|b"},
                     values),
      "");
}

// A choice of digits was once read as an integer.
TEST(OptionTables, AFallbackOfDigitsKeepsItsType) {
  OptionValues values;
  EXPECT_EQ(
      apply_fallback(
          {.key = "x", .type = OptionType::choice, .fallback = "5", .choices = "5|3.1.1"}, values),
      "");
  EXPECT_EQ(values.text("x"), "5");
}

TEST(OptionTables, EveryOptionIsDescribedOnceAndHasASaneRange) {
  for (const Section& section : sections()) {
    std::set<std::string_view> keys;
    for (const auto table : section.tables) {
      for (const OptionSpec& spec : table) {
        const std::string path = section.name + "." + std::string(spec.key);
        EXPECT_TRUE(keys.insert(spec.key).second) << path << " is in two tables";
        EXPECT_FALSE(spec.help.empty()) << path;
        EXPECT_LE(spec.min, spec.max) << path;
        EXPECT_EQ(spec.type == OptionType::choice, !spec.choices.empty()) << path;
        EXPECT_FALSE(spec.required && !spec.fallback.empty()) << path;
        // The name tells the unit: a key in _ms is a duration.
        if (spec.key.ends_with("_ms")) {
          EXPECT_EQ(spec.type, OptionType::duration_ms) << path;
        }
      }
    }
  }
}

TEST(OptionTables, TheReferenceNamesEveryOption) {
  const std::string reference = reference_markdown();
  each_option([&](const OptionSpec& spec, const std::string& path) {
    EXPECT_NE(reference.find("| `" + std::string(spec.key) + "` |"), std::string::npos) << path;
  });
}

}  // namespace
}  // namespace tocsin::config
