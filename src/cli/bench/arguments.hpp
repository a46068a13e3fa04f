#pragma once
// What the command line of `tocsin bench` says, and the plan of one run that follows from it.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <tocsin/result.hpp>

#include "cli/bench/plan.hpp"

namespace tocsin::cli::bench {

struct Arguments {
  std::string http;
  std::string mqtt;
  std::string self;  ///< "mqtt" or "http": a server of our own.
  std::string event = "order_created";
  std::uint32_t batch = 1;
  std::uint32_t pipeline = 1;
  std::string topic = "devices/{n}/telemetry";
  std::string mqtt_version = "5";
  std::uint32_t qos = 1;
  std::uint32_t window = 100;
  std::uint32_t connections = 16;
  std::uint32_t threads = 1;
  double rate = 0;
  std::string payload;
  std::uint32_t payload_size = 200;
  std::uint32_t shapes = 8;
  double warm_up_s = 0;
  double duration_s = 10;
  std::uint64_t count = 0;
  double grace_s = 5;
  std::string subscribe;
  std::string subscribe_at;

  std::uint32_t rules = 100;
  std::string level = "accepted";
  std::string directory;

  bool find_rate = false;
  double goal_p99_ms = 10;
  std::vector<std::string> sweeps;
  std::string svg;
  bool json = false;
  bool print_config = false;
  int sink = -1;  ///< Port, or none.
};

/// Resolves names, so it may block. Fails with a sentence.
[[nodiscard]] Result<Plan, std::string> make_plan(const Arguments& arguments);

/// One number that a sweep may vary.
struct SweepKey {
  std::string_view name;
  std::uint32_t Arguments::*value;
  std::uint32_t min;
  std::uint32_t max;
};

/// A key and the values that it takes: "connections=1,16,64".
struct Sweep {
  const SweepKey* key = nullptr;
  std::vector<std::uint32_t> values;
};
[[nodiscard]] Result<Sweep, std::string> parse_sweep(std::string_view text);
/// "connections, payload-size, …".
[[nodiscard]] std::string sweep_key_names();

/// One combination of values of the sweeps.
struct SweepPoint {
  std::string name;  ///< "connections=16 qos=1"; empty without sweeps.
  Arguments arguments;
};
/// Every combination, the last sweep's values changing fastest. One point without sweeps.
[[nodiscard]] std::vector<SweepPoint> combine(const Arguments& arguments,
                                              const std::vector<Sweep>& sweeps);

}  // namespace tocsin::cli::bench
