#pragma once
// The control packets as structures, and their parsers and writers for both versions and both
// directions (chapter 3). Sans-I/O: bytes in, views out; nothing is allocated or copied. Views are
// valid as long as the frame's bytes.
//
// Parsers take a frame of the right type (next_packet has found it). They check everything that can
// be checked without knowing the session; what a role must not send or receive is the caller's
// matter. Writers return the packet's size, or 0 when it does not fit into `out`.

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <tocsin/result.hpp>

#include "protocol/mqtt/frame.hpp"
#include "protocol/mqtt/properties.hpp"
#include "protocol/mqtt/types.hpp"

namespace tocsin::mqtt {

/// Section 3.1.2.5.
struct Will {
  std::string_view topic{};
  std::string_view payload{};
  std::uint8_t qos = 0;
  bool retain = false;
  Properties properties{};
};

/// Section 3.1.
struct Connect {
  Version version = Version::v5;
  bool clean_start = true;
  std::uint16_t keep_alive_s = 0;
  std::string_view client_id{};
  std::optional<Will> will{};
  std::optional<std::string_view> user_name{};
  std::optional<std::string_view> password{};
  Properties properties{};
};

/// Section 3.2. `code` is a ReasonCode over 5.0, a ReturnCode over 3.1.1.
struct ConnAck {
  bool session_present = false;
  std::uint8_t code = 0;
  Properties properties{};
};

/// Section 3.3.
struct Publish {
  std::string_view topic{};
  std::string_view payload{};
  std::uint16_t packet_id = 0;  ///< 0 exactly when qos is 0.
  std::uint8_t qos = 0;
  bool dup = false;
  bool retain = false;
  Properties properties{};
};

/// PUBACK, PUBREC, PUBREL and PUBCOMP (sections 3.4 to 3.7).
struct Ack {
  PacketType type = PacketType::puback;
  std::uint16_t packet_id = 0;
  ReasonCode reason = ReasonCode::success;  ///< 5.0 only.
  Properties properties{};
};

/// One entry of SUBSCRIBE (section 3.8.3).
struct Filter {
  std::string_view filter{};
  std::uint8_t qos = 0;
  bool no_local = false;  ///< 5.0 only, like the two below.
  bool retain_as_published = false;
  std::uint8_t retain_handling = 0;
};

/// SUBSCRIBE and UNSUBSCRIBE (sections 3.8 and 3.10): at least one entry, all of them checked.
struct Subscribe {
  std::uint16_t packet_id = 0;
  Properties properties{};
  std::string_view entries{};  ///< As they stand on the wire.
  bool with_options = true;    ///< False for UNSUBSCRIBE.

  /// Calls visit(Filter) for each entry, in order.
  template <class Visit>
  void for_each(Visit&& visit) const noexcept {
    Reader reader(entries);
    while (!reader.at_end()) {
      Filter entry;
      entry.filter = reader.sized();
      if (with_options) {
        const std::uint8_t options = reader.u8();
        entry.qos = options & 3U;
        entry.no_local = (options & 4U) != 0;
        entry.retain_as_published = (options & 8U) != 0;
        entry.retain_handling = options >> 4U & 3U;
      }
      if (reader.bad()) return;
      visit(entry);
    }
  }
};

/// SUBACK and UNSUBACK (sections 3.9 and 3.11). UNSUBACK carries no codes over 3.1.1.
struct SubAck {
  std::uint16_t packet_id = 0;
  Properties properties{};
  std::string_view codes{};  ///< One byte an entry of the request.
};

/// Section 3.14. Over 3.1.1 only a client sends it, and it is empty.
struct Disconnect {
  ReasonCode reason = ReasonCode::success;
  Properties properties{};
};

/// Section 3.15; 5.0 only.
struct Auth {
  ReasonCode reason = ReasonCode::success;
  Properties properties{};
};

/// The protocol level of a CONNECT, whatever the rest of it is like: tells which CONNACK an
/// unacceptable version understands. Nothing when even the name is not "MQTT" or "MQIsdp".
[[nodiscard]] std::optional<std::uint8_t> peek_protocol_level(const Frame& frame) noexcept;

/// Refuses other levels with `unsupported_protocol_version`.
[[nodiscard]] Result<Connect, Error> parse_connect(const Frame& frame) noexcept;
[[nodiscard]] Result<ConnAck, Error> parse_connack(const Frame& frame, Version version) noexcept;
[[nodiscard]] Result<Publish, Error> parse_publish(const Frame& frame, Version version) noexcept;
[[nodiscard]] Result<Ack, Error> parse_ack(const Frame& frame, Version version) noexcept;
[[nodiscard]] Result<Subscribe, Error> parse_subscribe(const Frame& frame,
                                                       Version version) noexcept;
[[nodiscard]] Result<Subscribe, Error> parse_unsubscribe(const Frame& frame,
                                                         Version version) noexcept;
[[nodiscard]] Result<SubAck, Error> parse_suback(const Frame& frame, Version version) noexcept;
[[nodiscard]] Result<SubAck, Error> parse_unsuback(const Frame& frame, Version version) noexcept;
[[nodiscard]] Result<Disconnect, Error> parse_disconnect(const Frame& frame,
                                                         Version version) noexcept;
[[nodiscard]] Result<Auth, Error> parse_auth(const Frame& frame, Version version) noexcept;
/// PINGREQ and PINGRESP have nothing but their header; over 5.0 its length must be minimal.
[[nodiscard]] Result<void, Error> parse_ping(const Frame& frame, Version version) noexcept;

/// What a well-formed packet must not carry when it comes from `sender`: subscription identifiers
/// in a client's PUBLISH [MQTT-3.3.4-6]; a session expiry in a server's DISCONNECT [MQTT-3.14.2-2],
/// a server reference in a client's, and reason codes of the other side. Null, or static text; the
/// packet is a protocol error then.
[[nodiscard]] const char* sender_problem(const Publish& publish, Role sender) noexcept;
[[nodiscard]] const char* sender_problem(const Disconnect& disconnect, Role sender) noexcept;
[[nodiscard]] const char* sender_problem(const Auth& auth, Role sender) noexcept;

std::size_t write_connect(std::span<char> out, const Connect& connect) noexcept;
std::size_t write_connack(std::span<char> out, const ConnAck& connack, Version version) noexcept;
std::size_t write_publish(std::span<char> out, const Publish& publish, Version version) noexcept;
/// Size that write_publish needs.
[[nodiscard]] std::size_t publish_size(const Publish& publish, Version version) noexcept;
std::size_t write_ack(std::span<char> out, const Ack& ack, Version version) noexcept;
std::size_t write_subscribe(std::span<char> out, std::uint16_t packet_id,
                            std::span<const Filter> filters, const Properties& properties,
                            Version version) noexcept;
std::size_t write_unsubscribe(std::span<char> out, std::uint16_t packet_id,
                              std::span<const Filter> filters, const Properties& properties,
                              Version version) noexcept;
std::size_t write_suback(std::span<char> out, const SubAck& suback, Version version) noexcept;
std::size_t write_unsuback(std::span<char> out, const SubAck& unsuback, Version version) noexcept;
std::size_t write_disconnect(std::span<char> out, const Disconnect& disconnect,
                             Version version) noexcept;
std::size_t write_auth(std::span<char> out, const Auth& auth) noexcept;
std::size_t write_pingreq(std::span<char> out) noexcept;
std::size_t write_pingresp(std::span<char> out) noexcept;

}  // namespace tocsin::mqtt
