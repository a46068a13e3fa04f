#include "control/config/semantic_check.hpp"

#include <algorithm>
#include <functional>
#include <set>

#include <fmt/format.h>

#include "flow/batch.hpp"
#include "flow/memory_plan.hpp"
#include "flow/sources.hpp"
#include "io/egress/policy.hpp"
#include "stages/deliver/stage.hpp"
#include "stages/ingress/http/options.hpp"
#include "stages/ingress/mqtt/options.hpp"
#include "stages/ingress/subscription/subscription.hpp"
#include "stages/match/rule_set.hpp"
#include "stages/render/renderer.hpp"
#include "stages/route/router.hpp"

namespace tocsin::config {
namespace {

class Checker {
 public:
  Checker(const EngineConfig& config, const std::string& file, Diagnostics& diagnostics)
      : config_(config), file_(file), diagnostics_(diagnostics) {}

  void check() {
    check_listeners();
    check_sources();
    check_channels();
    check_rules();
    check_subscriptions();
  }

 private:
  void report(std::uint32_t line, std::string key, std::string message) {
    diagnostics_.push_back({file_, line, std::move(key), std::move(message)});
  }

  void check_listeners() {
    const auto endpoints = ingress::listen_endpoints(ingress::HttpOptions::from(config_.http));
    if (!endpoints) report(0, "http", endpoints.error());
    const auto mqtt = ingress::MqttOptions::from(config_.mqtt);
    // Every plan has the same batch size, so any plan tells how large a packet may be.
    const auto plan = flow::plan_memory(std::size_t{1} << 30U, {});
    const auto problem = mqtt.check(flow::BatchPool(1, plan->batch_size).payload_max());
    if (!problem.empty()) report(0, "mqtt", problem);
    for (const std::string& text : config_.server.list("egress_allow")) {
      if (!io::parse_network(text)) {
        report(0, "server.egress_allow", fmt::format("\"{}\" is not a network", text));
      }
    }
  }

  void check_sources() {
    for (const flow::SourceConfig& source : config_.sources) {
      const auto table = flow::SourceTable::build({source});
      if (!table) report(source.origin.line, "source.topic", table.error());
      if (source.topic.starts_with(flow::notification_topic_prefix)) {
        report(source.origin.line, "source.topic",
               fmt::format("topics below \"{}\" carry notifications only",
                           flow::notification_topic_prefix));
      }
    }
  }

  void check_channels() {
    for (const flow::ChannelConfig& channel : config_.channels) {
      const auto problem = deliver::check_channel(channel, deliver::channel_types());
      if (!problem.empty()) {
        report(channel.origin.line, fmt::format("channel \"{}\"", channel.name), problem);
      }
    }
  }

  void check_rules() {
    for (const flow::RuleConfig& rule : config_.rules) {
      const std::string key = fmt::format("rule \"{}\"", rule.name);
      const auto line = rule.origin.line;
      if (!rule.source.empty() &&
          std::ranges::find(config_.sources, rule.source, &flow::SourceConfig::name) ==
              config_.sources.end()) {
        report(line, key, fmt::format("there is no source \"{}\"", rule.source));
      }
      if (std::ranges::find(config_.channels, rule.channel, &flow::ChannelConfig::name) ==
          config_.channels.end()) {
        report(line, key, fmt::format("there is no channel \"{}\"", rule.channel));
      }
      // One rule at a time, so that each problem is reported with its own line.
      const std::vector<flow::RuleConfig> one{rule};
      if (const auto set = match::RuleSet::compile(one, 1); !set) report(line, key, set.error());
      if (const auto routes = route::RouteTable::compile(one); !routes) {
        report(line, key, routes.error());
      }
      const auto templates = render::TemplateSet::compile(
          one, [](const flow::RuleConfig&) { return render::Escape::none; });
      if (!templates) report(line, key, templates.error());
    }
  }

  void check_subscriptions() {
    for (const flow::SubscriptionConfig& subscription : config_.subscriptions) {
      const auto problem = ingress::check_subscription(subscription);
      if (!problem.empty()) {
        report(subscription.origin.line, fmt::format("subscription \"{}\"", subscription.name),
               problem);
      }
    }
    for (const auto& loop : ingress::egress_loops(config_.channels, config_.subscriptions)) {
      report(0, "subscription", loop);
    }
  }

  const EngineConfig& config_;
  const std::string& file_;
  Diagnostics& diagnostics_;
};

}  // namespace

void check_semantics(const EngineConfig& config, const std::string& file,
                     Diagnostics& diagnostics) {
  Checker(config, file, diagnostics).check();
}

}  // namespace tocsin::config
