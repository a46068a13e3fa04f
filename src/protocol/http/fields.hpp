#pragma once
// Values of header fields that need more than a comparison.

#include <optional>
#include <string>
#include <string_view>

namespace tocsin::http {

/// "type/subtype" of a Content-Type value, without parameters, as sent (compare without case).
[[nodiscard]] std::string_view media_type(std::string_view content_type) noexcept;
/// False when a charset parameter names anything but UTF-8 or its subset ASCII.
[[nodiscard]] bool charset_is_utf8(std::string_view content_type) noexcept;

/// Appends to `out` the attribute value that a ce-* field carries (CloudEvents HTTP binding
/// section 3.1.3.2): double quotes are taken off, then percent-encoding, once. False when the
/// result is no UTF-8 or holds control characters, or an escape is incomplete; `out` is then cut
/// back. Does not allocate while out's capacity suffices (the result is never longer than `value`).
[[nodiscard]] bool decode_cloudevents_value(std::string_view value, std::string& out) noexcept;

/// Host without port of an authority ("[::1]:80" gives "::1"); nothing when malformed.
[[nodiscard]] std::optional<std::string_view> host_of(std::string_view authority) noexcept;
/// "host[:port]" of an http(s) origin; nothing for "null" and whatever else it may be.
[[nodiscard]] std::optional<std::string_view> authority_of_origin(std::string_view origin) noexcept;

}  // namespace tocsin::http
