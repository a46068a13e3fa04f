#include "protocol/json/walker.hpp"

#include <array>

#include "protocol/json/text.hpp"

namespace tocsin::json {

bool string_equals(std::string_view raw, std::string_view name) noexcept {
  // An escape is longer than what it stands for, so equal or smaller size settles most calls.
  if (raw.size() < name.size()) return false;
  const bool escaped = std::memchr(raw.data(), '\\', raw.size()) != nullptr;
  if (!escaped) return raw == name;
  Unescaper unescaper(raw);
  std::array<char, 4> piece;
  while (const std::size_t n = unescaper.next(piece)) {
    if (!name.starts_with(std::string_view{piece.data(), n})) return false;
    name.remove_prefix(n);
  }
  return name.empty();
}

const std::uint32_t* Value::after_container() const noexcept {
  const std::uint32_t* at = at_ + 1;
  for (std::uint32_t open = 1; open > 0; ++at) {
    // '{' '[' are 0x7B 0x5B and '}' ']' 0x7D 0x5D: without bit 5 two characters remain.
    const auto c = static_cast<unsigned char>(base_[*at]) & 0xDFU;
    if (c == '[') ++open;
    if (c == ']') --open;
  }
  return at;
}

std::optional<Value> Value::find(std::string_view key) const noexcept {
  std::optional<Value> found;
  if (kind() != Kind::object) return found;
  for (Members members(*this); members.next();) {
    if (members.key_equals(key)) found = members.value();
  }
  return found;
}

}  // namespace tocsin::json
