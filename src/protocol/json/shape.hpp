#pragma once
// Devices say the same thing again and again with other values. A shape is what such documents have
// in common, byte for byte: a document that has it is valid where its values are, and its values
// stand where the shape says. No token of it is looked for.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/json/validator.hpp"

namespace tocsin::json {

/// Values of one document of a shape.
inline constexpr std::size_t shape_values_max = 32;
/// Bytes of one document of a shape.
inline constexpr std::size_t shape_size_max = 2048;
/// Keys in one document of a shape.
inline constexpr std::size_t shape_keys_max = 48;
/// What a shape takes of memory: its text, its keys once more, and what says where they are.
inline constexpr std::size_t shape_cost_max = 2 * shape_size_max + 48 * shape_keys_max;

/// Where a value begins in its document (a string: behind its quote), and whether it is a string
/// that holds an escape.
class ValueStart {
 public:
  ValueStart() = default;
  constexpr ValueStart(std::size_t offset, bool escaped) noexcept
      : bits_(static_cast<std::uint16_t>(offset | (escaped ? escaped_bit : 0U))) {}
  [[nodiscard]] constexpr std::size_t offset() const noexcept { return bits_ & ~escaped_bit; }
  [[nodiscard]] constexpr bool escaped() const noexcept { return (bits_ & escaped_bit) != 0; }

 private:
  static constexpr std::uint16_t escaped_bit = 0x8000;
  std::uint16_t bits_ = 0;
};
static_assert(shape_size_max < 0x8000);

/// Immutable: any thread.
class Shape {
 public:
  enum class ValueKind : std::uint8_t {
    string,
    number,
    word,  ///< true, false or null.
  };
  /// A key, and the one of the object that it stands in.
  struct Key {
    std::uint8_t parent = no_key;
    std::string text;
  };
  static constexpr std::uint8_t no_key = 0xFF;
  /// One value, and the key that it stands behind, itself or in an array.
  struct Member {
    ValueKind kind = ValueKind::word;
    std::uint8_t key = no_key;
  };
  /// The first bytes of its documents, at most eight.
  struct Head {
    std::uint64_t bytes = 0;
    std::uint64_t mask = 0;
    /// Whether a document could be of this shape, by its first eight bytes.
    [[nodiscard]] bool may_begin(std::uint64_t head) const noexcept {
      return (head & mask) == bytes;
    }
  };

  /// What a valid document of at most shape_size_max bytes has in common with others. Nothing when
  /// it is no object, has no value, too many values or keys, or holds what a list of values cannot
  /// say: an object or array inside an array, a key twice, a key with an escape.
  [[nodiscard]] static std::optional<Shape> of(const Document& document);

  /// Whether `text`, which json_padding readable bytes follow, is a valid document of this shape;
  /// then `starts` (shape_values_max) tells where its values are. False says nothing about it.
  /// What `starts` held before is where they are expected: those of the last document are best.
  [[nodiscard]] bool read(std::string_view text, ValueStart* starts) const noexcept;

  [[nodiscard]] std::span<const Member> members() const noexcept { return members_; }
  /// The keys that lead to a value from the root, without the elements of arrays.
  [[nodiscard]] std::vector<std::string_view> path(const Member& member) const;
  [[nodiscard]] const Head& head() const noexcept { return head_; }
  /// The text of a value in a document that was read: a string's between its quotes.
  [[nodiscard]] std::string_view value(std::string_view text, const ValueStart* starts,
                                       std::size_t index) const noexcept {
    const std::size_t begin = starts[index].offset();
    const std::size_t next =
        index + 1 == members_.size() ? text.size() : starts[index + 1].offset();
    return {text.data() + begin, next - gaps_[index + 1] - begin};
  }

 private:
  class Learner;
  Shape() = default;

  // What stands between the values, one after the other, and how many bytes each of it takes: in
  // front of the first value, between two, and behind the last.
  std::string fixed_;
  std::vector<std::uint16_t> gaps_;
  std::vector<Member> members_;
  std::vector<Key> keys_;
  Head head_;
};

}  // namespace tocsin::json
