#pragma once
// The grammar of JSON over the offsets that StructuralScanner found: with its verdict on UTF-8 and
// control characters, what passes here is valid (RFC 8259). Private to this folder.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <tocsin/result.hpp>

#include "protocol/json/error.hpp"

namespace tocsin::json {

/// Deepest nesting that the checker can be told to allow.
inline constexpr std::size_t grammar_depth_max = 256;

/// One document of a text, which may hold others behind it, each after a newline.
struct Scanned {
  std::string_view text;  ///< json_padding bytes are readable behind it.
  std::size_t end;        ///< Where the document ends in the text.
  /// From the document's first one to the last of the text: not empty. One more is readable.
  std::span<const std::uint32_t> indexes;
  bool escapes;  ///< Whether the document may hold a backslash.
};

/// Checks one document; returns how many of the indexes are its own. Containers with content may
/// nest `depth_max` (<= grammar_depth_max) deep. The first error in the order of the text.
[[nodiscard]] Result<std::size_t, JsonError> check_grammar(const Scanned& document,
                                                           std::size_t depth_max) noexcept;

/// Whether every escape of a string's inside is one of RFC 8259 section 7, with surrogates in
/// pairs.
[[nodiscard]] bool escapes_valid(std::string_view raw) noexcept;

}  // namespace tocsin::json
