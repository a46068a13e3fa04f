#pragma once
// Bodies of HTTP/1.1 messages: the chunked coding (RFC 9112 section 7.1) and their collection.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/byte_buffer.hpp"

namespace tocsin::http {

/// Takes the chunked coding off, strictly: CRLF only, plain hexadecimal sizes, extensions and
/// trailers checked, skipped, and bounded together.
class ChunkedDecoder {
 public:
  enum class Status : std::uint8_t { more, data, done, failed, too_large };
  struct Step {
    Status status = Status::more;
    std::size_t consumed = 0;
    std::string_view data{};  ///< With `data`: a piece of the body, inside the bytes given.
  };

  /// Small enough that a chunk size cannot wrap around while its digits are read.
  static constexpr std::size_t data_unlimited = SIZE_MAX >> 8U;

  /// `data_max`: bytes of data that all chunks may have together; data_unlimited at most.
  void start(std::size_t data_max, std::size_t extra_max) noexcept;
  /// One step. Call again with the rest after `data`.
  [[nodiscard]] Step feed(std::string_view bytes) noexcept;

 private:
  enum class State : std::uint8_t {
    size_first,
    size,
    extension,
    size_lf,
    data,
    data_cr,
    data_lf,
    trailer_first,
    trailer_name,
    trailer,
    trailer_lf,
    end_lf,
  };
  [[nodiscard]] Status take(char c) noexcept;
  [[nodiscard]] Status take_size(char c) noexcept;
  [[nodiscard]] Status take_trailer_name(char c) noexcept;
  [[nodiscard]] Status take_extra(char c, State at_cr) noexcept;

  State state_ = State::size_first;
  std::uint64_t chunk_ = 0;
  std::size_t data_left_ = 0;
  std::size_t extra_left_ = 0;
};

/// A body: a view where it lies in one piece in the caller's bytes, else a copy.
class BodyCollector {
 public:
  explicit BodyCollector(ByteBudget* budget) noexcept : buffer_(budget) {}
  /// False when the budget is used up.
  [[nodiscard]] bool add(std::string_view piece) noexcept;
  /// Copies what still stands in the caller's bytes.
  [[nodiscard]] bool keep() noexcept;
  void reset() noexcept;
  void release() noexcept;
  [[nodiscard]] std::string_view view() const noexcept {
    return buffer_.empty() ? in_place_ : buffer_.view();
  }
  [[nodiscard]] std::size_t size() const noexcept { return view().size(); }
  [[nodiscard]] std::size_t capacity() const noexcept { return buffer_.capacity(); }

 private:
  std::string_view in_place_;
  ByteBuffer buffer_;
};

}  // namespace tocsin::http
