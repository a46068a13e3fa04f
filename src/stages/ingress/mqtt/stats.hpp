#pragma once
// What one reactor's MQTT server counts.

#include <array>
#include <cstdint>
#include <string_view>

#include "base/metrics.hpp"
#include "flow/intake.hpp"

namespace tocsin::ingress {

/// Why a connection ended. Closed set: a metric label.
enum class MqttClose : std::uint8_t {
  client,         ///< DISCONNECT.
  end_of_stream,  ///< Closed without DISCONNECT.
  reset,
  malformed,
  protocol_error,
  packet_too_large,
  connect_refused,
  connect_timeout,
  keep_alive,
  taken_over,
  receive_maximum,
  not_authorized,  ///< A publish that 3.1.1 cannot be refused otherwise.
  not_stored,      ///< The commit failed; only 3.1.1 clients must be told this way.
  memory,          ///< The reactor's buffer budget is exhausted.
  connections,     ///< connections_max.
  shutdown,
};
inline constexpr std::size_t mqtt_close_count = static_cast<std::size_t>(MqttClose::shutdown) + 1;
[[nodiscard]] std::string_view to_string(MqttClose reason) noexcept;

/// Why a message did not reach one subscriber. Closed set: a metric label.
enum class MqttDrop : std::uint8_t {
  slow,       ///< QoS 0, and the client does not read what it has.
  too_large,  ///< For the client's maximum packet size.
  offline,    ///< QoS 0 for a client that is not there.
  queue_full,
  expired,
  memory,     ///< The messages of all sessions together are at their bound.
  no_member,  ///< A shared subscription whose members are all gone.
};
inline constexpr std::size_t mqtt_drop_count = static_cast<std::size_t>(MqttDrop::no_member) + 1;
[[nodiscard]] std::string_view to_string(MqttDrop reason) noexcept;

/// Written by the reactor's thread, read by any.
struct MqttStats {
  Counter accepted;
  Counter packets;
  Counter publishes;
  Counter pubacks;
  Counter wills_lost;
  Counter delivered;
  Counter subscribers_opened;  ///< Sessions that got their first subscription...
  Counter subscribers_closed;  ///< ...and lost their last one.
  Counter store_refused;
  Counter subscriptions_lost;
  Counter connections_opened;
  Counter connections_closed;
  std::array<Counter, mqtt_close_count> closed;
  std::array<Counter, flow::refusal_count> refused;
  std::array<Counter, mqtt_drop_count> dropped;

  void drop(MqttDrop reason) noexcept { dropped[static_cast<std::size_t>(reason)].add(); }
  void describe(MetricSink& sink) const;
};

}  // namespace tocsin::ingress
