#include "control/config/units.hpp"

#include <array>
#include <charconv>
#include <limits>

#include <fmt/format.h>

namespace tocsin::config {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t factor;
};
// Largest first, so that formatting finds the shortest form.
constexpr std::array duration_units{Unit{"d", 86'400'000}, Unit{"h", 3'600'000}, Unit{"m", 60'000},
                                    Unit{"s", 1'000}, Unit{"ms", 1}};
constexpr std::array byte_units{Unit{"TiB", 1LL << 40},
                                Unit{"GiB", 1LL << 30},
                                Unit{"MiB", 1LL << 20},
                                Unit{"KiB", 1LL << 10},
                                Unit{"TB", 1'000'000'000'000},
                                Unit{"GB", 1'000'000'000},
                                Unit{"MB", 1'000'000},
                                Unit{"kB", 1'000},
                                Unit{"KB", 1'000},
                                Unit{"B", 1}};

std::optional<std::int64_t> take_number(std::string_view& text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || number < 0) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

std::optional<std::int64_t> scaled(std::int64_t number, std::int64_t factor) {
  if (number > std::numeric_limits<std::int64_t>::max() / factor) return std::nullopt;
  return number * factor;
}

}  // namespace

std::optional<std::int64_t> parse_duration_ms(std::string_view text) {
  if (text.empty()) return std::nullopt;
  std::int64_t total = 0;
  while (!text.empty()) {
    const auto number = take_number(text);
    if (!number) return std::nullopt;
    const std::size_t unit_size = std::min(text.find_first_of("0123456789"), text.size());
    const std::string_view name = text.substr(0, unit_size);
    text.remove_prefix(unit_size);
    std::optional<std::int64_t> part;
    for (const Unit& unit : duration_units) {
      if (unit.name == name) part = scaled(*number, unit.factor);
    }
    if (!part || total > std::numeric_limits<std::int64_t>::max() - *part) return std::nullopt;
    total += *part;
  }
  return total;
}

std::optional<std::int64_t> parse_bytes(std::string_view text) {
  const auto number = take_number(text);
  if (!number) return std::nullopt;
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  if (text.empty()) return number;
  for (const Unit& unit : byte_units) {
    if (unit.name == text) return scaled(*number, unit.factor);
  }
  return std::nullopt;
}

std::string format_bytes(std::int64_t bytes) {
  for (const Unit& unit : byte_units) {
    const bool binary = unit.factor >= 1024 && (unit.factor & (unit.factor - 1)) == 0;
    if (binary && bytes != 0 && bytes % unit.factor == 0) {
      return fmt::format("{}{}", bytes / unit.factor, unit.name);
    }
  }
  return fmt::format("{}B", bytes);
}

std::string format_duration_ms(std::int64_t ms) {
  if (ms == 0) return "0ms";
  std::string text;
  for (const Unit& unit : duration_units) {
    if (ms >= unit.factor) text += fmt::format("{}{}", ms / unit.factor, unit.name);
    ms %= unit.factor;
  }
  return text;
}

}  // namespace tocsin::config
