#pragma once
// Content-Encoding of a request (RFC 9110 section 8.4).

#include <cstdint>

#include "protocol/http/head.hpp"

namespace tocsin::ingress {

enum class ContentCoding : std::uint8_t { identity, gzip, unknown };

/// Several codings, one upon the other, are unknown.
[[nodiscard]] ContentCoding coding_of(const http::Headers& headers) noexcept;

}  // namespace tocsin::ingress
