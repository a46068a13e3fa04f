#pragma once
// Bounded reading and writing of MQTT's data types (section 1.5). Neither ever touches a byte
// outside its span: a reader that runs out turns bad, a writer that runs out stops storing.

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "protocol/mqtt/types.hpp"

namespace tocsin::mqtt {

[[nodiscard]] constexpr std::size_t varint_size(std::uint32_t value) noexcept {
  return value < 128 ? 1 : value < 16'384 ? 2 : value < 2'097'152 ? 3 : 4;
}

/// Cursor over a packet's bytes. After the first failed read `bad()` holds and every read yields
/// zero or an empty view, so that callers may check once at the end of a group of reads.
class Reader {
 public:
  explicit Reader(std::string_view bytes) noexcept : rest_(bytes) {}

  [[nodiscard]] bool bad() const noexcept { return bad_; }
  [[nodiscard]] bool at_end() const noexcept { return rest_.empty(); }
  [[nodiscard]] std::string_view rest() const noexcept { return rest_; }

  std::uint8_t u8() noexcept {
    const std::string_view bytes = take(1);
    return bytes.empty() ? std::uint8_t{0} : static_cast<std::uint8_t>(bytes[0]);
  }
  std::uint16_t u16() noexcept {
    const std::string_view bytes = take(2);
    if (bytes.empty()) return 0;
    return static_cast<std::uint16_t>(static_cast<std::uint8_t>(bytes[0]) << 8U |
                                      static_cast<std::uint8_t>(bytes[1]));
  }
  std::uint32_t u32() noexcept {
    const std::uint32_t high = u16();
    return high << 16U | u16();
  }
  /// Variable Byte Integer (section 1.5.5): at most four bytes, and as few as possible.
  std::uint32_t varint() noexcept {
    std::uint32_t value = 0;
    for (std::uint32_t i = 0; i < 4; ++i) {
      const std::uint8_t byte = u8();
      value |= (byte & 0x7FU) << (7U * i);
      if (byte < 0x80) {
        if (i > 0 && byte == 0) fail();
        return bad_ ? 0 : value;
      }
    }
    fail();
    return 0;
  }
  /// Two-byte length, then that many bytes: Binary Data (1.5.6), or a string (1.5.4) whose UTF-8
  /// the caller checks.
  std::string_view sized() noexcept { return take(u16()); }
  std::string_view take(std::size_t size) noexcept {
    if (size > rest_.size()) {
      fail();
      return {};
    }
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return bytes;
  }
  /// Steps over the next byte if it is `byte`.
  bool skip(char byte) noexcept {
    if (rest_.empty() || rest_[0] != byte) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::string_view take_rest() noexcept { return take(rest_.size()); }

 private:
  void fail() noexcept {
    bad_ = true;
    rest_ = {};
  }
  std::string_view rest_;
  bool bad_ = false;
};

/// Appends to a span. Over its end nothing is stored but size() still grows, so that a writer over
/// an empty span measures.
class Writer {
 public:
  Writer() = default;
  explicit Writer(std::span<char> out) noexcept : out_(out) {}

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool overflowed() const noexcept { return size_ > out_.size(); }

  void u8(std::uint8_t value) noexcept {
    if (size_ < out_.size()) out_[size_] = static_cast<char>(value);
    ++size_;
  }
  void u16(std::uint16_t value) noexcept {
    u8(static_cast<std::uint8_t>(value >> 8U));
    u8(static_cast<std::uint8_t>(value & 0xFFU));
  }
  void u32(std::uint32_t value) noexcept {
    u16(static_cast<std::uint16_t>(value >> 16U));
    u16(static_cast<std::uint16_t>(value & 0xFFFFU));
  }
  void varint(std::uint32_t value) noexcept {
    assert(value <= remaining_length_max);
    do {
      const auto low = static_cast<std::uint8_t>(value & 0x7FU);
      value >>= 7U;
      u8(value > 0 ? static_cast<std::uint8_t>(low | 0x80U) : low);
    } while (value > 0);
  }
  void raw(std::string_view bytes) noexcept {
    if (!bytes.empty() && size_ + bytes.size() <= out_.size()) {
      std::memcpy(out_.data() + size_, bytes.data(), bytes.size());
    }
    size_ += bytes.size();
  }
  void sized(std::string_view bytes) noexcept {
    assert(bytes.size() <= UINT16_MAX);
    u16(static_cast<std::uint16_t>(bytes.size()));
    raw(bytes);
  }

 private:
  std::span<char> out_;
  std::size_t size_ = 0;
};

}  // namespace tocsin::mqtt
