#pragma once
// The head of an HTTP/1.x message (RFC 9112 sections 2 to 5): finding its end, splitting it into
// header fields, and the strictness that keeps requests from being smuggled.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/byte_buffer.hpp"

namespace tocsin::http {

inline constexpr std::size_t headers_max = 100;
/// Offsets into a head are 16 bits.
inline constexpr std::size_t head_size_limit = 65'535;

/// Why a message was refused. Closed set: a metric label.
enum class ParseError : std::uint8_t {
  none,
  head_too_large,
  headers_too_many,
  line_ending,    ///< CR or LF that is not CRLF.
  folded_header,  ///< obs-fold, RFC 9112 section 5.2.
  syntax,
  version,  ///< Neither HTTP/1.0 nor HTTP/1.1.
  connect,  ///< CONNECT: we are no proxy.
  target,
  host,             ///< Missing in HTTP/1.1, or given twice.
  framing,          ///< Content-Length and Transfer-Encoding, either twice, or a bad length.
  transfer_coding,  ///< Anything but exactly "chunked".
  body_too_large,
  chunk,      ///< Bad chunk, or too much of extensions or trailers.
  truncated,  ///< The peer closed inside a message.
  interim,    ///< Too many 1xx responses, or 101.
  memory,     ///< The byte budget is used up.
};
inline constexpr std::size_t parse_error_count = static_cast<std::size_t>(ParseError::memory) + 1;
[[nodiscard]] std::string_view to_string(ParseError error) noexcept;

struct Limits {
  std::size_t head_size_max = 16 * 1024;  ///< At most head_size_limit.
  std::size_t body_size_max = 1024 * 1024;
  std::size_t chunk_extra_max = 2048;  ///< Chunk extensions and trailers of one message together.
};

struct Header {
  std::string_view name;
  std::string_view value;
};

/// Fields that every request is asked for: they are found while the head is read.
enum class Field : std::uint8_t {
  authorization,
  content_encoding,
  content_length,
  content_type,
  expect,
  host,
  origin,
  tocsin_ack,
  traceparent,
  transfer_encoding,
};
inline constexpr std::size_t field_count = 10;

/// The header fields of one message, as offsets into its head.
class Headers {
 public:
  [[nodiscard]] std::size_t size() const noexcept { return count_; }
  [[nodiscard]] Header at(std::size_t index) const noexcept;
  /// The first field with this name, in any case.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const noexcept;
  /// The same at once.
  [[nodiscard]] std::optional<std::string_view> find(Field field) const noexcept {
    const Known& known = known_[static_cast<std::size_t>(field)];
    if (known.count == 0) return std::nullopt;
    return at(known.first).value;
  }
  /// Takes over the fields of `other`, whose head stands at `base` as well.
  void copy(const Headers& other, const char* base) noexcept;
  /// How often the field is given.
  [[nodiscard]] std::size_t count(Field field) const noexcept {
    return known_[static_cast<std::size_t>(field)].count;
  }

 private:
  friend class HeadBuilder;
  friend class HeadReader;
  struct Entry {
    std::uint16_t name_at;
    std::uint16_t name_size;
    std::uint16_t value_at;
    std::uint16_t value_size;
  };
  const char* base_ = nullptr;
  struct Known {
    std::uint8_t first = 0;
    std::uint8_t count = 0;
  };
  void note(Field field, std::size_t index) noexcept;

  std::uint32_t count_ = 0;
  std::array<Known, field_count> known_{};
  std::array<Entry, headers_max> entries_;
};

/// What the start line and the framing fields say.
struct HeadInfo {
  std::uint8_t method = 0;   ///< llhttp's number; requests only.
  std::uint16_t status = 0;  ///< Responses only.
  bool http11 = false;
  bool keep_alive = false;
  bool chunked = false;
  bool has_length = false;
  std::uint64_t length = 0;
  std::uint16_t target_at = 0;
  std::uint16_t target_size = 0;
};

enum class HeadKind : std::uint8_t { request, response };

/// Collects one head, in place where it arrives in one piece.
class HeadReader {
 public:
  HeadReader(HeadKind kind, std::size_t size_max, ByteBudget* budget) noexcept;

  struct Step {
    std::size_t consumed = 0;
    bool complete = false;
    ParseError error = ParseError::none;
  };
  /// Takes bytes up to the end of the head. When complete, headers() and info() are set and stay
  /// valid as long as the bytes do, or beyond that after keep().
  [[nodiscard]] Step feed(std::string_view bytes) noexcept;
  /// Takes a copy of a head that has been read, as if it had read it. As keep().
  [[nodiscard]] bool assume(std::string_view head, const Headers& headers,
                            const HeadInfo& info) noexcept;
  /// Copies a head that stands in the caller's bytes. False when the budget is used up.
  [[nodiscard]] bool keep() noexcept;
  void reset() noexcept;
  /// Also gives memory back.
  void release() noexcept;

  [[nodiscard]] const Headers& headers() const noexcept { return headers_; }
  [[nodiscard]] const HeadInfo& info() const noexcept { return info_; }
  [[nodiscard]] std::string_view text() const noexcept { return head_; }
  [[nodiscard]] std::string_view target() const noexcept;
  [[nodiscard]] bool started() const noexcept { return scan_at_ > 0; }
  [[nodiscard]] std::size_t capacity() const noexcept { return buffer_.capacity(); }

 private:
  enum class Scan : std::uint8_t { more, complete, failed };
  [[nodiscard]] Scan scan(std::string_view region) noexcept;
  [[nodiscard]] bool check_line(std::string_view line) noexcept;
  [[nodiscard]] bool may_be_start(std::string_view line) const noexcept;
  [[nodiscard]] Step finish(std::string_view head, std::size_t consumed) noexcept;

  HeadKind kind_;
  std::size_t size_max_;
  ByteBuffer buffer_;
  std::string_view head_;
  bool in_place_ = false;
  std::size_t start_ = 0;    // After an ignored empty line.
  std::size_t line_at_ = 0;  // Where the current line begins.
  std::size_t scan_at_ = 0;  // Up to where LF has been looked for.
  ParseError error_ = ParseError::none;
  Headers headers_;
  HeadInfo info_;
};

}  // namespace tocsin::http
