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

/// One document of a text. json_padding bytes are readable behind it.
struct Scanned {
  const char* base;                        ///< What the indexes count from.
  std::size_t end;                         ///< Where the document ends, from `base`.
  std::span<const std::uint32_t> indexes;  ///< All of the document's, not empty.
  bool escapes;                            ///< Whether it may hold a backslash.
};

/// Checks one document. Containers with content may nest `depth_max` (<= grammar_depth_max) deep.
/// The first error in the order of the text.
[[nodiscard]] std::optional<JsonError> check_grammar(const Scanned& document,
                                                     std::size_t depth_max) noexcept;

/// Whether every escape of a string's inside is one of RFC 8259 section 7, with surrogates in
/// pairs.
[[nodiscard]] bool escapes_valid(std::string_view raw) noexcept;

}  // namespace tocsin::json
