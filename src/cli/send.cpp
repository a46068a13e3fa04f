#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>

#include <fmt/format.h>

#include "cli/client/one_event.hpp"
#include "cli/command.hpp"

namespace tocsin::cli {
namespace {

constexpr std::uint16_t http_port = 8080;
constexpr std::uint16_t mqtt_port = 1883;

struct SendArguments {
  std::string http = "127.0.0.1:8080";
  std::string event;
  std::string mqtt;
  std::string topic;
  unsigned qos = 1;
  std::string data = "{}";
  std::uint32_t timeout_ms = 10'000;
};

/// The data itself, "@FILE", or "-" for standard input.
Result<std::string, std::string> read_data(const std::string& data) {
  if (data == "-") {
    return std::string(std::istreambuf_iterator<char>(std::cin), {});
  }
  if (!data.starts_with('@')) return data;
  std::ifstream file(data.substr(1), std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(file), {});
  if (!file) return Unexpected{fmt::format("cannot read {}", data.substr(1))};
  return text;
}

Result<std::string, std::string> send_event(const SendArguments& arguments,
                                            const std::string& data) {
  const std::chrono::milliseconds timeout(arguments.timeout_ms);
  const bool by_mqtt = !arguments.mqtt.empty();
  const auto target =
      by_mqtt ? parse_target(arguments.mqtt, mqtt_port) : parse_target(arguments.http, http_port);
  if (!target) return Unexpected{target.error()};
  if (by_mqtt) {
    return send_mqtt(
        *target,
        {.topic = arguments.topic, .data = data, .qos = static_cast<std::uint8_t>(arguments.qos)},
        timeout);
  }
  return send_http(*target, {.event = arguments.event, .data = data}, timeout);
}

int send(const SendArguments& arguments) {
  const auto fail = [](const std::string& why, int status) {
    fmt::print(stderr, "tocsin send: {}\n", why);
    return status;
  };
  if (arguments.mqtt.empty() && arguments.event.empty()) {
    return fail("--event NAME is required (or --mqtt HOST:PORT and --topic TOPIC)", exit_usage);
  }
  if (!arguments.mqtt.empty() && arguments.topic.empty()) {
    return fail("--mqtt needs --topic TOPIC", exit_usage);
  }
  const auto data = read_data(arguments.data);
  if (!data) return fail(data.error(), exit_usage);
  const auto answer = send_event(arguments, *data);
  if (!answer) return fail(answer.error(), exit_failed);
  fmt::print("{}\n", *answer);
  return exit_ok;
}

}  // namespace

void add_send(CLI::App& app, int& status) {
  CLI::App* command =
      app.add_subcommand("send", "Send one event; succeeds only when it was acknowledged");
  auto arguments = std::make_shared<SendArguments>();
  auto* http = command->add_option("--http", arguments->http, "HTTP listener, HOST:PORT")
                   ->capture_default_str();
  auto* event = command->add_option("--event", arguments->event, "Event source (HTTP)");
  auto* mqtt = command->add_option("--mqtt", arguments->mqtt, "MQTT listener, HOST:PORT");
  command->add_option("--topic", arguments->topic, "Topic (MQTT)")->needs(mqtt);
  command->add_option("--qos", arguments->qos, "Quality of service (MQTT)")
      ->needs(mqtt)
      ->check(CLI::Range(0, 1))
      ->default_str("1");
  mqtt->excludes(http)->excludes(event);
  command->add_option("--data", arguments->data, "JSON; @FILE reads a file, - standard input")
      ->capture_default_str();
  command->add_option("--timeout-ms", arguments->timeout_ms, "For everything together")
      ->check(CLI::Range(1, 3'600'000))
      ->capture_default_str();
  command->callback([&status, arguments] { status = send(*arguments); });
}

}  // namespace tocsin::cli
