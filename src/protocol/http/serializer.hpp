#pragma once
// Writing HTTP/1.1 response heads.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <tocsin/time.hpp>

#include "base/byte_buffer.hpp"

namespace tocsin::http {

[[nodiscard]] std::string_view reason_phrase(std::uint16_t status) noexcept;

/// The Date field's value (RFC 9110 section 5.6.7), made anew once a second.
class DateCache {
 public:
  static constexpr std::size_t size = 29;  // "Sun, 06 Nov 1994 08:49:37 GMT"
  /// The view is valid until the next call.
  [[nodiscard]] std::string_view at(WallTime now) noexcept;

 private:
  std::int64_t second_ = INT64_MIN;
  std::array<char, size> text_{};
};

enum class Persistence : std::uint8_t {
  implied,     ///< HTTP/1.1, goes on: no field needed.
  keep_alive,  ///< HTTP/1.0 that asked for it.
  close,
};

struct ResponseHead {
  std::uint16_t status = 200;
  std::string_view content_type{};  ///< Empty: no such field.
  std::uint64_t content_length = 0;
  Persistence persistence = Persistence::implied;
  std::string_view date{};   ///< Empty: no such field (a clock that nobody trusts).
  std::string_view extra{};  ///< Further fields, each ended by CRLF. Trusted text only.
};

/// The head of a response that is sent often, as append_head() writes it: made once, up to the
/// length.
class PreparedHead {
 public:
  void make(std::uint16_t status, std::string_view content_type, std::string_view date);
  [[nodiscard]] bool is_of(std::string_view date) const noexcept {
    return size_ > 0 && date == std::string_view(date_.data(), date_size_);
  }
  /// Appends a whole response. False when the buffer's budget is used up (nothing appended).
  [[nodiscard]] bool append(ByteBuffer& out, std::string_view body) const noexcept;

 private:
  std::array<char, 160> text_{};
  std::size_t size_ = 0;
  std::array<char, DateCache::size> date_{};
  std::size_t date_size_ = 0;
};

/// Appends status line and fields. False when the buffer's budget is used up (nothing appended).
[[nodiscard]] bool append_head(ByteBuffer& out, const ResponseHead& head) noexcept;

}  // namespace tocsin::http
