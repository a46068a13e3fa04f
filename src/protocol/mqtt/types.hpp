#pragma once
// Words of MQTT that both versions share: packet types, reason codes, errors (OASIS MQTT 3.1.1 and
// MQTT 5.0). Section numbers are those of 5.0 unless said otherwise.

#include <cstdint>
#include <string_view>

namespace tocsin::mqtt {

/// Protocol levels that we speak (section 3.1.2.2).
enum class Version : std::uint8_t { v3_1_1 = 4, v5 = 5 };

/// Section 2.1.2. Zero is forbidden; AUTH exists in 5.0 only.
enum class PacketType : std::uint8_t {
  connect = 1,
  connack = 2,
  publish = 3,
  puback = 4,
  pubrec = 5,
  pubrel = 6,
  pubcomp = 7,
  subscribe = 8,
  suback = 9,
  unsubscribe = 10,
  unsuback = 11,
  pingreq = 12,
  pingresp = 13,
  disconnect = 14,
  auth = 15,
};
[[nodiscard]] std::string_view to_string(PacketType type) noexcept;

/// Section 2.4. Names of the value 0 differ by packet; `success` stands for all of them.
enum class ReasonCode : std::uint8_t {
  success = 0x00,
  granted_qos_1 = 0x01,
  granted_qos_2 = 0x02,
  disconnect_with_will = 0x04,
  no_matching_subscribers = 0x10,
  no_subscription_existed = 0x11,
  continue_authentication = 0x18,
  re_authenticate = 0x19,
  unspecified_error = 0x80,
  malformed_packet = 0x81,
  protocol_error = 0x82,
  implementation_specific_error = 0x83,
  unsupported_protocol_version = 0x84,
  client_identifier_not_valid = 0x85,
  bad_user_name_or_password = 0x86,
  not_authorized = 0x87,
  server_unavailable = 0x88,
  server_busy = 0x89,
  banned = 0x8A,
  server_shutting_down = 0x8B,
  bad_authentication_method = 0x8C,
  keep_alive_timeout = 0x8D,
  session_taken_over = 0x8E,
  topic_filter_invalid = 0x8F,
  topic_name_invalid = 0x90,
  packet_identifier_in_use = 0x91,
  packet_identifier_not_found = 0x92,
  receive_maximum_exceeded = 0x93,
  topic_alias_invalid = 0x94,
  packet_too_large = 0x95,
  message_rate_too_high = 0x96,
  quota_exceeded = 0x97,
  administrative_action = 0x98,
  payload_format_invalid = 0x99,
  retain_not_supported = 0x9A,
  qos_not_supported = 0x9B,
  use_another_server = 0x9C,
  server_moved = 0x9D,
  shared_subscriptions_not_supported = 0x9E,
  connection_rate_exceeded = 0x9F,
  maximum_connect_time = 0xA0,
  subscription_identifiers_not_supported = 0xA1,
  wildcard_subscriptions_not_supported = 0xA2,
};
/// Whether a packet of this type may carry the code (the tables of chapter 3).
[[nodiscard]] bool reason_allowed(PacketType type, ReasonCode code) noexcept;

enum class Role : std::uint8_t { client, server };
/// Whether `sender` may give the code in a DISCONNECT or AUTH (sections 3.14.2.1 and 3.15.2.1).
/// Other codes are not tied to a role beyond the packets that carry them.
[[nodiscard]] bool reason_allowed_from(Role sender, PacketType type, ReasonCode code) noexcept;

/// MQTT 3.1.1 section 3.2.2.3: what CONNACK says there.
enum class ReturnCode : std::uint8_t {
  accepted = 0,
  unacceptable_protocol_version = 1,
  identifier_rejected = 2,
  server_unavailable = 3,
  bad_user_name_or_password = 4,
  not_authorized = 5,
};
/// MQTT 3.1.1 section 3.9.3: SUBACK's code for a refused filter.
inline constexpr std::uint8_t suback_failure = 0x80;

/// Why a packet was refused. Over 5.0 the code goes into DISCONNECT or CONNACK; over 3.1.1 the
/// connection is closed.
struct Error {
  ReasonCode code = ReasonCode::malformed_packet;
  std::string_view detail{};  ///< For people; static text.
};

/// Largest Remaining Length (section 2.1.4).
inline constexpr std::uint32_t remaining_length_max = 268'435'455;
/// Protocol levels of 3.1 and earlier, and the name they came with, are not spoken.
inline constexpr std::string_view protocol_name = "MQTT";

}  // namespace tocsin::mqtt
