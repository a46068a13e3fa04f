#pragma once
// Reads an already validated document by the offsets that StructuralScanner or Validator found:
// nothing is parsed that nobody asks for, and nothing is checked twice. On a text that was not
// validated the behaviour is undefined.
//
// Duplicate keys: the last one counts, as in most parsers (RFC 8259 section 4 leaves it open).

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

namespace tocsin::json {

enum class Kind : std::uint8_t { object, array, string, number, boolean, null };

[[nodiscard]] constexpr bool is_space(char c) noexcept {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/// Whether `raw` (a string between its quotes, escapes as written) stands for `name`.
[[nodiscard]] bool string_equals(std::string_view raw, std::string_view name) noexcept;

/// One value. A view of text and indexes: two pointers, to be copied freely.
class Value {
 public:
  /// `base`: what the indexes count from. `at`: index of the value's first byte; the indexes of
  /// the whole value and one more are readable.
  Value(const char* base, const std::uint32_t* at) noexcept : base_(base), at_(at) {}
  /// The root of a document. `document`: its indexes, not empty.
  Value(const char* base, std::span<const std::uint32_t> document) noexcept
      : base_(base), at_(document.data()) {
    assert(!document.empty());
  }

  [[nodiscard]] Kind kind() const noexcept {
    switch (first()) {
      case '{':
        return Kind::object;
      case '[':
        return Kind::array;
      case '"':
        return Kind::string;
      case 't':
      case 'f':
        return Kind::boolean;
      case 'n':
        return Kind::null;
      default:
        return Kind::number;
    }
  }
  /// Offset of the value's first byte from `base`.
  [[nodiscard]] std::uint32_t offset() const noexcept { return *at_; }
  [[nodiscard]] const std::uint32_t* at() const noexcept { return at_; }
  [[nodiscard]] const char* base() const noexcept { return base_; }
  /// The index after this value. Time linear in the tokens of a container, constant else.
  [[nodiscard]] const std::uint32_t* after() const noexcept {
    return first() == '{' || first() == '[' ? after_container() : at_ + 1;
  }
  /// The value's text as written, without surrounding space. Time as after().
  [[nodiscard]] std::string_view text() const noexcept {
    const std::uint32_t* const next = after();
    std::uint32_t end = first() == '{' || first() == '[' ? next[-1] + 1 : *next;
    while (is_space(base_[end - 1])) --end;
    return {base_ + *at_, end - *at_};
  }
  /// kind() == string: what stands between the quotes, escapes as written.
  [[nodiscard]] std::string_view raw_string() const noexcept {
    assert(first() == '"');
    std::uint32_t end = at_[1];
    while (base_[end - 1] != '"') --end;
    return {base_ + *at_ + 1, end - *at_ - 2};
  }
  [[nodiscard]] bool string_is(std::string_view wanted) const noexcept {
    return first() == '"' && string_equals(raw_string(), wanted);
  }
  /// kind() == boolean.
  [[nodiscard]] bool boolean() const noexcept { return first() == 't'; }
  /// The member of an object with this key (the last, if there are several), or nothing; also
  /// nothing when this is not an object.
  [[nodiscard]] std::optional<Value> find(std::string_view key) const noexcept;

 private:
  [[nodiscard]] char first() const noexcept { return base_[*at_]; }
  [[nodiscard]] const std::uint32_t* after_container() const noexcept;

  const char* base_;
  const std::uint32_t* at_;
};

/// Iterates an object:
///   for (Members m(object); m.next();) use(m.key(), m.value());
class Members {
 public:
  /// `object`.kind() == object.
  explicit Members(Value object) noexcept : base_(object.base()), next_(object.at() + 1) {
    assert(object.kind() == Kind::object);
  }
  /// Moves to the next member, skipping the present value; false at the end of the object.
  [[nodiscard]] bool next() noexcept {
    if (key_ != nullptr && next_ == nullptr) next_ = value().after();
    if (base_[*next_] == ',') ++next_;
    if (base_[*next_] == '}') return false;
    key_ = next_;
    next_ = nullptr;
    return true;
  }
  /// The present member's key between its quotes, escapes as written.
  [[nodiscard]] std::string_view key() const noexcept { return Value(base_, key_).raw_string(); }
  [[nodiscard]] bool key_equals(std::string_view name) const noexcept {
    return string_equals(key(), name);
  }
  [[nodiscard]] Value value() const noexcept { return {base_, key_ + 2}; }
  /// Tells where the present value ends, so that next() need not skip it again. For callers that
  /// walked it: pass after() of the inner iterator.
  void walked(const std::uint32_t* after) noexcept { next_ = after; }
  /// The index after the object. Only once next() returned false.
  [[nodiscard]] const std::uint32_t* after() const noexcept { return next_ + 1; }

 private:
  const char* base_;
  const std::uint32_t* key_ = nullptr;
  const std::uint32_t* next_;  // Where the next member or the end is; null when not known yet.
};

/// Iterates an array: for (Elements e(array); e.next();) use(e.value());
class Elements {
 public:
  /// `array`.kind() == array.
  explicit Elements(Value array) noexcept : base_(array.base()), next_(array.at() + 1) {
    assert(array.kind() == Kind::array);
  }
  /// Moves to the next element; false at the end of the array.
  [[nodiscard]] bool next() noexcept {
    if (at_ != nullptr && next_ == nullptr) next_ = value().after();
    if (base_[*next_] == ',') ++next_;
    if (base_[*next_] == ']') return false;
    at_ = next_;
    next_ = nullptr;
    return true;
  }
  [[nodiscard]] Value value() const noexcept { return {base_, at_}; }
  /// As Members::walked.
  void walked(const std::uint32_t* after) noexcept { next_ = after; }
  /// The index after the array. Only once next() returned false.
  [[nodiscard]] const std::uint32_t* after() const noexcept { return next_ + 1; }

 private:
  const char* base_;
  const std::uint32_t* at_ = nullptr;
  const std::uint32_t* next_;
};

}  // namespace tocsin::json
