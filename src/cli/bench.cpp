#include <cstdio>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "cli/bench/run.hpp"
#include "cli/client/target.hpp"
#include "cli/command.hpp"
#include "flow/sources.hpp"

namespace tocsin::cli {
namespace {

constexpr std::uint16_t http_port = 8080;
constexpr std::uint16_t mqtt_port = 1883;

struct BenchArguments {
  std::string http;
  std::string event = "order_created";
  std::uint32_t batch = 1;
  std::uint32_t pipeline = 1;
  std::string mqtt;
  std::string topic = "devices/{n}/telemetry";
  unsigned qos = 1;
  std::uint32_t window = 100;
  std::uint32_t connections = 16;
  std::uint32_t threads = 1;
  double rate = 0;
  std::string payload;
  double duration_s = 10;
  std::uint64_t count = 0;
  double grace_s = 5;
  std::string subscribe;
  std::string subscribe_at;
  bool json = false;
};

Result<std::vector<bench::Template>, std::string> read_payloads(const std::string& path) {
  if (path.empty()) return std::vector{bench::make_template(bench::built_in_payload())};
  std::ifstream file(path, std::ios::binary);
  const std::string lines(std::istreambuf_iterator<char>(file), {});
  if (!file) return Unexpected{fmt::format("cannot read {}", path)};
  auto templates = bench::make_templates(lines);
  if (templates.empty()) return Unexpected{fmt::format("{} holds no payload", path)};
  return templates;
}

Result<io::Endpoint, std::string> endpoint_of(const Target& target) {
  const auto endpoints = resolve(target);
  if (!endpoints) return Unexpected{endpoints.error()};
  return endpoints->front();
}

/// Fills in where the plan connects to.
Result<void, std::string> aim(const BenchArguments& arguments, bench::Plan& plan) {
  const bool by_mqtt = !arguments.mqtt.empty();
  const auto target =
      by_mqtt ? parse_target(arguments.mqtt, mqtt_port) : parse_target(arguments.http, http_port);
  if (!target) return Unexpected{target.error()};
  const auto server = endpoint_of(*target);
  if (!server) return Unexpected{server.error()};
  plan.protocol = by_mqtt ? bench::Protocol::mqtt : bench::Protocol::http;
  plan.server = *server;
  plan.host = to_string(*target);
  if (arguments.subscribe.empty()) return {};
  if (!flow::topic_filter_valid(arguments.subscribe)) {
    return Unexpected{fmt::format("\"{}\" is not a topic filter", arguments.subscribe)};
  }
  const std::string& at = arguments.subscribe_at.empty() ? arguments.mqtt : arguments.subscribe_at;
  if (at.empty()) return Unexpected{std::string("--subscribe with --http needs --subscribe-at")};
  const auto subscribe_target = parse_target(at, mqtt_port);
  if (!subscribe_target) return Unexpected{subscribe_target.error()};
  const auto subscribe_server = endpoint_of(*subscribe_target);
  if (!subscribe_server) return Unexpected{subscribe_server.error()};
  plan.subscribe = arguments.subscribe;
  plan.subscribe_server = *subscribe_server;
  return {};
}

Result<bench::Plan, std::string> make_plan(const BenchArguments& arguments) {
  if (arguments.http.empty() == arguments.mqtt.empty()) {
    return Unexpected{std::string("one of --mqtt and --http is required")};
  }
  if (arguments.threads > arguments.connections) {
    return Unexpected{std::string("--threads must not exceed --connections")};
  }
  if (!flow::topic_name_valid(bench::number_topic(arguments.topic, 0))) {
    return Unexpected{fmt::format("\"{}\" is not a topic to publish on", arguments.topic)};
  }
  bench::Plan plan;
  if (auto aimed = aim(arguments, plan); !aimed) return Unexpected{aimed.error()};
  auto payloads = read_payloads(arguments.payload);
  if (!payloads) return Unexpected{payloads.error()};
  const auto seconds = [](double s) {
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(s));
  };
  const bool by_mqtt = plan.protocol == bench::Protocol::mqtt;
  plan.payloads = std::move(*payloads);
  plan.topic = arguments.topic;
  plan.event = arguments.event;
  plan.qos = static_cast<std::uint8_t>(arguments.qos);
  plan.connections = arguments.connections;
  plan.window = by_mqtt ? arguments.window : arguments.pipeline;
  plan.batch = by_mqtt ? 1 : arguments.batch;
  plan.rate = arguments.rate;
  plan.count = arguments.count;
  plan.duration = seconds(arguments.duration_s);
  plan.grace = seconds(arguments.grace_s);
  plan.threads = arguments.threads;
  return plan;
}

int run_bench(const BenchArguments& arguments) {
  const auto plan = make_plan(arguments);
  if (!plan) {
    fmt::print(stderr, "tocsin bench: {}\n", plan.error());
    return exit_usage;
  }
  const auto summary = bench::run(*plan);
  if (!summary) {
    fmt::print(stderr, "tocsin bench: {}\n", summary.error());
    return exit_failed;
  }
  fmt::print("{}", arguments.json ? to_json(**summary, *plan) : to_text(**summary, *plan));
  return (*summary)->lossless(*plan) ? exit_ok : exit_failed;
}

void add_target_options(CLI::App& command, BenchArguments& a) {
  auto* mqtt = command.add_option("--mqtt", a.mqtt, "Publish to this MQTT listener, HOST:PORT");
  command.add_option("--topic", a.topic, "MQTT topic; {n} is the connection's number")
      ->capture_default_str()
      ->needs(mqtt);
  command.add_option("--qos", a.qos, "MQTT quality of service, of the subscription too")
      ->capture_default_str()
      ->check(CLI::Range(0, 1));
  command.add_option("--window", a.window, "MQTT QoS 1: unacknowledged publishes a connection")
      ->capture_default_str()
      ->check(CLI::Range(1, 65'535))
      ->needs(mqtt);
  auto* http =
      command.add_option("--http", a.http, "Post to this HTTP listener, HOST:PORT")->excludes(mqtt);
  command.add_option("--event", a.event, "HTTP: event source")->capture_default_str()->needs(http);
  command.add_option("--batch", a.batch, "HTTP: events a request")
      ->capture_default_str()
      ->check(CLI::Range(1, 10'000))
      ->needs(http);
  command.add_option("--pipeline", a.pipeline, "HTTP: unanswered requests a connection")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024))
      ->needs(http);
  auto* subscribe = command.add_option(
      "--subscribe", a.subscribe,
      "Also receive on this MQTT topic filter and measure end to end: every event must arrive "
      "once, with its \"sent_ns\" in the message");
  command.add_option("--subscribe-at", a.subscribe_at, "MQTT listener for it; default --mqtt")
      ->needs(subscribe);
}

void add_load_options(CLI::App& command, BenchArguments& a) {
  command.add_option("--connections", a.connections)
      ->capture_default_str()
      ->check(CLI::Range(1, 50'000));
  command.add_option("--threads", a.threads, "Threads of the generator")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
  command
      .add_option("--rate", a.rate,
                  "Events/s of all connections, at even intervals; latency then counts from "
                  "when an event was due. 0: as fast as answers come")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1e9));
  command.add_option("--payload", a.payload,
                     "File with one JSON document a line, sent in turn; {seq} becomes a running "
                     "number, {sent_ns} the time of sending. Default: a device's nine fields, "
                     "200 bytes");
  auto* duration = command.add_option("--duration", a.duration_s, "Seconds")
                       ->capture_default_str()
                       ->check(CLI::Range(0.01, 86'400.0));
  command.add_option("--count", a.count, "Events, instead of a duration")->excludes(duration);
  command.add_option("--grace", a.grace_s, "Seconds of silence until what is missing is lost")
      ->capture_default_str()
      ->check(CLI::Range(0.1, 3'600.0));
  command.add_flag("--json", a.json, "Print one JSON object");
}

}  // namespace

void add_bench(CLI::App& app, int& status) {
  CLI::App* command = app.add_subcommand(
      "bench", "Generate load and measure; fails when anything was lost or refused");
  auto arguments = std::make_shared<BenchArguments>();
  add_target_options(*command, *arguments);
  add_load_options(*command, *arguments);
  command->callback([&status, arguments] { status = run_bench(*arguments); });
}

}  // namespace tocsin::cli
