#pragma once
// Properties of MQTT 5.0 (section 2.2.2): a checked view of a property block, and a builder.

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <tocsin/result.hpp>

#include "protocol/mqtt/bytes.hpp"
#include "protocol/mqtt/types.hpp"

namespace tocsin::mqtt {

/// Section 2.2.2.2.
enum class PropertyId : std::uint8_t {
  payload_format_indicator = 1,
  message_expiry_interval = 2,
  content_type = 3,
  response_topic = 8,
  correlation_data = 9,
  subscription_identifier = 11,
  session_expiry_interval = 17,
  assigned_client_identifier = 18,
  server_keep_alive = 19,
  authentication_method = 21,
  authentication_data = 22,
  request_problem_information = 23,
  will_delay_interval = 24,
  request_response_information = 25,
  response_information = 26,
  server_reference = 28,
  reason_string = 31,
  receive_maximum = 33,
  topic_alias_maximum = 34,
  topic_alias = 35,
  maximum_qos = 36,
  retain_available = 37,
  user_property = 38,
  maximum_packet_size = 39,
  wildcard_subscription_available = 40,
  subscription_identifier_available = 41,
  shared_subscription_available = 42,
};

/// Where a property block stands: each packet that has one, and the will inside CONNECT.
enum class PropertyPlace : std::uint8_t {
  connect,
  will,
  connack,
  publish,
  puback,  ///< Also PUBREC, PUBREL and PUBCOMP.
  subscribe,
  suback,
  unsubscribe,
  unsuback,
  disconnect,
  auth,
};

/// The properties of one packet: a view into the frame (or into a PropertyBuilder), already
/// checked, so that the getters cannot fail. Absent properties yield the fallback.
class Properties {
 public:
  Properties() = default;

  /// Reads the length and the block. Refuses unknown identifiers, those of other packets,
  /// duplicates, values out of their range, and bad UTF-8.
  [[nodiscard]] static Result<Properties, Error> read(Reader& reader, PropertyPlace place) noexcept;
  /// The same for a block without its length.
  [[nodiscard]] static Result<Properties, Error> read_block(std::string_view block,
                                                            PropertyPlace place) noexcept;

  [[nodiscard]] bool has(PropertyId id) const noexcept {
    return (present_ >> static_cast<unsigned>(id) & 1U) != 0;
  }
  [[nodiscard]] bool empty() const noexcept { return block_.empty(); }
  [[nodiscard]] std::uint32_t number(PropertyId id, std::uint32_t fallback) const noexcept;
  [[nodiscard]] std::string_view text(PropertyId id) const noexcept;
  /// The block as it stands on the wire, without its length.
  [[nodiscard]] std::string_view block() const noexcept { return block_; }

  /// One property. Views point into the block.
  struct Entry {
    PropertyId id{};
    std::uint32_t number = 0;
    std::string_view name;  ///< Of a User Property.
    std::string_view text;
    std::string_view wire;  ///< As it stands in the block.
  };
  /// Calls visit(Entry) for each property, in order, until it returns false.
  template <class Visit>
  void for_each(Visit&& visit) const noexcept {
    Reader reader(block_);
    Entry entry;
    while (next(reader, entry)) {
      if (!visit(entry)) return;
    }
  }
  /// Calls visit(name, value) for each User Property, in order, until it returns false.
  template <class Visit>
  void for_each_user_property(Visit&& visit) const noexcept {
    if (!has(PropertyId::user_property)) return;
    for_each([&](const Entry& entry) {
      return entry.id != PropertyId::user_property || visit(entry.name, entry.text);
    });
  }

 private:
  template <std::size_t Size>
  friend class PropertyBuilder;
  // The next property of a checked block.
  static bool next(Reader& reader, Entry& entry) noexcept;

  std::uint64_t present_ = 0;
  std::string_view block_;
};

/// Collects properties for a packet to be written, at most `Size` bytes of them. What does not fit
/// is left out and `overflowed()` holds. Its view() must not outlive it.
template <std::size_t Size>
class PropertyBuilder {
 public:
  void add_u8(PropertyId id, std::uint8_t value) noexcept {
    if (begin(id, 1)) writer_.u8(value);
  }
  void add_u16(PropertyId id, std::uint16_t value) noexcept {
    if (begin(id, 2)) writer_.u16(value);
  }
  void add_u32(PropertyId id, std::uint32_t value) noexcept {
    if (begin(id, 4)) writer_.u32(value);
  }
  void add_varint(PropertyId id, std::uint32_t value) noexcept {
    if (begin(id, varint_size(value))) writer_.varint(value);
  }
  void add_text(PropertyId id, std::string_view value) noexcept {
    if (value.size() <= UINT16_MAX && begin(id, 2 + value.size())) writer_.sized(value);
  }
  void add_user(std::string_view name, std::string_view value) noexcept {
    if (name.size() > UINT16_MAX || value.size() > UINT16_MAX) return;
    if (!begin(PropertyId::user_property, 4 + name.size() + value.size())) return;
    writer_.sized(name);
    writer_.sized(value);
  }
  [[nodiscard]] bool overflowed() const noexcept { return overflowed_; }
  [[nodiscard]] Properties view() const noexcept {
    Properties properties;
    properties.present_ = present_;
    properties.block_ = {bytes_.data(), writer_.size()};
    return properties;
  }
  PropertyBuilder() = default;
  PropertyBuilder(const PropertyBuilder&) = delete;
  PropertyBuilder& operator=(const PropertyBuilder&) = delete;

 private:
  bool begin(PropertyId id, std::size_t value_size) noexcept {
    if (writer_.size() + 1 + value_size > Size) {
      overflowed_ = true;
      return false;
    }
    present_ |= std::uint64_t{1} << static_cast<unsigned>(id);
    writer_.u8(static_cast<std::uint8_t>(id));
    return true;
  }
  std::array<char, Size> bytes_{};
  Writer writer_{bytes_};
  std::uint64_t present_ = 0;
  bool overflowed_ = false;
};

}  // namespace tocsin::mqtt
