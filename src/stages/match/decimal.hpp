#pragma once
// Exact decimal numbers: JSON numbers compared by value, whatever their spelling (5 = 5.0 = 5e0),
// without the rounding of binary floating point, so that no value of a rule silently fails.

#include <compare>
#include <cstdint>
#include <limits>
#include <string_view>

namespace tocsin::match {

/// A JSON number. Small to compare: sign, decimal exponent of the first digit, then the first 19
/// significant digits as one integer; the token is read again only beyond those.
struct Decimal {
  std::uint64_t mantissa = 0;  ///< 19 digits, the first one not 0; 0 for zero.
  std::int32_t exponent = 0;   ///< Of the first digit: 0 for 1..9. 0 for zero.
  bool negative = false;       ///< Never for zero.
  bool truncated = false;      ///< Significant digits follow the first 19.
  std::string_view token{};    ///< As written; owned by whoever made the number.

  [[nodiscard]] static constexpr Decimal infinity(bool negative) noexcept {
    return {UINT64_MAX, std::numeric_limits<std::int32_t>::max(), negative, false, {}};
  }
};

/// `token`: a number by the JSON grammar (RFC 8259 section 6), validated before.
[[nodiscard]] Decimal parse_decimal(std::string_view token) noexcept;

/// Compares the first 19 digits only: numbers that differ later are equal here.
[[nodiscard]] std::strong_ordering compare_leading(const Decimal& a, const Decimal& b) noexcept;
/// Compares all digits.
[[nodiscard]] std::strong_ordering compare(const Decimal& a, const Decimal& b) noexcept;

}  // namespace tocsin::match
