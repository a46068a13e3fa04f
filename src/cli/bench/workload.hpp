#pragma once
// What a fair measurement sends and what the server has to do with it: payloads of several shapes,
// and a configuration with rules of every kind that exists.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cli/bench/payload.hpp"

namespace tocsin::cli::bench {

inline constexpr std::uint32_t shapes_max = 12;
/// Room for the two changing fields and little else.
inline constexpr std::uint32_t payload_size_min = 64;
inline constexpr std::uint32_t payload_size_max = 65'536;

/// The first `shapes` of twelve device reports that differ in their fields' names, order, types and
/// nesting, each of exactly `size` bytes. Every one has "seq" and "sent_ns".
[[nodiscard]] std::vector<Template> make_shapes(std::uint32_t shapes, std::uint32_t size);

struct ServerSetup {
  std::uint32_t rules = 100;       ///< That look at every event and match none.
  std::string level = "accepted";  ///< What an acknowledgement waits for.
  std::string data{};              ///< Data directory.
};

/// A configuration (TOML) for the load generator: sources for telemetry (MQTT) and `order_created`
/// (HTTP) with the rules, and a source `through/+` whose rule publishes on
/// `notifications/through`. Listeners on ephemeral ports of the loopback interface.
[[nodiscard]] std::string make_server_config(const ServerSetup& setup);

}  // namespace tocsin::cli::bench
