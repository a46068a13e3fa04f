#include "stages/deliver/channels/log/format.hpp"

#include <array>
#include <cstdint>

#include <fmt/format.h>

#include "base/names.hpp"
#include "base/uuid.hpp"

namespace tocsin::deliver {
namespace {

// Size of the well-formed UTF-8 character at the front (RFC 3629), or 0. C1 controls count as
// malformed, because terminals obey them.
std::size_t character_size(std::string_view text) noexcept {
  const auto at = [&](std::size_t i) -> std::uint32_t {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const std::uint32_t lead = at(0);
  if (lead < 0x80) return lead >= 0x20 && lead != 0x7F ? 1 : 0;
  const std::size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  std::uint32_t code = lead & (0xFFU >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if ((at(i) & 0xC0U) != 0x80U) return 0;
    code = (code << 6U) | (at(i) & 0x3FU);
  }
  constexpr std::array<std::uint32_t, 5> smallest{0, 0, 0xA0, 0x800, 0x10000};
  if (code < smallest[size] || code > 0x10FFFF) return 0;
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  const bool line_break = code == 0x2028 || code == 0x2029;
  const bool reorders = (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
  return surrogate || line_break || reorders ? 0 : size;
}

void append_escaped(std::string& line, std::string_view text, std::size_t size_max) {
  while (!text.empty()) {
    if (line.size() >= size_max) {
      line += "...";
      return;
    }
    const std::size_t size = character_size(text);
    if (size > 0) {
      line += text.substr(0, size);
    } else if (text[0] == '\n') {
      line += "\\n";
    } else {
      line += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[0]));
    }
    text.remove_prefix(size > 0 ? size : 1);
  }
}

}  // namespace

std::string log_line(std::string_view recipient, const OutgoingNotification& notification,
                     std::size_t size_max) {
  std::string line = fmt::format("[{}] ", name_of(notification.severity));
  append_escaped(line, notification.subject, size_max);
  if (!notification.subject.empty() && !notification.body.empty()) line += " | ";
  append_escaped(line, notification.body, size_max);
  line += " (rule=";
  append_escaped(line, notification.rule, line.size() + 256);
  line += ", to=";
  append_escaped(line, recipient, line.size() + 256);
  line += ", event=";
  line += view(uuid_text(notification.event_id.hi, notification.event_id.lo));
  line += ")\n";
  return line;
}

}  // namespace tocsin::deliver
