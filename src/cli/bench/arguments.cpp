#include "cli/bench/arguments.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "cli/bench/workload.hpp"
#include "cli/client/target.hpp"
#include "flow/sources.hpp"

namespace tocsin::cli::bench {
namespace {

constexpr std::uint16_t http_port = 8080;
constexpr std::uint16_t mqtt_port = 1883;

Duration to_duration(double seconds) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

Result<std::vector<Template>, std::string> read_payloads(const Arguments& arguments) {
  if (arguments.payload.empty()) return make_shapes(arguments.shapes, arguments.payload_size);
  std::ifstream file(arguments.payload, std::ios::binary);
  const std::string lines(std::istreambuf_iterator<char>(file), {});
  if (!file) return Unexpected{fmt::format("cannot read {}", arguments.payload)};
  auto templates = make_templates(lines);
  if (templates.empty()) {
    return Unexpected{fmt::format("{} holds no payload", arguments.payload)};
  }
  return templates;
}

Result<io::Endpoint, std::string> endpoint_of(const Target& target) {
  const auto endpoints = resolve(target);
  if (!endpoints) return Unexpected{endpoints.error()};
  return endpoints->front();
}

Result<io::Endpoint, std::string> endpoint_of(std::string_view text, std::uint16_t port) {
  const auto target = parse_target(text, port);
  if (!target) return Unexpected{target.error()};
  return endpoint_of(*target);
}

/// Fills in where the plan connects to.
Result<void, std::string> aim(const Arguments& arguments, Plan& plan) {
  const bool by_mqtt = plan.protocol == Protocol::mqtt;
  const auto target =
      by_mqtt ? parse_target(arguments.mqtt, mqtt_port) : parse_target(arguments.http, http_port);
  if (!target) return Unexpected{target.error()};
  const auto server = endpoint_of(*target);
  if (!server) return Unexpected{server.error()};
  plan.server = *server;
  plan.host = to_string(*target);
  if (arguments.subscribe.empty()) return {};
  if (!flow::topic_filter_valid(arguments.subscribe)) {
    return Unexpected{fmt::format("\"{}\" is not a topic filter", arguments.subscribe)};
  }
  const std::string& at = arguments.subscribe_at.empty() ? arguments.mqtt : arguments.subscribe_at;
  if (at.empty()) return Unexpected{std::string("--subscribe with --http needs --subscribe-at")};
  const auto subscribe_server = endpoint_of(at, mqtt_port);
  if (!subscribe_server) return Unexpected{subscribe_server.error()};
  plan.subscribe = arguments.subscribe;
  plan.subscribe_server = *subscribe_server;
  return {};
}

constexpr std::array sweep_keys{
    SweepKey{"connections", &Arguments::connections, 1, 50'000},
    SweepKey{"payload-size", &Arguments::payload_size, payload_size_min, payload_size_max},
    SweepKey{"shapes", &Arguments::shapes, 1, shapes_max},
    SweepKey{"qos", &Arguments::qos, 0, 2},
    SweepKey{"window", &Arguments::window, 1, 65'535},
    SweepKey{"batch", &Arguments::batch, 1, 10'000},
    SweepKey{"pipeline", &Arguments::pipeline, 1, 1024},
    SweepKey{"threads", &Arguments::threads, 1, 64},
    SweepKey{"rules", &Arguments::rules, 0, 100'000},
};

}  // namespace

Result<Plan, std::string> make_plan(const Arguments& arguments) {
  if (arguments.http.empty() == arguments.mqtt.empty()) {
    return Unexpected{std::string("one of --mqtt, --http and --self is required")};
  }
  if (arguments.threads > arguments.connections) {
    return Unexpected{std::string("--threads must not exceed --connections")};
  }
  if (!flow::topic_name_valid(number_topic(arguments.topic, 0))) {
    return Unexpected{fmt::format("\"{}\" is not a topic to publish on", arguments.topic)};
  }
  const bool by_mqtt = !arguments.mqtt.empty();
  Plan plan;
  plan.protocol = by_mqtt ? Protocol::mqtt : Protocol::http;
  if (auto aimed = aim(arguments, plan); !aimed) return Unexpected{aimed.error()};
  auto payloads = read_payloads(arguments);
  if (!payloads) return Unexpected{payloads.error()};
  plan.payloads = std::move(*payloads);
  plan.topic = arguments.topic;
  plan.event = arguments.event;
  plan.qos = static_cast<std::uint8_t>(arguments.qos);
  plan.version = arguments.mqtt_version == "5" ? mqtt::Version::v5 : mqtt::Version::v3_1_1;
  plan.connections = arguments.connections;
  plan.window = by_mqtt ? arguments.window : arguments.pipeline;
  plan.batch = by_mqtt ? 1 : arguments.batch;
  plan.rate = arguments.rate;
  plan.count = arguments.count;
  plan.warm_up = to_duration(arguments.warm_up_s);
  plan.duration = to_duration(arguments.duration_s);
  plan.grace = to_duration(arguments.grace_s);
  plan.threads = arguments.threads;
  if (arguments.find_rate) plan.goal = to_duration(arguments.goal_p99_ms / 1e3);
  return plan;
}

std::string sweep_key_names() {
  std::string names;
  for (const SweepKey& key : sweep_keys) {
    if (!names.empty()) names += ", ";
    names += key.name;
  }
  return names;
}

Result<Sweep, std::string> parse_sweep(std::string_view text) {
  const auto equals = text.find('=');
  const std::string_view name = text.substr(0, equals);
  const auto key = std::ranges::find(sweep_keys, name, &SweepKey::name);
  if (equals == text.npos || key == sweep_keys.end()) {
    return Unexpected{
        fmt::format("--sweep wants KEY=VALUE,VALUE,…; keys are {}", sweep_key_names())};
  }
  Sweep sweep{.key = &*key, .values = {}};
  std::string_view rest = text.substr(equals + 1);
  for (;;) {
    const std::string_view item = rest.substr(0, rest.find(','));
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(item.data(), item.data() + item.size(), value);
    if (error != std::errc{} || end != item.data() + item.size() || value < key->min ||
        value > key->max) {
      return Unexpected{fmt::format("--sweep {}: \"{}\" is not a number from {} to {}", name, item,
                                    key->min, key->max)};
    }
    sweep.values.push_back(value);
    if (item.size() == rest.size()) return sweep;
    rest.remove_prefix(item.size() + 1);
  }
}

std::vector<SweepPoint> combine(const Arguments& arguments, const std::vector<Sweep>& sweeps) {
  std::vector<SweepPoint> points{{.name = "", .arguments = arguments}};
  for (const Sweep& sweep : sweeps) {
    std::vector<SweepPoint> finer;
    for (const SweepPoint& point : points) {
      for (const std::uint32_t value : sweep.values) {
        SweepPoint& made = finer.emplace_back(point);
        made.arguments.*sweep.key->value = value;
        made.name += fmt::format("{}{}={}", made.name.empty() ? "" : " ", sweep.key->name, value);
      }
    }
    points = std::move(finer);
  }
  return points;
}

}  // namespace tocsin::cli::bench
