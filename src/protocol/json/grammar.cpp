#include "protocol/json/grammar.hpp"

#include <array>
#include <bit>
#include <bitset>
#include <cassert>
#include <cstring>
#include <optional>

#include "protocol/json/digits.hpp"
#include "protocol/json/number.hpp"
#include "protocol/json/walker.hpp"

namespace tocsin::json {
namespace {

bool is_digit(char c) noexcept { return static_cast<unsigned char>(c - '0') < 10; }

// What may follow a number or a literal.
constexpr std::array<bool, 256> terminators = [] {
  std::array<bool, 256> table{};
  for (const char c : {' ', '\t', '\n', '\r', ',', ']', '}', ':', '{', '['}) {
    table[static_cast<unsigned char>(c)] = true;
  }
  return table;
}();

// Four hexadecimal digits, or nothing.
std::optional<std::uint32_t> code_unit(std::string_view text) noexcept {
  if (text.size() < 4) return std::nullopt;
  std::uint32_t unit = 0;
  for (const char c : text.substr(0, 4)) {
    const char lower = static_cast<char>(c | 0x20);
    std::uint32_t digit = 0;
    if (is_digit(c)) {
      digit = static_cast<std::uint32_t>(c - '0');
    } else if (lower >= 'a' && lower <= 'f') {
      digit = static_cast<std::uint32_t>(lower - 'a' + 10);
    } else {
      return std::nullopt;
    }
    unit = unit << 4U | digit;
  }
  return unit;
}

// Whether `size` characters are digits with at most one point between them, and so few in front of
// it that 64 bits hold any of them. Says no to everything that takes a closer look.
bool is_plain_number(const char* at, std::size_t size, std::size_t digits_max) noexcept {
  constexpr std::size_t size_max = 24;
  if (size == 0 || size > size_max) return false;
  std::size_t point = size;
  for (std::size_t i = 0; i < size; i += sizeof(std::uint64_t)) {
    const std::uint64_t others = other_bytes(load_word(at + i), size - i);
    if (others == 0) continue;
    if (point != size || (others & (others - 1)) != 0) return false;
    point = i + static_cast<std::size_t>(std::countr_zero(others)) / 8;
    if (at[point] != '.' || point + 1 == size) return false;
  }
  return point > 0 && point <= digits_max && (at[0] != '0' || point == 1);
}

// One document being checked. The tokens between two values are few and predictable, so this is a
// plain loop; what costs is numbers, and most of those need no conversion. Inlined into one
// function, its state lives in registers.
class Checker {
 public:
  Checker(const Scanned& document, std::size_t depth_max) noexcept
      : text_(document.text.data()),
        size_(document.text.size()),
        document_end_(document.end),
        begin_(document.indexes.data()),
        at_(begin_),
        end_(begin_ + document.indexes.size()),
        depth_max_(depth_max),
        escapes_(document.escapes) {}

  [[nodiscard]] Result<std::size_t, JsonError> run() noexcept {
    for (bool more = value(); more;) more = depth_ == 0 ? finish() : after_value();
    if (error_) return Unexpected{*error_};
    return static_cast<std::size_t>(at_ - begin_);
  }

 private:
  [[nodiscard]] char token() const noexcept { return text_[*at_]; }
  [[nodiscard]] bool fail(JsonError error) noexcept {
    error_ = error;
    return false;
  }
  [[nodiscard]] bool syntax() noexcept { return fail(JsonError::syntax); }
  // It ends where its text does: neither before, nor in the next document.
  [[nodiscard]] bool finish() noexcept {
    const bool ends = at_[-1] < document_end_ && (at_ == end_ || *at_ >= document_end_);
    return ends ? false : syntax();
  }

  // Everything up to and including the next scalar or empty container.
  [[nodiscard, gnu::always_inline]] bool value() noexcept {
    for (;;) {
      if (at_ == end_) return syntax();
      const char c = token();
      if (c == '"') return string();
      if (c == '{' || c == '[') {
        if (++at_ == end_) return syntax();
        const bool object = c == '{';
        if (token() == (object ? '}' : ']')) {
          ++at_;
          return true;
        }
        if (depth_ == depth_max_) return fail(JsonError::depth);
        objects_[depth_++] = object;
        if (object && !key()) return false;
        continue;
      }
      return c == '-' || is_digit(c) ? number() : literal();
    }
  }

  [[nodiscard, gnu::always_inline]] bool key() noexcept {
    if (end_ - at_ < 2 || token() != '"' || text_[at_[1]] != ':') return syntax();
    if (escapes_ && !string_valid()) return syntax();
    at_ += 2;
    return true;
  }

  // Closes what ends here, up to the next value.
  [[nodiscard, gnu::always_inline]] bool after_value() noexcept {
    if (at_ == end_) return syntax();
    const char c = token();
    const bool object = objects_[depth_ - 1];
    ++at_;
    if (c == ',') {
      if (object && (at_ == end_ || !key())) return syntax();
      return value();
    }
    if (c != (object ? '}' : ']')) return syntax();
    --depth_;
    return true;
  }

  [[nodiscard]] std::size_t next_offset() const noexcept {
    return at_ + 1 == end_ ? size_ : at_[1];
  }

  // The scanner has seen its end; between that and the next token there is only space.
  [[nodiscard]] bool string() noexcept {
    if (escapes_ && !string_valid()) return syntax();
    ++at_;
    return true;
  }
  [[nodiscard, gnu::noinline]] bool string_valid() const noexcept {
    std::size_t end = next_offset();
    while (text_[end - 1] != '"') --end;
    return escapes_valid({text_ + *at_ + 1, end - *at_ - 2});
  }

  [[nodiscard, gnu::noinline]] bool literal() noexcept {
    const std::size_t left = size_ - *at_;
    const char* const at = text_ + *at_;
    std::size_t size = 0;
    if (left >= 4 && (std::memcmp(at, "true", 4) == 0 || std::memcmp(at, "null", 4) == 0)) {
      size = 4;
    } else if (left >= 5 && std::memcmp(at, "false", 5) == 0) {
      size = 5;
    }
    if (size == 0 || !ended(at + size)) return syntax();
    ++at_;
    return true;
  }

  [[nodiscard]] bool ended(const char* at) const noexcept {
    return at == text_ + size_ || terminators[static_cast<unsigned char>(*at)];
  }

  [[nodiscard, gnu::always_inline]] bool number() noexcept {
    // Up to the next token, so without space behind it: most are.
    if (!is_plain_number(text_ + *at_, next_offset() - *at_, digits_safe_max))
      return unusual_number();
    ++at_;
    return true;
  }

  // A sign, space behind it, an exponent, many digits, or no number at all.
  [[nodiscard, gnu::noinline]] bool unusual_number() noexcept {
    std::size_t end = next_offset();
    while (is_space(text_[end - 1])) --end;
    const std::string_view number{text_ + *at_, end - *at_};
    const bool negative = number.starts_with('-');
    const std::size_t sign = negative ? 1 : 0;
    if (is_plain_number(number.data() + sign, number.size() - sign, digits_safe_max - sign)) {
      ++at_;
      return true;
    }
    if (!number_well_formed(number)) return syntax();
    if (!parse_number(number)) return fail(JsonError::number);
    ++at_;
    return true;
  }

  const char* text_;
  std::size_t size_;
  std::size_t document_end_;
  const std::uint32_t* begin_;
  const std::uint32_t* at_;
  const std::uint32_t* end_;
  std::size_t depth_max_;
  bool escapes_;  // Whether any string of the document can hold one.
  std::size_t depth_ = 0;
  std::optional<JsonError> error_;
  std::bitset<grammar_depth_max> objects_;  // By depth: an object, else an array.
};

}  // namespace

bool escapes_valid(std::string_view raw) noexcept {
  constexpr std::string_view simple = "\"\\/bfnrt";
  for (;;) {
    const std::size_t at = raw.find('\\');
    if (at == std::string_view::npos) return true;
    raw.remove_prefix(at + 1);
    if (raw.empty()) return false;
    const char kind = raw.front();
    raw.remove_prefix(1);
    if (kind != 'u') {
      if (simple.find(kind) == std::string_view::npos) return false;
      continue;
    }
    const auto unit = code_unit(raw);
    if (!unit) return false;
    raw.remove_prefix(4);
    if (*unit < 0xD800 || *unit > 0xDFFF) continue;
    if (*unit > 0xDBFF || !raw.starts_with("\\u")) return false;
    const auto low = code_unit(raw.substr(2));
    if (!low || *low < 0xDC00 || *low > 0xDFFF) return false;
    raw.remove_prefix(6);
  }
}

Result<std::size_t, JsonError> check_grammar(const Scanned& document,
                                             std::size_t depth_max) noexcept {
  assert(!document.indexes.empty());
  assert(depth_max <= grammar_depth_max);
  return Checker(document, depth_max).run();
}

}  // namespace tocsin::json
