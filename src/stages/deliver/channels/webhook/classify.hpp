#pragma once
// What an HTTP answer to a webhook means.

#include <chrono>
#include <string_view>

#include <tocsin/channel.hpp>
#include <tocsin/time.hpp>

namespace tocsin::deliver {

/// 2xx delivered; 401/403/407 auth; 408/425/429 and any answer with Retry-After throttled; 5xx
/// transient; everything else, redirects included, permanent (Standard Webhooks: a redirect is a
/// failure). `retry_after` is the header's value: seconds or an HTTP date (RFC 9110 section
/// 10.2.3), judged against `now`.
[[nodiscard]] Attempt classify_status(int status, std::string_view retry_after, WallTime now);

}  // namespace tocsin::deliver
