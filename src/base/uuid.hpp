#pragma once
// UUID text and version 7 generation.

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include <tocsin/event.hpp>
#include <tocsin/time.hpp>

namespace tocsin {

using UuidText = std::array<char, 36>;

/// Canonical lower-case text, 8-4-4-4-12.
[[nodiscard]] UuidText uuid_text(std::uint64_t hi, std::uint64_t lo) noexcept;
inline std::string_view view(const UuidText& text) noexcept { return {text.data(), text.size()}; }

/// Parses canonical text (either case).
[[nodiscard]] std::optional<EventId> uuid_parse(std::string_view text) noexcept;

/// Generates UUIDv7 (RFC 9562 section 5.7): 48 bits of wall milliseconds, then a counter that makes
/// ids of one generator increase (section 6.2 method 1), then random bits. One thread.
class Uuid7Generator {
 public:
  explicit Uuid7Generator(std::uint64_t seed) noexcept : random_state_(seed | 1U) {}
  [[nodiscard]] EventId next(WallTime now) noexcept;

 private:
  [[nodiscard]] std::uint64_t next_random() noexcept;
  std::uint64_t random_state_;
  std::uint64_t last_ms_ = 0;
  std::uint32_t counter_ = 0;
};

}  // namespace tocsin
