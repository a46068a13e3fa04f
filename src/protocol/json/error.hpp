#pragma once
// Why a text is not acceptable JSON.

#include <cstdint>
#include <string_view>

namespace tocsin::json {

enum class JsonError : std::uint8_t {
  empty,      ///< No value at all.
  syntax,     ///< Includes trailing garbage, BOM, NUL, bad escapes and lone surrogates.
  utf8,       ///< Not UTF-8 (RFC 3629).
  depth,      ///< Nested deeper than the limit.
  number,     ///< Well formed, but beyond binary64, or an integer beyond 64 bits.
  too_large,  ///< Longer than the parser's capacity.
};

[[nodiscard]] std::string_view to_string(JsonError error) noexcept;

}  // namespace tocsin::json
