#pragma once
// What a connection that subscribes has in addition: its filters, the notifications that wait for
// their PUBACK, and those that wait for a place in that window.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/byte_buffer.hpp"
#include "flow/sources.hpp"

namespace tocsin::ingress {

/// QoS 1 notifications on their way to one client, whatever larger receive maximum it has.
inline constexpr std::size_t mqtt_window_max = 64;
/// What an emptied buffer of a connection keeps.
inline constexpr std::size_t mqtt_kept_max = 2048;

struct MqttSubscriber {
  struct Subscription {
    std::string filter;
    std::uint8_t qos = 0;
  };
  explicit MqttSubscriber(ByteBudget& budget) : waiting(&budget, mqtt_kept_max) {
    inflight.reserve(mqtt_window_max);
  }

  std::vector<Subscription> subscriptions;
  std::vector<std::uint16_t> inflight;  ///< Packet identifiers without PUBACK.
  ByteBuffer
      waiting;  ///< Whole PUBLISH packets, QoS 1, whose packet identifier is still to be set.
  std::uint16_t last_packet_id = 0;

  /// The best QoS among the subscriptions that match (section 3.3.4 lets a server send one copy).
  [[nodiscard]] std::optional<std::uint8_t> match(std::string_view topic) const noexcept {
    std::optional<std::uint8_t> best;
    for (const Subscription& subscription : subscriptions) {
      if (flow::topic_matches(subscription.filter, topic)) {
        best = std::max(best.value_or(0), subscription.qos);
      }
    }
    return best;
  }
  /// An identifier that is not in flight (section 2.2.1); marks it in flight.
  [[nodiscard]] std::uint16_t take_packet_id() noexcept {
    do {
      last_packet_id = last_packet_id == UINT16_MAX
                           ? std::uint16_t{1}
                           : static_cast<std::uint16_t>(last_packet_id + 1);
    } while (std::find(inflight.begin(), inflight.end(), last_packet_id) != inflight.end());
    inflight.push_back(last_packet_id);
    return last_packet_id;
  }
};

}  // namespace tocsin::ingress
