#pragma once
// How a record keeps what MQTT subscribers get beside topic and payload: QoS and retain in a byte
// of its header, publisher and properties in its `mqtt` field, which is there only when one of them
// is:
//
//   [publisher size, 2 bytes little endian][publisher][properties as on the wire]

#include <cstdint>
#include <string_view>

#include <tocsin/event.hpp>

#include "flow/intake.hpp"

namespace tocsin::flow {

inline constexpr std::uint8_t mqtt_qos_mask = 0x3;
inline constexpr std::uint8_t mqtt_retain_bit = 0x4;
/// The event came over our own MQTT listener: its topic is its source, unless it has a `topic`
/// field.
inline constexpr std::uint8_t mqtt_routed_bit = 0x8;

[[nodiscard]] inline std::uint8_t route_byte(const MqttMessage& message) noexcept {
  return static_cast<std::uint8_t>(message.qos | (message.retain ? mqtt_retain_bit : 0U) |
                                   mqtt_routed_bit);
}

[[nodiscard]] inline std::uint8_t route_byte(const PlainEvent& event) noexcept {
  return route_byte(MqttMessage{event.qos, event.retain, {}, {}});
}

/// What a committed record says to MQTT subscribers. Views point into the record.
struct RouteInfo {
  std::string_view topic;  ///< Empty: the event did not come over MQTT; nobody gets it.
  std::uint8_t qos = 0;
  bool retain = false;
  std::string_view publisher;
  std::string_view properties;
};

[[nodiscard]] RouteInfo route_info(const RecordView& record) noexcept;

}  // namespace tocsin::flow
