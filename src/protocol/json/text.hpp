#pragma once
// JSON strings: from escapes to bytes and back.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace tocsin::json {

/// Yields the characters of a validated string piece by piece.
class Unescaper {
 public:
  /// `raw`: between the quotes, escapes as written.
  explicit Unescaper(std::string_view raw) noexcept : rest_(raw) {}
  /// Writes the next 1 to 4 bytes and returns how many; 0 at the end. A lone surrogate or broken
  /// escape (which validation refuses) becomes U+FFFD.
  [[nodiscard]] std::size_t next(std::array<char, 4>& piece) noexcept;

 private:
  std::string_view rest_;
};

/// `raw` itself when it holds no escape; else its characters in `buffer`; nothing when that is too
/// small (raw.size() bytes always suffice).
[[nodiscard]] std::optional<std::string_view> unescape(std::string_view raw,
                                                       std::span<char> buffer) noexcept;

/// What to do with bytes that are not UTF-8.
enum class InvalidUtf8 : std::uint8_t {
  refuse,
  replace,  ///< Each byte that begins no valid sequence becomes U+FFFD.
};

/// Appends `text` as the inside of a JSON string (no quotes). False, with `out` unchanged, when the
/// text is not UTF-8 and the policy refuses it. One byte becomes six at most.
[[nodiscard]] bool append_escaped(std::string& out, std::string_view text,
                                  InvalidUtf8 policy = InvalidUtf8::refuse);
/// Appends `text` as a JSON string with its quotes; what is not UTF-8 in it is replaced.
void append_string(std::string& out, std::string_view text);
/// As append_escaped, into a buffer: bytes written, or nothing when it is too small or the policy
/// refuses.
[[nodiscard]] std::optional<std::size_t> write_escaped(
    std::span<char> out, std::string_view text, InvalidUtf8 policy = InvalidUtf8::refuse) noexcept;

}  // namespace tocsin::json
