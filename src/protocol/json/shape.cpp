#include "protocol/json/shape.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "protocol/json/digits.hpp"
#include "protocol/json/grammar.hpp"
#include "protocol/json/number.hpp"
#include "protocol/utf8.hpp"

namespace tocsin::json {
namespace {

constexpr std::size_t bad = SIZE_MAX;
constexpr std::size_t nesting_max = 8;

// Eight bytes behind both are readable.
bool same(const char* a, const char* b, std::size_t size) noexcept {
  for (; size >= sizeof(std::uint64_t); size -= sizeof(std::uint64_t)) {
    if (load_word(a) != load_word(b)) return false;
    a += sizeof(std::uint64_t);
    b += sizeof(std::uint64_t);
  }
  // Two shifts: one of 64 bits would not be defined.
  return ((load_word(a) ^ load_word(b)) << 8U * (7 - size) << 8U) == 0;
}

// How many of the sixteen bytes at `at` stand in front of the first that ends a string or takes a
// closer look: a quote, a backslash, a control character, what is not ASCII.
#if defined(__SSE2__)
std::size_t plain_characters(const char* at) noexcept {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  const __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
  const __m128i backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
  // Signed: control characters and what is not ASCII are below a space.
  const __m128i below = _mm_cmplt_epi8(bytes, _mm_set1_epi8(' '));
  const __m128i any = _mm_or_si128(_mm_or_si128(quote, backslash), below);
  return static_cast<std::size_t>(
      std::countr_zero(static_cast<unsigned>(_mm_movemask_epi8(any)) | 0x10000U));
}
#else
std::size_t plain_characters(const char* at) noexcept {
  constexpr std::uint64_t ones = 0x0101010101010101;
  constexpr std::uint64_t highs = ones * 0x80;
  for (std::size_t i = 0; i < 16; i += sizeof(std::uint64_t)) {
    const std::uint64_t word = load_word(at + i);
    const std::uint64_t quote = word ^ (ones * '"');
    const std::uint64_t backslash = word ^ (ones * '\\');
    // A borrow spoils only what stands behind the first hit.
    const std::uint64_t found = (((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) |
                                 ((word - ones * ' ') & ~word) | word) &
                                highs;
    if (found != 0) return i + static_cast<std::size_t>(std::countr_zero(found)) / 8;
  }
  return 16;
}
#endif

// The rest of a string from `at` on, with escapes or more than ASCII. `begin`: of the string.
[[gnu::noinline]] std::size_t unusual_string_end(const char* begin, const char* at, const char* end,
                                                 bool& escaped) noexcept {
  for (; at < end && *at != '"'; ++at) {
    if (static_cast<unsigned char>(*at) < 0x20) return bad;
    if (*at != '\\') continue;
    escaped = true;
    ++at;
  }
  if (at >= end) return bad;
  const std::string_view raw{begin, static_cast<std::size_t>(at - begin)};
  if (escaped && !escapes_valid(raw)) return bad;
  return utf8_valid(raw) ? raw.size() : bad;
}

// Sizes of values at `at`; bad when there is none. May end behind `end`: what follows a text is
// readable and no part of it, which the caller notices.
std::size_t string_size(const char* at, const char* end, bool& escaped) noexcept {
  const char* const begin = at;
  for (; at < end; at += 16) {
    const std::size_t plain = plain_characters(at);
    if (plain == 16) continue;
    at += plain;
    if (*at == '"') return static_cast<std::size_t>(at - begin);
    return unusual_string_end(begin, at, end, escaped);
  }
  return bad;
}

// A fraction of more digits than are counted, an exponent, many digits, or no number at all.
[[gnu::noinline]] std::size_t unusual_number_size(const char* at, const char* end) noexcept {
  constexpr std::string_view characters = "0123456789+-.eE";
  const char* const begin = at;
  while (at < end && characters.find(*at) != std::string_view::npos) ++at;
  const std::string_view text{begin, static_cast<std::size_t>(at - begin)};
  return parse_number(text) ? text.size() : bad;
}

std::size_t number_size(const char* at, const char* end) noexcept {
  const std::size_t sign = *at == '-' ? 1 : 0;
  const char* const digits = at + sign;
  const std::size_t whole = count_digits(digits);
  if (whole == 0 || whole > digits_safe_max - sign || (*digits == '0' && whole > 1)) {
    return unusual_number_size(at, end);
  }
  const char* behind = digits + whole;
  if (*behind == '.') {
    const std::size_t fraction = count_digits(behind + 1);
    if (fraction == 0 || fraction == digits_counted_max) return unusual_number_size(at, end);
    behind += 1 + fraction;
  }
  if ((*behind | 0x20) == 'e') return unusual_number_size(at, end);
  return static_cast<std::size_t>(behind - at);
}

std::size_t word_size(const char* at) noexcept {
  if (std::memcmp(at, "true", 4) == 0 || std::memcmp(at, "null", 4) == 0) return 4;
  return std::memcmp(at, "false", 5) == 0 ? 5 : bad;
}

// A value's place is known when the size of the one in front of it is; twenty cycles each, one
// after the other. Sizes seldom change, so the place it had before is compared instead of computed
// with: the processor goes on from there before it knows.
const char* expect(const char* place, const char* before) noexcept {
  if (__builtin_expect_with_probability(place == before, 1, 0.999)) {
    // Else the compiler sees that both are the same, and takes the one that has to be waited for.
    asm("" : "+r"(before));
    return before;
  }
  return place;
}

}  // namespace

// Cuts a document into what is fixed and what is a value.
class Shape::Learner {
 public:
  explicit Learner(const Document& document) noexcept
      : root_(document.root()), text_(document.text) {}

  [[nodiscard]] std::optional<Shape> run() {
    if (text_.size() > shape_size_max || root_.kind() != Kind::object) return {};
    if (!object(root_, no_key, 1) || shape_.members_.empty()) return {};
    fix(text_.size());
    std::string& fixed = shape_.fixed_;
    const std::size_t head_size = shape_.gaps_.front();
    shape_.head_.mask =
        head_size >= 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8 * head_size)) - 1;
    // Words are compared, so some bytes behind it are read.
    fixed.append(sizeof(std::uint64_t), '\0');
    shape_.head_.bytes = load_word(fixed.data()) & shape_.head_.mask;
    return std::move(shape_);
  }

 private:
  void fix(std::size_t end) {
    shape_.fixed_ += text_.substr(at_, end - at_);
    shape_.gaps_.push_back(static_cast<std::uint16_t>(end - at_));
  }

  // Empty objects and arrays count too: they are keys to be compared.
  [[nodiscard]] bool object(Value value, std::uint8_t parent, std::size_t depth) {
    if (depth > nesting_max) return false;
    const auto same_key = [&](std::string_view key) {
      return std::ranges::any_of(shape_.keys_, [&](const Key& other) {
        return other.parent == parent && other.text == key;
      });
    };
    for (Members members(value); members.next();) {
      const std::string_view key = members.key();
      if (shape_.keys_.size() == shape_keys_max) return false;
      if (key.find('\\') != std::string_view::npos || same_key(key)) return false;
      const auto index = static_cast<std::uint8_t>(shape_.keys_.size());
      shape_.keys_.push_back({parent, std::string(key)});
      if (!member(members.value(), index, depth)) return false;
    }
    return true;
  }

  [[nodiscard]] bool member(Value value, std::uint8_t key, std::size_t depth) {
    if (value.kind() == Kind::object) return object(value, key, depth + 1);
    if (value.kind() != Kind::array) return scalar(value, key);
    for (Elements elements(value); elements.next();) {
      const Kind kind = elements.value().kind();
      if (kind == Kind::object || kind == Kind::array) return false;
      if (!scalar(elements.value(), key)) return false;
    }
    return true;
  }

  [[nodiscard]] bool scalar(Value value, std::uint8_t key) {
    if (shape_.members_.size() == shape_values_max) return false;
    const bool string = value.kind() == Kind::string;
    const std::string_view inside = string ? value.raw_string() : value.text();
    const auto begin = static_cast<std::size_t>(inside.data() - text_.data());
    fix(begin);
    at_ = begin + inside.size();
    const bool number = value.kind() == Kind::number;
    shape_.members_.push_back(
        {string ? ValueKind::string : (number ? ValueKind::number : ValueKind::word), key});
    return true;
  }

  Value root_;
  std::string_view text_;
  std::size_t at_ = 0;  // Up to where the text was taken.
  Shape shape_;
};

std::optional<Shape> Shape::of(const Document& document) { return Learner(document).run(); }

std::vector<std::string_view> Shape::path(const Member& member) const {
  std::vector<std::string_view> path;
  for (std::uint8_t key = member.key; key != no_key; key = keys_[key].parent) {
    path.push_back(keys_[key].text);
  }
  std::ranges::reverse(path);
  return path;
}

bool Shape::read(std::string_view text, ValueStart* starts) const noexcept {
  if (text.size() > shape_size_max) return false;
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const char* at = begin;
  const char* fixed = fixed_.data();
  const std::uint16_t* gap = gaps_.data();
  for (const Member& member : members_) {
    const std::size_t gap_size = *gap++;
    if (gap_size > static_cast<std::size_t>(end - at) || !same(at, fixed, gap_size)) return false;
    fixed += gap_size;
    at = expect(at + gap_size, begin + starts->offset());
    bool escaped = false;
    std::size_t size = 0;
    if (member.kind == ValueKind::string) {
      size = string_size(at, end, escaped);
    } else {
      size = member.kind == ValueKind::number ? number_size(at, end) : word_size(at);
    }
    if (size > static_cast<std::size_t>(end - at)) return false;
    *starts++ = {static_cast<std::size_t>(at - begin), escaped};
    at += size;
  }
  return *gap == static_cast<std::size_t>(end - at) && same(at, fixed, *gap);
}

}  // namespace tocsin::json
