#pragma once
// The record, version 1: what every accepted envelope becomes. The same bytes travel from decode
// through the journal's files to match. All integers are little endian.

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>

#include <tocsin/time.hpp>

namespace tocsin {

/// Our own 128-bit event id: a UUID version 7 (RFC 9562 section 5.7).
struct EventId {
  std::uint64_t hi = 0;
  std::uint64_t lo = 0;
  auto operator<=>(const EventId&) const = default;
};

/// A notification's id: a hash of (tenant, rule, origin, target, replay), so that reprocessing
/// the same origin yields the same id.
struct NotificationId {
  std::uint64_t hi = 0;
  std::uint64_t lo = 0;
  auto operator<=>(const NotificationId&) const = default;
};

enum class Priority : std::uint8_t { low = 0, normal = 1, high = 2, urgent = 3 };
enum class Severity : std::uint8_t { info = 0, warning = 1, error = 2, critical = 3 };

/// The level that an acknowledgement waits for.
enum class Level : std::uint8_t {
  accepted = 0,  ///< In memory, sealed into a block.
  stored = 1,    ///< Group-committed to the disk. The default.
};

/// Bits of RecordHeader::flags.
namespace record_flag {
inline constexpr std::uint16_t replay = 1U << 0;
inline constexpr std::uint16_t untrusted_clock = 1U << 1;
inline constexpr std::uint16_t binary_payload = 1U << 2;  ///< Payload is opaque bytes, not JSON.
inline constexpr std::uint16_t message = 1U << 3;  ///< For MQTT subscribers only: matches no rule.
}  // namespace record_flag

inline constexpr std::uint8_t record_version = 1;
inline constexpr std::int64_t producer_time_absent = INT64_MIN;

/// Fixed part of a record, 64 bytes. Offsets are relative to the block's payload and attribute
/// regions, so that sealing a block can move a region without touching a record.
struct RecordHeader {
  std::uint32_t crc;  ///< CRC32C of header bytes [4,64), then attributes, then payload.
  std::uint8_t version;
  Priority priority;
  Severity severity;
  std::uint8_t mqtt;  ///< As published over MQTT: see flow/route_info.hpp.
  std::uint16_t flags;
  std::uint16_t attrs_size;
  std::uint32_t tenant;  ///< 0 until there are tenants.
  EventId id;
  std::uint32_t payload_offset;
  std::uint32_t payload_size;
  std::uint32_t attrs_offset;
  std::uint32_t partition_hash;     ///< Of the partition key, else subject, else source.
  std::uint32_t received_delta_us;  ///< Since the block's base clocks, monotonic.
  std::uint32_t reserved1;
  std::int64_t producer_time_us;  ///< Wall time claimed by the producer, or producer_time_absent.
};
static_assert(sizeof(RecordHeader) == 64 && std::is_trivially_copyable_v<RecordHeader>);

/// Attributes are a run of length-prefixed fields: tag (1 byte), size (2 bytes), bytes. A field
/// with tag `extension` holds name size (1 byte), name, value.
enum class AttributeTag : std::uint8_t {
  source = 1,       ///< CloudEvents source: who produced it (URI reference or topic).
  producer_id = 2,  ///< The producer's own event id; (source, producer_id) identifies an event.
  type = 3,         ///< Event type, e.g. "order_created".
  subject = 4,
  partition_key = 5,
  aggregate_type = 6,
  aggregate_id = 7,
  traceparent = 8,
  tracestate = 9,
  data_schema = 10,
  content_type = 11,
  event_source = 12,  ///< Name of the registered event source that accepted it.
  extension = 13,
  topic = 14,  ///< MQTT topic, when it is not the source.
  mqtt = 15,   ///< What MQTT subscribers get beside topic and payload; see flow/route_info.hpp.
};

/// One record inside a block. A view: valid as long as the block's batch is held.
class RecordView {
 public:
  RecordView(const RecordHeader& header, std::string_view attrs, std::string_view payload,
             std::uint64_t sequence, MonoTime received) noexcept
      : header_(&header),
        attrs_(attrs),
        payload_(payload),
        sequence_(sequence),
        received_(received) {}

  [[nodiscard]] const RecordHeader& header() const noexcept { return *header_; }
  [[nodiscard]] std::string_view attrs() const noexcept { return attrs_; }
  /// The payload exactly as the producer sent it. At least 64 readable bytes follow it while the
  /// record is in a batch.
  [[nodiscard]] std::string_view payload() const noexcept { return payload_; }
  /// Position in the journal; 0 until the journal has assigned it. The first event is 1.
  [[nodiscard]] std::uint64_t sequence() const noexcept { return sequence_; }
  [[nodiscard]] MonoTime received() const noexcept { return received_; }

  /// The first field with this tag, or empty. Not for `extension`.
  [[nodiscard]] std::string_view attribute(AttributeTag tag) const noexcept {
    std::string_view found;
    for_each_attribute([&](AttributeTag t, std::string_view, std::string_view value) {
      if (t != tag) return true;
      found = value;
      return false;
    });
    return found;
  }

  /// The extension attribute with this name, or nothing.
  [[nodiscard]] std::optional<std::string_view> extension(std::string_view name) const noexcept {
    std::optional<std::string_view> found;
    for_each_attribute([&](AttributeTag t, std::string_view n, std::string_view value) {
      if (t != AttributeTag::extension || n != name) return true;
      found = value;
      return false;
    });
    return found;
  }

  /// Calls visit(tag, extension name or "", value) for each field until it returns false. Stops
  /// early, reading nothing out of bounds, when the fields are malformed.
  template <class Visit>
  void for_each_attribute(Visit&& visit) const noexcept {
    std::string_view rest = attrs_;
    while (rest.size() >= 3) {
      const auto tag = static_cast<AttributeTag>(rest[0]);
      const std::size_t size = static_cast<std::uint8_t>(rest[1]) |
                               static_cast<std::size_t>(static_cast<std::uint8_t>(rest[2])) << 8U;
      rest.remove_prefix(3);
      if (size > rest.size()) return;
      std::string_view value = rest.substr(0, size);
      rest.remove_prefix(size);
      std::string_view name;
      if (tag == AttributeTag::extension) {
        const std::size_t name_size = value.empty() ? 0 : static_cast<std::uint8_t>(value[0]);
        if (value.empty() || name_size + 1 > value.size()) return;
        name = value.substr(1, name_size);
        value.remove_prefix(1 + name_size);
      }
      if (!visit(tag, name, value)) return;
    }
  }

 private:
  const RecordHeader* header_;
  std::string_view attrs_;
  std::string_view payload_;
  std::uint64_t sequence_;
  MonoTime received_;
};

}  // namespace tocsin
