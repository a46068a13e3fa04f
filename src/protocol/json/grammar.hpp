#pragma once
// The grammar of JSON over the offsets that StructuralScanner found: with its verdict on UTF-8 and
// control characters, what passes here is valid (RFC 8259). Private to this folder.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "protocol/json/error.hpp"

namespace tocsin::json {

/// Deepest nesting that the checker can be told to allow.
inline constexpr std::size_t grammar_depth_max = 256;

/// Checks one document. `indexes`: all of its offsets in `text`, not empty; json_padding bytes are
/// readable behind the text. Containers with content may nest `depth_max` (<= grammar_depth_max)
/// deep. The first error in the order of the text.
[[nodiscard]] std::optional<JsonError> check_grammar(std::string_view text,
                                                     std::span<const std::uint32_t> indexes,
                                                     std::size_t depth_max) noexcept;

/// Whether every escape of a string's inside is one of RFC 8259 section 7, with surrogates in
/// pairs.
[[nodiscard]] bool escapes_valid(std::string_view raw) noexcept;

}  // namespace tocsin::json
