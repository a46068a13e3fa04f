#include "protocol/http/fields.hpp"

#include <cstdint>

#include "base/ascii.hpp"
#include "protocol/http/head.hpp"
#include "protocol/utf8.hpp"

namespace tocsin::http {
namespace {

std::string_view trim(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// U+0000..1F and U+007F..9F, which CloudEvents forbids in strings. `text` is valid UTF-8.
bool has_controls(std::string_view text) noexcept {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<std::uint8_t>(text[i]);
    if (byte < 0x20 || byte == 0x7F) return true;
    if (byte == 0xC2 && static_cast<std::uint8_t>(text[i + 1]) < 0xA0) return true;
  }
  return false;
}

bool unquote(std::string_view value, std::string& out) {
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (value[i] == '"') return false;
    if (value[i] == '\\' && ++i == value.size()) return false;
    out += value[i];
  }
  return true;
}

// In place, from `start` to the end of `text`: the result is never longer.
bool percent_decode(std::string& text, std::size_t start) {
  std::size_t to = start;
  for (std::size_t i = start; i < text.size(); ++i) {
    if (text[i] != '%') {
      text[to++] = text[i];
      continue;
    }
    if (text.size() - i < 3) return false;
    const int high = hex_value(text[i + 1]);
    const int low = hex_value(text[i + 2]);
    if (high < 0 || low < 0) return false;
    text[to++] = static_cast<char>(high * 16 + low);
    i += 2;
  }
  text.resize(to);
  return true;
}

bool is_port(std::string_view text) noexcept {
  return text.size() <= 5 && text.find_first_not_of("0123456789") == text.npos;
}

}  // namespace

std::string_view media_type(std::string_view content_type) noexcept {
  return trim(content_type.substr(0, content_type.find(';')));
}

bool charset_is_utf8(std::string_view content_type) noexcept {
  for (;;) {
    const std::size_t semicolon = content_type.find(';');
    if (semicolon == content_type.npos) return true;
    content_type.remove_prefix(semicolon + 1);
    const std::string_view parameter = trim(content_type.substr(0, content_type.find(';')));
    const std::size_t equals = parameter.find('=');
    if (!equals_ignoring_case(parameter.substr(0, equals), "charset")) continue;
    std::string_view value = equals == parameter.npos ? "" : parameter.substr(equals + 1);
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
      value = value.substr(1, value.size() - 2);
    }
    return equals_ignoring_case(value, "utf-8") || equals_ignoring_case(value, "us-ascii");
  }
}

bool decode_cloudevents_value(std::string_view value, std::string& out) noexcept {
  const std::size_t start = out.size();
  bool good = true;
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
    good = unquote(value.substr(1, value.size() - 2), out);
  } else {
    out += value;
  }
  good = good && percent_decode(out, start);
  const std::string_view decoded = std::string_view(out).substr(start);
  if (good && utf8_valid(decoded) && !has_controls(decoded)) return true;
  out.resize(start);
  return false;
}

std::optional<std::string_view> host_of(std::string_view authority) noexcept {
  if (authority.starts_with('[')) {
    const std::size_t end = authority.find(']');
    if (end == authority.npos) return std::nullopt;
    const std::string_view rest = authority.substr(end + 1);
    if (!rest.empty() && (rest.front() != ':' || !is_port(rest.substr(1)))) return std::nullopt;
    return authority.substr(1, end - 1);
  }
  const std::size_t colon = authority.find(':');
  if (colon != authority.npos && !is_port(authority.substr(colon + 1))) return std::nullopt;
  const std::string_view host = authority.substr(0, colon);
  if (host.empty()) return std::nullopt;
  return host;
}

std::optional<std::string_view> authority_of_origin(std::string_view origin) noexcept {
  for (const std::string_view scheme :
       {std::string_view("http://"), std::string_view("https://")}) {
    if (origin.size() > scheme.size() &&
        equals_ignoring_case(origin.substr(0, scheme.size()), scheme)) {
      return origin.substr(scheme.size());
    }
  }
  return std::nullopt;
}

}  // namespace tocsin::http
