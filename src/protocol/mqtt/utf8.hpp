#pragma once
// Checks of MQTT's strings: UTF-8 (section 1.5.4) and wildcards (section 4.7.1). Eight bytes at a
// time, because every PUBLISH pays for them.

#include <string_view>

namespace tocsin::mqtt {

/// Whether `text` is well-formed UTF-8 (no overlong forms, no surrogates, at most U+10FFFF) without
/// U+0000, which MQTT forbids in its strings.
[[nodiscard]] bool string_valid(std::string_view text) noexcept;

/// Whether `text` is ASCII without U+0000, "+" and "#", as nearly every topic name is: then
/// string_valid() holds and has_wildcard() does not. False says nothing; so for fewer than 8 bytes.
[[nodiscard]] bool plain_topic_name(std::string_view text) noexcept;

/// Whether `topic` holds "+" or "#", which a topic name must not (section 3.3.2.1).
[[nodiscard]] bool has_wildcard(std::string_view topic) noexcept;

}  // namespace tocsin::mqtt
