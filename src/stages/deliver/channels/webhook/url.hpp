#pragma once
// The part of RFC 3986 that a webhook target may use.

#include <cstdint>
#include <string>
#include <string_view>

#include <tocsin/result.hpp>

namespace tocsin::deliver {

struct Url {
  bool tls = true;
  std::string host;  ///< Without brackets.
  std::uint16_t port = 443;
  std::string target;  ///< Path and query, beginning with '/'.
  /// As it stands in a Host header: brackets for IPv6, port only when not the scheme's own.
  [[nodiscard]] std::string authority() const;
  bool operator==(const Url&) const = default;
};

/// Same scheme, host and port (RFC 6454 section 4).
[[nodiscard]] bool same_origin(const Url& a, const Url& b) noexcept;

/// Accepts http:// and https:// with a host that is safe to resolve. Refuses user information,
/// fragments, control characters, spaces and non-ASCII, each with a message.
[[nodiscard]] Result<Url, std::string> parse_url(std::string_view text);

}  // namespace tocsin::deliver
