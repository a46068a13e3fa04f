#pragma once
// Durations and sizes as people write them.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tocsin::config {

/// "250ms", "90s", "1h30m", "2d" to milliseconds. A bare number has no unit and is refused.
[[nodiscard]] std::optional<std::int64_t> parse_duration_ms(std::string_view text);
/// "512", "64KiB", "256MiB", "1GB" to bytes.
[[nodiscard]] std::optional<std::int64_t> parse_bytes(std::string_view text);
/// The shortest exact form: 65536 -> "64KiB", 90000 -> "1m30s".
[[nodiscard]] std::string format_bytes(std::int64_t bytes);
[[nodiscard]] std::string format_duration_ms(std::int64_t ms);

}  // namespace tocsin::config
