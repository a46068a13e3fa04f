#include "stages/decode/time_text.hpp"

#include <chrono>

#include "protocol/json/number.hpp"

namespace tocsin::decode {
namespace {

// Takes exactly `size` digits off the front; negative when they are not there.
int take_digits(std::string_view& rest, std::size_t size) noexcept {
  if (rest.size() < size) return -1;
  int value = 0;
  for (const char c : rest.substr(0, size)) {
    if (c < '0' || c > '9') return -1;
    value = value * 10 + (c - '0');
  }
  rest.remove_prefix(size);
  return value;
}

bool take(std::string_view& rest, std::string_view any_of) noexcept {
  if (rest.empty() || any_of.find(rest.front()) == any_of.npos) return false;
  rest.remove_prefix(1);
  return true;
}

std::optional<std::int64_t> take_fraction_us(std::string_view& rest) noexcept {
  if (!take(rest, ".")) return 0;
  std::int64_t value = 0;
  std::size_t digits = 0;
  for (; !rest.empty() && rest.front() >= '0' && rest.front() <= '9'; rest.remove_prefix(1)) {
    if (++digits <= 6) value = value * 10 + (rest.front() - '0');
  }
  if (digits == 0) return std::nullopt;
  for (; digits < 6; ++digits) value *= 10;
  return value;
}

// Minutes east of UTC.
std::optional<int> take_offset(std::string_view& rest) noexcept {
  if (take(rest, "Zz")) return 0;
  const bool west = rest.starts_with('-');
  if (!take(rest, "+-")) return std::nullopt;
  const int hours = take_digits(rest, 2);
  if (hours < 0 || hours > 23 || !take(rest, ":")) return std::nullopt;
  const int minutes = take_digits(rest, 2);
  if (minutes < 0 || minutes > 59) return std::nullopt;
  return (west ? -1 : 1) * (hours * 60 + minutes);
}

}  // namespace

std::optional<std::int64_t> parse_rfc3339(std::string_view text) noexcept {
  namespace chrono = std::chrono;
  const int year = take_digits(text, 4);
  if (year < 0 || !take(text, "-")) return std::nullopt;
  const int month = take_digits(text, 2);
  if (month < 0 || !take(text, "-")) return std::nullopt;
  const int day = take_digits(text, 2);
  if (day < 0 || !take(text, "Tt ")) return std::nullopt;
  const int hour = take_digits(text, 2);
  if (hour < 0 || hour > 23 || !take(text, ":")) return std::nullopt;
  const int minute = take_digits(text, 2);
  if (minute < 0 || minute > 59 || !take(text, ":")) return std::nullopt;
  const int second = take_digits(text, 2);
  if (second < 0 || second > 60) return std::nullopt;
  const auto fraction_us = take_fraction_us(text);
  if (!fraction_us) return std::nullopt;
  const auto offset = take_offset(text);
  if (!offset || !text.empty()) return std::nullopt;
  const chrono::year_month_day date{chrono::year{year}, chrono::month{static_cast<unsigned>(month)},
                                    chrono::day{static_cast<unsigned>(day)}};
  if (!date.ok()) return std::nullopt;
  const std::int64_t days = chrono::sys_days{date}.time_since_epoch().count();
  const std::int64_t seconds = ((days * 24 + hour) * 60 + minute - *offset) * 60 + second;
  return seconds * 1'000'000 + *fraction_us;
}

std::optional<std::int64_t> parse_epoch(std::string_view number) noexcept {
  constexpr double milliseconds_from = 1e11;  // As seconds: the year 5138.
  constexpr double milliseconds_to = 1e14;
  const auto value = json::parse_double(number);
  if (!value || *value < 0 || *value >= milliseconds_to) return std::nullopt;
  return static_cast<std::int64_t>(*value * (*value < milliseconds_from ? 1e6 : 1e3));
}

}  // namespace tocsin::decode
