#include "protocol/json/text.hpp"

#include <cstring>

#include "base/ascii.hpp"
#include "protocol/utf8.hpp"

namespace tocsin::json {
namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";
constexpr std::uint32_t replacement_code = 0xFFFD;
constexpr std::uint32_t bad_hex = UINT32_MAX;

std::uint32_t hex4(std::string_view text) noexcept {
  if (text.size() < 4) return bad_hex;
  std::uint32_t value = 0;
  for (const char c : text.substr(0, 4)) {
    const int digit = hex_value(c);
    if (digit < 0) return bad_hex;
    value = value << 4U | static_cast<std::uint32_t>(digit);
  }
  return value;
}

// `rest` stands after "\u"; takes the digits, and the second half of a surrogate pair.
std::uint32_t take_code_point(std::string_view& rest) noexcept {
  const std::uint32_t high = hex4(rest);
  if (high == bad_hex) return replacement_code;
  rest.remove_prefix(4);
  if (high < 0xD800 || high > 0xDFFF) return high;
  if (high > 0xDBFF || !rest.starts_with("\\u")) return replacement_code;
  const std::uint32_t low = hex4(rest.substr(2));
  if (low < 0xDC00 || low > 0xDFFF) return replacement_code;
  rest.remove_prefix(6);
  return 0x10000 + ((high - 0xD800) << 10U) + (low - 0xDC00);
}

std::size_t encode(std::uint32_t code, std::array<char, 4>& out) noexcept {
  const auto tail = [&](std::uint32_t shift) {
    return static_cast<char>(0x80U | ((code >> shift) & 0x3FU));
  };
  if (code < 0x80) {
    out[0] = static_cast<char>(code);
    return 1;
  }
  if (code < 0x800) {
    out = {static_cast<char>(0xC0U | code >> 6U), tail(0)};
    return 2;
  }
  if (code < 0x10000) {
    out = {static_cast<char>(0xE0U | code >> 12U), tail(6), tail(0)};
    return 3;
  }
  out = {static_cast<char>(0xF0U | code >> 18U), tail(12), tail(6), tail(0)};
  return 4;
}

char simple_escape(char c) noexcept {
  switch (c) {
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return c;  // Quote, backslash and slash stand for themselves.
  }
}

bool needs_escape(unsigned char c) noexcept { return c < 0x20 || c == '"' || c == '\\'; }

// The escape for one character that needs_escape(); at most 6 bytes.
std::string_view escape_of(unsigned char c, std::array<char, 6>& buffer) noexcept {
  constexpr std::string_view digits = "0123456789abcdef";
  switch (c) {
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    case '\b':
      return "\\b";
    case '\f':
      return "\\f";
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      break;
  }
  buffer = {'\\', 'u', '0', '0', digits[c >> 4U], digits[c & 0xFU]};
  return {buffer.data(), buffer.size()};
}

// Feeds `put(piece)` with the escaped text; stops and returns false when put() does.
template <class Put>
bool escape(std::string_view text, bool valid, Put&& put) {
  while (!text.empty()) {
    std::size_t plain = 0;
    while (plain < text.size()) {
      const auto c = static_cast<unsigned char>(text[plain]);
      if (needs_escape(c)) break;
      if (c < 0x80 || valid) {
        ++plain;
        continue;
      }
      const std::size_t sequence = utf8_sequence(text.substr(plain));
      if (sequence == 0) break;
      plain += sequence;
    }
    if (!put(text.substr(0, plain))) return false;
    text.remove_prefix(plain);
    if (text.empty()) break;
    const auto c = static_cast<unsigned char>(text.front());
    std::array<char, 6> buffer;
    if (!put(needs_escape(c) ? escape_of(c, buffer) : replacement)) return false;
    text.remove_prefix(1);
  }
  return true;
}

}  // namespace

std::size_t Unescaper::next(std::array<char, 4>& piece) noexcept {
  if (rest_.empty()) return 0;
  const char c = rest_.front();
  rest_.remove_prefix(1);
  if (c != '\\') {
    piece[0] = c;
    return 1;
  }
  if (rest_.empty()) return encode(replacement_code, piece);
  const char kind = rest_.front();
  rest_.remove_prefix(1);
  if (kind == 'u') return encode(take_code_point(rest_), piece);
  piece[0] = simple_escape(kind);
  return 1;
}

std::optional<std::string_view> unescape(std::string_view raw, std::span<char> buffer) noexcept {
  const std::size_t first = raw.find('\\');
  if (first == raw.npos) return raw;
  if (first > buffer.size()) return std::nullopt;
  std::memcpy(buffer.data(), raw.data(), first);
  std::size_t used = first;
  Unescaper unescaper(raw.substr(first));
  std::array<char, 4> piece;
  while (const std::size_t n = unescaper.next(piece)) {
    if (n > buffer.size() - used) return std::nullopt;
    std::memcpy(buffer.data() + used, piece.data(), n);
    used += n;
  }
  return std::string_view{buffer.data(), used};
}

bool append_escaped(std::string& out, std::string_view text, InvalidUtf8 policy) {
  const bool valid = utf8_valid(text);
  if (!valid && policy == InvalidUtf8::refuse) return false;
  return escape(text, valid, [&](std::string_view piece) {
    out += piece;
    return true;
  });
}

void append_string(std::string& out, std::string_view text) {
  out += '"';
  // With `replace` escaping cannot fail.
  [[maybe_unused]] const bool done = append_escaped(out, text, InvalidUtf8::replace);
  out += '"';
}

std::optional<std::size_t> write_escaped(std::span<char> out, std::string_view text,
                                         InvalidUtf8 policy) noexcept {
  const bool valid = utf8_valid(text);
  if (!valid && policy == InvalidUtf8::refuse) return std::nullopt;
  std::size_t used = 0;
  const bool fitted = escape(text, valid, [&](std::string_view piece) {
    if (piece.size() > out.size() - used) return false;
    if (!piece.empty()) std::memcpy(out.data() + used, piece.data(), piece.size());
    used += piece.size();
    return true;
  });
  if (!fitted) return std::nullopt;
  return used;
}

}  // namespace tocsin::json
