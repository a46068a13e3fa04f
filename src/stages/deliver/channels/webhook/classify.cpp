#include "stages/deliver/channels/webhook/classify.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <ctime>
#include <string>

#include <fmt/format.h>

namespace tocsin::deliver {
namespace {

using std::chrono::milliseconds;

// A peer may ask for patience, not for ever.
constexpr milliseconds retry_after_max = std::chrono::hours(24);

// Not timegm: where time_t has 32 bits, it knows nothing after 2038.
std::int64_t to_seconds(const std::tm& date) {
  const std::chrono::sys_days day{std::chrono::year{date.tm_year + 1900} / (date.tm_mon + 1) /
                                  date.tm_mday};
  const auto time = day.time_since_epoch() + std::chrono::hours{date.tm_hour} +
                    std::chrono::minutes{date.tm_min} + std::chrono::seconds{date.tm_sec};
  return time.count();
}

milliseconds parse_retry_after(std::string_view text, WallTime now) {
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc{} || end != text.data() + text.size()) {
    std::tm date{};
    const std::string terminated(text);
    const char* rest = strptime(terminated.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &date);
    if (rest == nullptr || *rest != '\0') return milliseconds{0};
    seconds = to_seconds(date) - to_us(now) / 1'000'000;
  }
  if (seconds <= 0) return milliseconds{0};
  return std::min(retry_after_max, milliseconds(std::min<std::int64_t>(seconds, 86'400) * 1000));
}

}  // namespace

Attempt classify_status(int status, std::string_view retry_after, WallTime now) {
  Attempt attempt;
  attempt.detail = fmt::format("HTTP {}", status);
  if (status >= 200 && status < 300) return attempt;
  attempt.retry_after = parse_retry_after(retry_after, now);
  if (status == 401 || status == 403 || status == 407) {
    attempt.verdict = Verdict::auth;
    attempt.error = DeliveryError::auth;
  } else if (status == 408 || status == 425 || status == 429) {
    attempt.verdict = Verdict::throttled;
    attempt.error = DeliveryError::throttled;
  } else if (status >= 500) {
    const bool throttled = attempt.retry_after.count() > 0;
    attempt.verdict = throttled ? Verdict::throttled : Verdict::transient;
    attempt.error = throttled ? DeliveryError::throttled : DeliveryError::status_server;
  } else {
    attempt.verdict = Verdict::permanent;
    attempt.error = DeliveryError::status_client;
  }
  return attempt;
}

}  // namespace tocsin::deliver
