#pragma once
// A whole configuration: TOML text in, checked plain data out. Everything that can be known without
// opening a socket or a database is checked here, so that `tocsin check` and a reload agree.

#include <string>
#include <string_view>
#include <vector>

#include <tocsin/option.hpp>
#include <tocsin/result.hpp>

#include "control/auth/options.hpp"
#include "control/config/diagnostic.hpp"
#include "flow/catalogue.hpp"
#include "flow/memory_plan.hpp"
#include "stages/ingress/http/options.hpp"
#include "stages/ingress/mqtt/options.hpp"

namespace tocsin::config {

struct EngineConfig {
  OptionValues server;
  OptionValues http;
  OptionValues mqtt;
  OptionValues quota;
  OptionValues journal;
  OptionValues auth;
  OptionValues tls;
  std::vector<flow::SourceConfig> sources;
  std::vector<flow::ChannelConfig> channels;
  std::vector<flow::RuleConfig> rules;
  std::vector<flow::SubscriptionConfig> subscriptions;
  std::vector<auth::UserConfig> users;
};

/// The listeners' options, where listening beyond loopback is allowed once there are users.
[[nodiscard]] ingress::HttpOptions http_options_of(const EngineConfig& config);
[[nodiscard]] ingress::MqttOptions mqtt_options_of(const EngineConfig& config);
/// Whether something listens for TLS.
[[nodiscard]] bool has_tls_listeners(const EngineConfig& config);
[[nodiscard]] flow::MemoryDemands memory_demands(const EngineConfig& config);

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
