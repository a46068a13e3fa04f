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
  unsupported,     ///< QoS 2, retain, topic alias.
  not_authorized,  ///< Publish below the notification prefix over 3.1.1.
  not_stored,      ///< The commit failed; only 3.1.1 clients must be told this way.
  memory,          ///< The reactor's buffer budget is exhausted.
  slow_subscriber,
  connections,  ///< connections_max.
  shutdown,
};
inline constexpr std::size_t mqtt_close_count = static_cast<std::size_t>(MqttClose::shutdown) + 1;
[[nodiscard]] std::string_view to_string(MqttClose reason) noexcept;

/// Why a notification did not reach one subscriber. Closed set: a metric label.
enum class MqttDrop : std::uint8_t { slow, too_large };
inline constexpr std::size_t mqtt_drop_count = 2;
[[nodiscard]] std::string_view to_string(MqttDrop reason) noexcept;

/// Written by the reactor's thread, read by any.
struct MqttStats {
  Counter accepted;
  Counter packets;
  Counter publishes;
  Counter pubacks;
  Counter wills_lost;
  Counter delivered;
  Counter connections_opened;
  Counter connections_closed;
  std::array<Counter, mqtt_close_count> closed;
  std::array<Counter, flow::refusal_count> refused;
  std::array<Counter, mqtt_drop_count> dropped;

  void describe(MetricSink& sink) const;
};

}  // namespace tocsin::ingress
