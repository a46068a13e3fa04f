#include "stages/match/decimal.hpp"

#include <algorithm>
#include <array>
#include <cassert>

namespace tocsin::match {
namespace {
constexpr int digits_max = 19;
// Far beyond any exponent that decode lets through, yet safe to add to.
constexpr std::int64_t exponent_limit = 1'000'000'000;

constexpr auto powers_of_ten = [] {
  std::array<std::uint64_t, digits_max + 1> powers{};
  powers[0] = 1;
  for (std::size_t i = 1; i < powers.size(); ++i) powers[i] = powers[i - 1] * 10;
  return powers;
}();

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

std::int64_t parse_exponent(std::string_view text) noexcept {
  bool negative = false;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  std::int64_t value = 0;
  for (const char c : text) value = std::min(value * 10 + (c - '0'), exponent_limit);
  return negative ? -value : value;
}

/// Yields the significant digits of a token, from the first that is not 0; then zeros for ever.
class Digits {
 public:
  explicit Digits(std::string_view token) noexcept
      : rest_(token.substr(0, token.find_first_of("eE"))) {
    while (!rest_.empty() && (rest_[0] < '1' || rest_[0] > '9')) rest_.remove_prefix(1);
  }
  [[nodiscard]] bool done() const noexcept { return rest_.empty(); }
  [[nodiscard]] char next() noexcept {
    if (!rest_.empty() && rest_[0] == '.') rest_.remove_prefix(1);
    if (rest_.empty()) return '0';
    const char digit = rest_[0];
    rest_.remove_prefix(1);
    return digit;
  }

 private:
  std::string_view rest_;
};

std::strong_ordering compare_digits(std::string_view a, std::string_view b) noexcept {
  Digits left(a);
  Digits right(b);
  while (!left.done() || !right.done()) {
    const auto order = left.next() <=> right.next();
    if (order != 0) return order;
  }
  return std::strong_ordering::equal;
}

std::strong_ordering reversed_if(bool reverse, std::strong_ordering order) noexcept {
  return reverse ? 0 <=> order : order;
}
}  // namespace

Decimal parse_decimal(std::string_view token) noexcept {
  Decimal number;
  number.token = token;
  std::size_t at = 0;
  const bool negative = !token.empty() && token[0] == '-';
  if (negative) ++at;
  std::int64_t first_exponent = -1;  // Of the first significant digit.
  bool in_fraction = false;
  int count = 0;
  for (; at < token.size(); ++at) {
    const char c = token[at];
    if (c == '.') {
      in_fraction = true;
      continue;
    }
    if (!is_digit(c)) break;
    if (count == 0 && c == '0') {
      if (in_fraction) --first_exponent;
      continue;
    }
    if (count < digits_max) {
      number.mantissa = number.mantissa * 10 + static_cast<std::uint64_t>(c - '0');
    } else if (c != '0') {
      number.truncated = true;
    }
    if (!in_fraction) ++first_exponent;
    ++count;
  }
  if (number.mantissa == 0) return number;
  if (count < digits_max) {
    number.mantissa *= powers_of_ten[static_cast<std::size_t>(digits_max - count)];
  }
  if (at < token.size()) first_exponent += parse_exponent(token.substr(at + 1));
  number.exponent =
      static_cast<std::int32_t>(std::clamp(first_exponent, -exponent_limit, exponent_limit));
  number.negative = negative;
  return number;
}

std::strong_ordering compare_leading(const Decimal& a, const Decimal& b) noexcept {
  if (a.negative != b.negative) {
    return a.negative ? std::strong_ordering::less : std::strong_ordering::greater;
  }
  // Zero has no first digit; its exponent says nothing.
  if (a.mantissa == 0 || b.mantissa == 0) {
    return reversed_if(a.negative, a.mantissa <=> b.mantissa);
  }
  if (a.exponent != b.exponent) return reversed_if(a.negative, a.exponent <=> b.exponent);
  return reversed_if(a.negative, a.mantissa <=> b.mantissa);
}

std::strong_ordering compare(const Decimal& a, const Decimal& b) noexcept {
  const auto order = compare_leading(a, b);
  if (order != 0 || (!a.truncated && !b.truncated)) return order;
  return reversed_if(a.negative, compare_digits(a.token, b.token));
}

}  // namespace tocsin::match
