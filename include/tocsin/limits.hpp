#pragma once
// Bounds that hold everywhere. Those an operator may change are options; these are structure.

#include <cstddef>
#include <cstdint>

namespace tocsin {

/// Readable bytes that follow any payload handed to the JSON parser (simdjson's padding).
inline constexpr std::size_t json_padding = 64;
/// Nesting depth that a payload may have.
inline constexpr std::size_t json_depth_max = 64;
/// All length-prefixed fields of one record together.
inline constexpr std::size_t record_attrs_max = 8 * 1024;
/// A topic, type, source, subject or key.
inline constexpr std::size_t name_size_max = 1024;
/// Extension attributes of one event.
inline constexpr std::size_t extensions_max = 32;
/// Records in one block.
inline constexpr std::uint32_t batch_records_max = 1024;
/// Entries in one HTTP batch request.
inline constexpr std::uint32_t batch_entries_max = 1000;
/// Rendered subject and body of one notification.
inline constexpr std::size_t notification_subject_max = 1024;
inline constexpr std::size_t notification_body_max = 64 * 1024;
/// A recipient: an address, number, topic or URL.
inline constexpr std::size_t recipient_size_max = 512;

static_assert(record_attrs_max <= UINT16_MAX, "RecordHeader::attrs_size is 16 bits");

}  // namespace tocsin
