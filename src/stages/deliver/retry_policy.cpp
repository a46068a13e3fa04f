#include "stages/deliver/retry_policy.hpp"

#include <algorithm>
#include <cassert>
#include <charconv>

namespace tocsin::deliver {
namespace {

constexpr std::size_t schedule_entries_max = 32;
constexpr Duration wait_max = std::chrono::hours{24 * 30};

std::string_view trim(std::string_view text) noexcept {
  const std::size_t first = text.find_first_not_of(' ');
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

std::optional<Duration> unit(std::string_view name) noexcept {
  if (name == "ms") return std::chrono::milliseconds{1};
  if (name == "s") return std::chrono::seconds{1};
  if (name == "m") return std::chrono::minutes{1};
  if (name == "h") return std::chrono::hours{1};
  if (name == "d") return std::chrono::hours{24};
  return std::nullopt;
}

std::optional<Duration> parse_wait(std::string_view text) noexcept {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || number <= 0) return std::nullopt;
  const auto step = unit(text.substr(static_cast<std::size_t>(end - text.data())));
  if (!step || number > wait_max / *step) return std::nullopt;
  return *step * number;
}

}  // namespace

std::optional<std::vector<Duration>> parse_schedule(std::string_view text) {
  std::vector<Duration> schedule;
  for (;;) {
    const std::size_t comma = text.find(',');
    const auto wait = parse_wait(trim(text.substr(0, comma)));
    if (!wait || schedule.size() == schedule_entries_max) return std::nullopt;
    schedule.push_back(*wait);
    if (comma == text.npos) return schedule;
    text.remove_prefix(comma + 1);
  }
}

Decision RetryPolicy::decide(const Attempt& attempt, std::uint32_t attempts, MonoTime now,
                             std::uint64_t random) const noexcept {
  assert(attempts > 0);
  assert(!schedule.empty());
  switch (attempt.verdict) {
    case Verdict::delivered:
      return {};
    case Verdict::auth:
      return {.kind = Decision::Kind::dead, .reason = DeliveryError::auth};
    case Verdict::permanent:
      return {
          .kind = Decision::Kind::dead,
          .reason = attempt.error == DeliveryError::none ? DeliveryError::protocol : attempt.error};
    case Verdict::transient:
    case Verdict::throttled:
      break;
  }
  if (attempts >= attempts_max) {
    return {.kind = Decision::Kind::dead, .reason = DeliveryError::exhausted};
  }
  Duration wait = schedule[std::min<std::size_t>(attempts - 1, schedule.size() - 1)];
  if (jitter) {
    wait = Duration{
        static_cast<Duration::rep>(random % (static_cast<std::uint64_t>(wait.count()) + 1))};
  }
  const Duration floor = std::min<Duration>(attempt.retry_after, retry_after_max);
  return {.kind = Decision::Kind::retry, .retry_at = now + std::max(wait, floor)};
}

}  // namespace tocsin::deliver
