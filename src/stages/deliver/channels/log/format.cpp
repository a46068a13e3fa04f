#include "stages/deliver/channels/log/format.hpp"

#include <fmt/format.h>

#include "base/names.hpp"
#include "base/uuid.hpp"
#include "protocol/utf8.hpp"

namespace tocsin::deliver {
namespace {

// Size of the well-formed UTF-8 character at the front (RFC 3629), or 0. C1 controls count as
// malformed, because terminals obey them.
std::size_t character_size(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const std::size_t size = utf8_sequence(text);
  if (size == 1) return byte(0) >= 0x20 && byte(0) != 0x7F ? 1 : 0;
  const bool control = size == 2 && byte(0) == 0xC2 && byte(1) < 0xA0;
  // U+2028 to U+202E break lines or reorder text, and U+2066 to U+2069 reorder it.
  const bool layout = size == 3 && byte(0) == 0xE2 &&
                      ((byte(1) == 0x80 && byte(2) >= 0xA8 && byte(2) <= 0xAE) ||
                       (byte(1) == 0x81 && byte(2) >= 0xA6 && byte(2) <= 0xA9));
  return control || layout ? 0 : size;
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
