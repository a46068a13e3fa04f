#pragma once
// Base64 (RFC 4648 section 4), also as it stands in a JSON string.

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace tocsin {

/// Bytes that decoding `raw` takes at most.
[[nodiscard]] constexpr std::size_t base64_decoded_max(std::string_view raw) noexcept {
  return raw.size() / 4 * 3 + 3;
}

/// Decodes into `out` (at least base64_decoded_max bytes) and returns the size. `raw` may be a JSON
/// string between its quotes: "\/" counts as "/". Nothing when it is not base64 with padding.
[[nodiscard]] std::optional<std::size_t> base64_decode(std::string_view raw,
                                                       std::span<char> out) noexcept;

}  // namespace tocsin
