#include "protocol/json/number.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace tocsin::json {
namespace {

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

// Takes digits off the front; false when there is none.
bool take_digits(std::string_view& rest) noexcept {
  std::size_t n = 0;
  while (n < rest.size() && is_digit(rest[n])) ++n;
  rest.remove_prefix(n);
  return n > 0;
}

bool is_integer(std::string_view text) noexcept { return text.find_first_of(".eE") == text.npos; }

template <class T>
std::optional<T> whole(std::string_view text) noexcept {
  T value{};
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || at != end) return std::nullopt;
  return value;
}

// Of a well-formed number that is no zero: about how many digits its integer part has, negative for
// leading zeros of the fraction.
std::int64_t decimal_magnitude(std::string_view text) noexcept {
  constexpr std::int64_t huge = INT64_MAX / 4;
  const std::size_t e = text.find_first_of("eE");
  const std::string_view mantissa = text.substr(text.starts_with('-') ? 1 : 0, e);
  std::int64_t exponent = 0;
  if (e != text.npos) {
    std::string_view digits = text.substr(e + 1);
    if (digits.starts_with('+')) digits.remove_prefix(1);
    const auto error = std::from_chars(digits.data(), digits.data() + digits.size(), exponent).ec;
    if (error != std::errc{}) exponent = digits.starts_with('-') ? -huge : huge;
    exponent = std::clamp(exponent, -huge, huge);
  }
  const std::size_t first = mantissa.find_first_of("123456789");
  const std::size_t point = std::min(mantissa.find_first_of(".eE"), mantissa.size());
  return static_cast<std::int64_t>(point) - static_cast<std::int64_t>(first) + exponent;
}

// from_chars calls a result too small for binary64 out of range as well; that one is a zero.
std::optional<double> to_double(std::string_view text) noexcept {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc{}) {
    if (at != end || !std::isfinite(value)) return std::nullopt;
    return value;
  }
  const std::string_view mantissa = text.substr(0, text.find_first_of("eE"));
  const bool zero = mantissa.find_first_of("123456789") == mantissa.npos;
  if (zero || decimal_magnitude(text) < 0) return text.starts_with('-') ? -0.0 : 0.0;
  return std::nullopt;
}

}  // namespace

bool number_well_formed(std::string_view text) noexcept {
  if (text.starts_with('-')) text.remove_prefix(1);
  if (text.size() > 1 && text[0] == '0' && is_digit(text[1])) return false;
  if (!take_digits(text)) return false;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    if (!take_digits(text)) return false;
  }
  if (text.starts_with('e') || text.starts_with('E')) {
    text.remove_prefix(1);
    if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
    if (!take_digits(text)) return false;
  }
  return text.empty();
}

std::optional<std::int64_t> parse_int64(std::string_view text) noexcept {
  return whole<std::int64_t>(text);
}

std::optional<std::uint64_t> parse_uint64(std::string_view text) noexcept {
  return whole<std::uint64_t>(text);
}

std::optional<double> parse_double(std::string_view text) noexcept {
  if (!number_well_formed(text)) return std::nullopt;
  return to_double(text);
}

std::optional<Number> parse_number(std::string_view text) noexcept {
  if (!number_well_formed(text)) return std::nullopt;
  Number number;
  if (!is_integer(text)) {
    const auto real = to_double(text);
    if (!real) return std::nullopt;
    number.kind = Number::Kind::real;
    number.real = *real;
    return number;
  }
  if (const auto integer = parse_int64(text)) {
    number.integer = *integer;
    number.unsigned_integer = static_cast<std::uint64_t>(*integer);
    number.real = static_cast<double>(*integer);
    return number;
  }
  const auto large = parse_uint64(text);
  if (!large) return std::nullopt;
  number.kind = Number::Kind::uint64;
  number.unsigned_integer = *large;
  number.real = static_cast<double>(*large);
  return number;
}

}  // namespace tocsin::json
