#pragma once
// UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, at most U+10FFFF.

#include <cstddef>
#include <string_view>

namespace tocsin {

/// Length of the valid sequence at the front of `text`; 0 when there is none.
[[nodiscard]] std::size_t utf8_sequence(std::string_view text) noexcept;
/// Whether all of `text` is UTF-8. As fast as the processor allows.
[[nodiscard]] bool utf8_valid(std::string_view text) noexcept;

}  // namespace tocsin
