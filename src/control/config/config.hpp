#pragma once
// A whole configuration: TOML text in, checked plain data out. Everything that can be known without
// opening a socket or a database is checked here, so that `tocsin check` and a reload agree.

#include <string>
#include <string_view>
#include <vector>

#include <tocsin/option.hpp>
#include <tocsin/result.hpp>

#include "control/config/diagnostic.hpp"
#include "flow/catalogue.hpp"

namespace tocsin::config {

struct EngineConfig {
  OptionValues server;
  OptionValues http;
  OptionValues mqtt;
  OptionValues quota;
  OptionValues journal;
  std::vector<flow::SourceConfig> sources;
  std::vector<flow::ChannelConfig> channels;
  std::vector<flow::RuleConfig> rules;
  std::vector<flow::SubscriptionConfig> subscriptions;
};

/// The configuration that `tocsin run` uses when no file is given.
[[nodiscard]] std::string_view embedded_defaults() noexcept;

/// Parses and checks. `name` is what diagnostics call the text. All problems are reported, not only
/// the first.
[[nodiscard]] Result<EngineConfig, Diagnostics> parse(std::string_view text,
                                                      const std::string& name);
[[nodiscard]] Result<EngineConfig, Diagnostics> load(const std::string& path);

/// The option reference as Markdown, generated from the option tables.
[[nodiscard]] std::string reference_markdown();

}  // namespace tocsin::config
