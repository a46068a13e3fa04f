#include "stages/render/writer.hpp"

#include <array>
#include <cstring>
#include <span>

#include "protocol/json/text.hpp"
#include "protocol/utf8.hpp"

namespace tocsin::render {
namespace {

constexpr std::string_view replacement_character = "\xEF\xBF\xBD";

std::string_view html_reference(char c) noexcept {
  switch (c) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '"':
      return "&quot;";
    case '\'':
      return "&#39;";
    default:
      return {};
  }
}

void write_html(BoundedText& out, std::string_view text) {
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::string_view reference = html_reference(text[i]);
    if (reference.empty()) continue;
    out.text(text.substr(begin, i - begin));
    out.whole(reference);
    begin = i + 1;
  }
  out.text(text.substr(begin));
}

bool json_plain(char c) noexcept {
  return static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\';
}

void write_json(BoundedText& out, std::string_view text) {
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (json_plain(text[i])) continue;
    out.text(text.substr(begin, i - begin));
    std::array<char, 8> escaped;
    const auto size = json::write_escaped(escaped, text.substr(i, 1));
    out.whole({escaped.data(), size.value_or(0)});
    begin = i + 1;
  }
  out.text(text.substr(begin));
}

}  // namespace

void Writer::characters(std::string_view text) {
  switch (escape_) {
    case Escape::none:
      return out_.text(text);
    case Escape::html:
      return write_html(out_, text);
    case Escape::json:
      return write_json(out_, text);
  }
}

void Writer::text(std::string_view text, bool quoted) {
  const bool bare = escape_ == Escape::json && !quoted;
  if (bare) out_.whole("\"");
  if (utf8_valid(text)) {
    characters(text);
  } else {
    while (!text.empty() && !out_.full()) {
      const std::size_t size = utf8_sequence(text);
      characters(size == 0 ? replacement_character : text.substr(0, size));
      text.remove_prefix(size == 0 ? 1 : size);
    }
  }
  if (bare) out_.whole("\"");
}

void Writer::value(json::Value value, bool quoted) {
  const bool bare = escape_ == Escape::json && !quoted;
  if (bare) return compact(value, true);
  switch (value.kind()) {
    case json::Kind::string:
      return string(value);
    case json::Kind::null:
      return;
    case json::Kind::object:
    case json::Kind::array:
      return compact(value, false);
    case json::Kind::boolean:
    case json::Kind::number:
      return characters(value.text());
  }
}

void Writer::missing(bool quoted) {
  if (escape_ == Escape::json && !quoted) out_.whole("null");
}

void Writer::string(json::Value value) {
  std::string_view raw = value.raw_string();
  if (std::memchr(raw.data(), '\\', raw.size()) == nullptr) return characters(raw);
  json::Unescaper unescaper(raw);
  std::array<char, 256> chunk;
  std::size_t used = 0;
  std::array<char, 4> piece;
  while (const std::size_t size = unescaper.next(piece)) {
    if (used + size > chunk.size()) {
      characters({chunk.data(), used});
      used = 0;
      if (out_.full()) return;
    }
    std::memcpy(chunk.data() + used, piece.data(), size);
    used += size;
  }
  characters({chunk.data(), used});
}

void Writer::compact(json::Value value, bool bare) {
  const char* const base = value.base();
  const std::uint32_t* const end = value.after();
  for (const std::uint32_t* at = value.at(); at != end && !out_.full(); ++at) {
    // A token ends where the next one begins, but for the space between them.
    std::uint32_t token_end = *at + 1;
    if (std::strchr("{}[]:,", base[*at]) == nullptr) {
      for (token_end = at[1]; json::is_space(base[token_end - 1]);) --token_end;
    }
    const std::string_view token{base + *at, token_end - *at};
    bare ? out_.text(token) : characters(token);
  }
}

}  // namespace tocsin::render
