#pragma once
// What a client is told about its rates: Retry-After (RFC 9110 section 10.2.3), RateLimit-Policy
// and RateLimit (draft-ietf-httpapi-ratelimit-headers).

#include <string>

#include <tocsin/time.hpp>

#include "flow/quota.hpp"

namespace tocsin::ingress {

/// Whole seconds until a try makes sense: rounded up, at least one.
[[nodiscard]] std::int64_t retry_seconds(Duration wait) noexcept;

/// Appends header fields, each ended by CRLF.
void append_quota_fields(std::string& out, Duration wait, const flow::ClientQuotas& quotas);

}  // namespace tocsin::ingress
