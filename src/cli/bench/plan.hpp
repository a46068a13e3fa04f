#pragma once
// What one run of the load generator does.

#include <cstdint>
#include <string>
#include <vector>

#include <tocsin/time.hpp>

#include "cli/bench/payload.hpp"
#include "io/io.hpp"
#include "protocol/mqtt/types.hpp"

namespace tocsin::cli::bench {

enum class Protocol : std::uint8_t { mqtt, http };

struct Plan {
  Protocol protocol = Protocol::http;
  io::Endpoint server;
  std::string host;   ///< For HTTP's Host field.
  std::string topic;  ///< MQTT; "{n}" is the connection's number.
  std::string event;  ///< HTTP: name of the event source.
  std::uint8_t qos = 1;
  mqtt::Version version = mqtt::Version::v5;
  std::uint32_t connections = 1;
  std::uint32_t window = 1;  ///< Unacknowledged sends of a connection: publishes, or requests.
  std::uint32_t batch = 1;   ///< Events a send; more than one only over HTTP.
  std::vector<Template> payloads;

  double rate = 0;          ///< Events a second of the whole run; 0 = as fast as possible.
  std::uint64_t count = 0;  ///< Events; 0 = until `duration` has passed.
  Duration warm_up{};       ///< Before `duration`, and not measured.
  Duration duration = std::chrono::seconds(10);
  Duration grace = std::chrono::seconds(5);  ///< Silence after which the missing is lost.

  std::string subscribe;  ///< Topic filter of the receiving end; empty = none.
  io::Endpoint subscribe_server;
  std::uint32_t threads = 1;

  /// Longest p99 that is good enough, or 0: decides which lateness of our own is too much.
  Duration goal{};
};

}  // namespace tocsin::cli::bench
