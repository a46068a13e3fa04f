#pragma once
// Times that producers claim, as text.

#include <cstdint>
#include <optional>
#include <string_view>

namespace tocsin::decode {

/// RFC 3339 section 5.6 date-time, as microseconds since 1970 UTC. Digits beyond microseconds are
/// cut off; a leap second counts as the first instant after it. Nothing when malformed.
[[nodiscard]] std::optional<std::int64_t> parse_rfc3339(std::string_view text) noexcept;

/// Seconds (below 1e11) or milliseconds since 1970 as a JSON number, in microseconds. Nothing when
/// it is negative or no such number.
[[nodiscard]] std::optional<std::int64_t> parse_epoch(std::string_view number) noexcept;

}  // namespace tocsin::decode
