#pragma once
// JSON numbers (RFC 8259 section 6), correctly rounded.

#include <cstdint>
#include <optional>
#include <string_view>

namespace tocsin::json {

/// A number as exactly as 64 bits allow.
struct Number {
  enum class Kind : std::uint8_t {
    int64,   ///< No fraction or exponent, fits.
    uint64,  ///< The same, above INT64_MAX.
    real,
  };
  Kind kind = Kind::int64;
  std::int64_t integer = 0;
  std::uint64_t unsigned_integer = 0;
  double real = 0;  ///< Nearest binary64, whatever the kind.
};

/// Whether `text` follows the grammar of a number.
[[nodiscard]] bool number_well_formed(std::string_view text) noexcept;

/// Nothing when `text` is malformed, beyond binary64, or an integer beyond 64 bits: exactly what
/// validation refuses.
[[nodiscard]] std::optional<Number> parse_number(std::string_view text) noexcept;

/// Nothing when `text` is not an integer literal in range ("1.0" and "1e3" are not).
[[nodiscard]] std::optional<std::int64_t> parse_int64(std::string_view text) noexcept;
[[nodiscard]] std::optional<std::uint64_t> parse_uint64(std::string_view text) noexcept;
/// Nothing when `text` is not a number or is beyond binary64.
[[nodiscard]] std::optional<double> parse_double(std::string_view text) noexcept;

}  // namespace tocsin::json
