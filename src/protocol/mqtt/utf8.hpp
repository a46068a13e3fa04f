#pragma once
// UTF-8 as MQTT wants it (section 1.5.4).

#include <string_view>

namespace tocsin::mqtt {

/// Whether `text` is well-formed UTF-8 (no overlong forms, no surrogates, at most U+10FFFF) without
/// U+0000, which MQTT forbids in its strings.
[[nodiscard]] bool utf8_valid(std::string_view text) noexcept;

}  // namespace tocsin::mqtt
