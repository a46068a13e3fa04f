#include "control/config/semantic_check.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "control/auth/user_table.hpp"
#include "flow/batch.hpp"
#include "flow/broker_client.hpp"
#include "flow/broker_options.hpp"
#include "flow/memory_plan.hpp"
#include "flow/sources.hpp"
#include "io/egress/policy.hpp"
#include "io/tls/options.hpp"
#include "io/tls/tls_server_context.hpp"
#include "stages/deliver/stage.hpp"
#include "stages/ingress/http/options.hpp"
#include "stages/ingress/mqtt/options.hpp"
#include "stages/ingress/subscription/check.hpp"
#include "stages/match/rule_set.hpp"
#include "stages/render/template.hpp"
#include "stages/route/router.hpp"

namespace tocsin::config {
namespace {

class Checker {
 public:
  Checker(const EngineConfig& config, const ParseContext& context, const LineOf& line_of_path)
      : config_(config), context_(context), line_of_path_(line_of_path) {
    for (const Diagnostic& diagnostic : context.diagnostics) unsound_.push_back(diagnostic.key);
  }

  void check() {
    check_memory();
    check_listeners();
    check_access();
    check_tls();
    check_sources();
    check_channels();
    check_rules();
    check_subscriptions();
    check_client_ids();
  }

 private:
  void report(const std::string& key, std::string message) {
    context_.report(line_of_path_(key), key, std::move(message));
  }

  // Whether the tables were right about `path` and everything below it.
  [[nodiscard]] bool sound(std::string_view path) const {
    return std::ranges::none_of(unsound_, [&](std::string_view key) {
      return key.starts_with(path) && (key.size() == path.size() || key[path.size()] == '.');
    });
  }

  void check_memory() {
    if (!sound("server.memory_max") || !sound("server.threads")) return;
    const auto threads = static_cast<std::uint32_t>(config_.server.number("threads"));
    const auto memory_max = flow::addressable(config_.server.number("memory_max"));
    const flow::MemoryDemands demands = memory_demands(config_);
    if (flow::plan_resources(memory_max, threads, 1, demands)) return;
    report("server.memory_max", flow::memory_shortage(memory_max, threads, demands));
  }

  void check_listeners() {
    if (sound("http")) {
      const auto options = http_options_of(config_);
      const auto endpoints = ingress::listen_endpoints(options);
      if (!endpoints) report("http.listen", endpoints.error());
      const auto tls_endpoints = ingress::listen_tls_endpoints(options);
      if (!tls_endpoints) report("http.listen_tls", tls_endpoints.error());
    }
    if (sound("mqtt")) {
      // Every plan has the same batch size, so any plan tells how large a packet may be.
      const auto plan = flow::plan_memory(std::size_t{1} << 30U, {});
      const auto problem =
          mqtt_options_of(config_).check(flow::BatchPool(1, plan->batch_size).payload_max());
      if (!problem.empty()) report("mqtt.listen", problem);
    }
    for (const std::string& text : config_.server.list("egress_allow")) {
      if (!io::parse_network(text)) {
        report("server.egress_allow", fmt::format("\"{}\" is not a network", text));
      }
    }
  }

  void check_access() {
    if (!sound("auth")) return;
    for (std::size_t i = 0; i < config_.users.size(); ++i) {
      if (!sound(fmt::format("user[{}]", i))) return;
    }
    const auto table = auth::UserTable::build(auth::AuthOptions::from(config_.auth), config_.users);
    if (table) return;
    const auto& problem = table.error();
    const std::string path = problem.user == auth::UserTable::Problem::no_user
                                 ? std::string("auth")
                                 : fmt::format("user[{}]", problem.user);
    report(fmt::format("{}.{}", path, problem.key), problem.message);
  }

  // The files are read as a start or a reload will read them, so that a bad certificate is refused
  // before it takes the place of a good one.
  void check_tls() {
    if (!sound("tls")) return;
    const auto options = io::TlsServerOptions::from(config_.tls);
    if (!has_tls_listeners(config_) && options.certificate.empty()) return;
    const auto context = io::make_tls_server_context(options);
    if (context) return;
    const std::string& problem = context.error();
    const std::size_t colon = problem.find(':');
    report("tls." + problem.substr(0, colon), problem.substr(colon + 2));
  }

  void check_sources() {
    for (std::size_t i = 0; i < config_.sources.size(); ++i) {
      const flow::SourceConfig& source = config_.sources[i];
      const std::string path = fmt::format("source[{}]", i);
      if (!sound(path)) continue;
      const auto table = flow::SourceTable::build({source});
      if (!table) report(path + ".topic", table.error());
      if (source.topic.starts_with(flow::notification_topic_prefix)) {
        report(path + ".topic", fmt::format("topics below \"{}\" carry notifications only",
                                            flow::notification_topic_prefix));
      }
    }
  }

  void check_channels() {
    for (std::size_t i = 0; i < config_.channels.size(); ++i) {
      const std::string path = fmt::format("channel[{}]", i);
      if (!sound(path)) continue;
      const auto problem = deliver::check_channel(config_.channels[i], deliver::channel_types());
      if (!problem.empty()) report(path, problem);
    }
  }

  void check_rules() {
    for (std::size_t i = 0; i < config_.rules.size(); ++i) {
      const flow::RuleConfig& rule = config_.rules[i];
      const std::string path = fmt::format("rule[{}]", i);
      if (!sound(path)) continue;
      const bool source_known =
          rule.source.empty() ||
          std::ranges::find(config_.sources, rule.source, &flow::SourceConfig::name) !=
              config_.sources.end();
      if (!source_known && sound("source")) {
        report(path + ".source", fmt::format("there is no source \"{}\"", rule.source));
      }
      const bool channel_known =
          std::ranges::find(config_.channels, rule.channel, &flow::ChannelConfig::name) !=
          config_.channels.end();
      if (!channel_known && sound("channel")) {
        report(path + ".channel", fmt::format("there is no channel \"{}\"", rule.channel));
      }
      check_compilation(rule, path);
    }
  }

  void check_compilation(const flow::RuleConfig& rule, const std::string& path) {
    // One rule at a time, so that each problem is reported with its own line.
    const std::vector<flow::RuleConfig> one{rule};
    if (const auto set = match::RuleSet::compile(one, 1); !set) {
      report(path + ".pattern", set.error());
    }
    if (const auto routes = route::RouteTable::compile(one); !routes) {
      report(path, routes.error());
    }
    for (const auto& [key, text] : {std::pair{".subject", &rule.subject}, {".body", &rule.body}}) {
      if (const auto compiled = render::Template::compile(*text); !compiled) {
        report(path + key, compiled.error());
      }
    }
  }

  void check_subscriptions() {
    std::vector<flow::ChannelConfig> channels;
    for (std::size_t i = 0; i < config_.channels.size(); ++i) {
      if (sound(fmt::format("channel[{}]", i))) channels.push_back(config_.channels[i]);
    }
    for (std::size_t i = 0; i < config_.subscriptions.size(); ++i) {
      const flow::SubscriptionConfig& subscription = config_.subscriptions[i];
      const std::string path = fmt::format("subscription[{}]", i);
      if (!sound(path)) continue;
      const auto problem = ingress::check_subscription(subscription);
      if (!problem.empty()) {
        report(path, problem);
        continue;
      }
      for (const auto& loop : ingress::egress_loops(channels, {subscription})) {
        report(path + ".topics", loop);
      }
    }
  }

  // A broker ends one connection for another with the same client id: the two would fight for ever.
  void check_client_ids() {
    struct Client {
      flow::BrokerUri broker;
      std::string id;
      std::string owner;
    };
    std::vector<Client> clients;
    const auto note = [&](const std::string& path, std::string_view kind, const std::string& name,
                          const OptionValues& options) {
      const auto broker = flow::parse_broker_uri(options.text("broker"));
      if (!sound(path) || !broker) return;
      Client client{*broker, flow::client_id_of(options, name),
                    fmt::format("{} \"{}\"", kind, name)};
      const auto other = std::ranges::find_if(clients, [&](const Client& c) {
        return c.id == client.id && flow::same_broker(c.broker, client.broker);
      });
      if (other == clients.end()) return clients.push_back(std::move(client));
      report(path + ".client_id", fmt::format("\"{}\" is also the client id of {} at this broker",
                                              client.id, other->owner));
    };
    for (std::size_t i = 0; i < config_.channels.size(); ++i) {
      const flow::ChannelConfig& channel = config_.channels[i];
      if (channel.type != "mqtt") continue;
      note(fmt::format("channel[{}]", i), "channel", channel.name, channel.options);
    }
    for (std::size_t i = 0; i < config_.subscriptions.size(); ++i) {
      const flow::SubscriptionConfig& subscription = config_.subscriptions[i];
      note(fmt::format("subscription[{}]", i), "subscription", subscription.name,
           subscription.options);
    }
  }

  const EngineConfig& config_;
  const ParseContext& context_;
  const LineOf& line_of_path_;
  std::vector<std::string> unsound_;
};

}  // namespace

void check_semantics(const EngineConfig& config, const ParseContext& context,
                     const LineOf& line_of_path) {
  Checker(config, context, line_of_path).check();
}

}  // namespace tocsin::config
