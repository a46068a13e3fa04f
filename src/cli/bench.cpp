#include <algorithm>
#include <cstdio>
#include <fstream>
#include <memory>

#include <fmt/format.h>

#include "cli/bench/arguments.hpp"
#include "cli/bench/capacity.hpp"
#include "cli/bench/run.hpp"
#include "cli/bench/sink.hpp"
#include "cli/bench/verdict.hpp"
#include "cli/bench/workload.hpp"
#include "cli/command.hpp"

namespace tocsin::cli {
namespace {

int fail(int status, const std::string& why) {
  fmt::print(stderr, "tocsin bench: {}\n", why);
  return status;
}

int run_once(const bench::Arguments& arguments) {
  const auto plan = bench::make_plan(arguments);
  if (!plan) return fail(exit_usage, plan.error());
  const auto summary = bench::run(*plan);
  if (!summary) return fail(exit_failed, summary.error());
  const auto bound = bench::bound_of(**summary, *plan, {});
  fmt::print("{}", arguments.json ? to_json(**summary, *plan, bound) + "\n"
                                  : to_text(**summary, *plan, bound));
  return (*summary)->lossless(*plan) ? exit_ok : exit_failed;
}

int run_planner(const bench::Arguments& arguments) {
  const auto results = bench::plan_capacity(arguments);
  if (!results) return fail(exit_usage, results.error());
  if (!arguments.svg.empty()) {
    std::ofstream file(arguments.svg, std::ios::binary);
    file << bench::to_svg(bench::capacity_plot(*results, arguments));
    file.close();
    if (!file) return fail(exit_failed, fmt::format("cannot write {}", arguments.svg));
  }
  fmt::print("{}", arguments.json ? capacity_json(*results) : sizing_table(*results, arguments));
  const auto found = [](const bench::PointResult& point) { return point.best() != nullptr; };
  return std::all_of(results->begin(), results->end(), found) ? exit_ok : exit_failed;
}

int run_bench(const bench::Arguments& arguments) {
  if (arguments.print_config) {
    fmt::print("{}",
               bench::make_server_config(
                   {.rules = arguments.rules,
                    .level = arguments.level,
                    .data = arguments.directory.empty() ? "./tocsin-data" : arguments.directory}));
    return exit_ok;
  }
  if (arguments.sink >= 0) {
    const auto served = bench::run_sink(static_cast<std::uint16_t>(arguments.sink));
    return served ? exit_ok : fail(exit_failed, served.error());
  }
  const bool planned = arguments.find_rate || !arguments.sweeps.empty() ||
                       !arguments.self.empty() || !arguments.svg.empty();
  return planned ? run_planner(arguments) : run_once(arguments);
}

void add_target_options(CLI::App& command, bench::Arguments& a) {
  constexpr auto group = "Target (one of --mqtt, --http and --self)";
  auto* mqtt = command.add_option("--mqtt", a.mqtt, "Publish to this MQTT listener, HOST:PORT");
  auto* http =
      command.add_option("--http", a.http, "Post to this HTTP listener, HOST:PORT")->excludes(mqtt);
  auto* self =
      command
          .add_option("--self", a.self,
                      "Start a server of our own for each measurement, on a processor of its own, "
                      "and load its listener: mqtt or http")
          ->check(CLI::IsMember({"mqtt", "http"}))
          ->excludes(mqtt)
          ->excludes(http);
  auto* rules = command.add_option("--rules", a.rules, "Rules of that server, on every source")
                    ->capture_default_str()
                    ->check(CLI::Range(0, 100'000));
  auto* level = command.add_option("--level", a.level, "What its acknowledgements wait for")
                    ->capture_default_str()
                    ->check(CLI::IsMember({"accepted", "stored"}));
  auto* directory = command.add_option(
      "--directory", a.directory,
      "Where its data lies for the time being; default: the system's temporary files");
  auto* print = command.add_flag("--print-config", a.print_config,
                                 "Print that server's configuration and end");
  auto* sink = command
                   .add_option("--sink", a.sink,
                               "Be the other end instead, which acknowledges and discards, on this "
                               "port (0 = any): shows what a generator itself can do")
                   ->type_name("PORT")
                   ->check(CLI::Range(0, 65'535));
  for (CLI::Option* option : {mqtt, http, self, rules, level, directory, print, sink}) {
    option->group(group);
  }
}

void add_protocol_options(CLI::App& command, bench::Arguments& a) {
  constexpr auto group = "MQTT and HTTP";
  std::vector<CLI::Option*> options{
      command.add_option("--topic", a.topic, "MQTT topic; {n} is the connection's number")
          ->capture_default_str(),
      command.add_option("--qos", a.qos, "MQTT quality of service")
          ->capture_default_str()
          ->check(CLI::Range(0, 2)),
      command
          .add_option("--window", a.window,
                      "MQTT QoS 1 and 2: unacknowledged publishes a connection")
          ->capture_default_str()
          ->check(CLI::Range(1, 65'535)),
      command.add_option("--mqtt-version", a.mqtt_version)
          ->capture_default_str()
          ->check(CLI::IsMember({"5", "3.1.1"})),
      command.add_option("--event", a.event, "HTTP: event source")->capture_default_str(),
      command.add_option("--batch", a.batch, "HTTP: events a request")
          ->capture_default_str()
          ->check(CLI::Range(1, 10'000)),
      command.add_option("--pipeline", a.pipeline, "HTTP: unanswered requests a connection")
          ->capture_default_str()
          ->check(CLI::Range(1, 1024)),
  };
  auto* subscribe = command.add_option(
      "--subscribe", a.subscribe,
      "Also receive on this MQTT topic filter and measure end to end: every event must arrive "
      "once, with its \"sent_ns\" in the message");
  options.push_back(subscribe);
  options.push_back(
      command.add_option("--subscribe-at", a.subscribe_at, "MQTT listener for it; default --mqtt")
          ->needs(subscribe));
  for (CLI::Option* option : options) option->group(group);
}

void add_load_options(CLI::App& command, bench::Arguments& a) {
  constexpr auto group = "Load";
  auto* payload = command.add_option(
      "--payload", a.payload,
      "File with one JSON document a line, sent in turn; {seq} becomes a running "
      "number, {sent_ns} the time of sending. Default: reports of devices");
  auto* duration = command.add_option("--duration", a.duration_s, "Seconds of each measurement")
                       ->capture_default_str()
                       ->check(CLI::Range(0.01, 86'400.0));
  const std::vector<CLI::Option*> options{
      command.add_option("--connections", a.connections)
          ->capture_default_str()
          ->check(CLI::Range(1, 50'000)),
      command.add_option("--threads", a.threads, "Threads of the generator")
          ->capture_default_str()
          ->check(CLI::Range(1, 64)),
      command
          .add_option("--rate", a.rate,
                      "Events/s of all connections, at even intervals; latency then counts from "
                      "when an event was due. 0: as fast as answers come")
          ->capture_default_str()
          ->check(CLI::Range(0.0, 1e9)),
      payload,
      command.add_option("--payload-size", a.payload_size, "Bytes of the default payloads")
          ->capture_default_str()
          ->excludes(payload)
          ->check(CLI::Range(bench::payload_size_min, bench::payload_size_max)),
      command.add_option("--shapes", a.shapes, "How many different default payloads take turns")
          ->capture_default_str()
          ->excludes(payload)
          ->check(CLI::Range(1U, bench::shapes_max)),
      duration,
      command
          .add_option("--warm-up", a.warm_up_s,
                      "Seconds before it that are not measured; default 0, with --find-rate 1")
          ->check(CLI::Range(0.0, 3'600.0)),
      command.add_option("--count", a.count, "Events, instead of a duration")->excludes(duration),
      command.add_option("--grace", a.grace_s, "Seconds of silence until what is missing is lost")
          ->capture_default_str()
          ->check(CLI::Range(0.1, 3'600.0)),
  };
  for (CLI::Option* option : options) option->group(group);
}

void add_planner_options(CLI::App& command, bench::Arguments& a) {
  constexpr auto group = "Capacity planning";
  auto* find = command
                   .add_flag("--find-rate", a.find_rate,
                             "Find the highest rate that keeps the goal: double it from --rate "
                             "(default 1000) until it breaks, then bisect")
                   ->excludes(command.get_option("--count"));
  const std::vector<CLI::Option*> options{
      find,
      command.add_option("--goal-p99-ms", a.goal_p99_ms, "The goal: 99 % answered within this")
          ->capture_default_str()
          ->needs(find)
          ->check(CLI::Range(0.001, 1e6)),
      command
          .add_option("--sweep", a.sweeps,
                      "KEY=VALUE,VALUE,...: measure each value; several sweeps make every "
                      "combination. Keys: " +
                          bench::sweep_key_names())
          ->type_name("KEY=LIST"),
      command.add_option("--svg", a.svg, "Draw latency over rate into this file"),
      command.add_flag("--json", a.json, "Print one JSON object"),
  };
  for (CLI::Option* option : options) option->group(group);
}

}  // namespace

void add_bench(CLI::App& app, int& status) {
  CLI::App* command = app.add_subcommand(
      "bench", "Generate load and measure, or find the capacity; fails when anything was lost");
  auto arguments = std::make_shared<bench::Arguments>();
  add_target_options(*command, *arguments);
  add_protocol_options(*command, *arguments);
  add_load_options(*command, *arguments);
  add_planner_options(*command, *arguments);
  command->callback([&status, arguments, command] {
    if (arguments->find_rate && command->count("--warm-up") == 0) arguments->warm_up_s = 1;
    status = run_bench(*arguments);
  });
}

}  // namespace tocsin::cli
