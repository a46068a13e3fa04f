#include "control/auth/attempt_limiter.hpp"

#include <algorithm>
#include <cassert>
#include <span>

namespace tocsin::auth {
namespace {

constexpr Duration forget_one_after = std::chrono::minutes(1);
// Failures beyond this lengthen no wait: they would only take longer to be forgotten.
constexpr std::uint32_t failures_over_max = 24;

}  // namespace

AttemptLimiter::AttemptLimiter(const AttemptLimits& limits, std::uint64_t seed)
    : limits_(limits), seed_(seed), entries_(sets * ways) {}

AttemptLimiter::Entry* AttemptLimiter::find(const AddressKey& key) noexcept {
  const std::size_t set = key.hash(seed_) % sets;
  for (Entry& entry : std::span(entries_).subspan(set * ways, ways)) {
    if (!entry.unused() && entry.key == key) return &entry;
  }
  return nullptr;
}

AttemptLimiter::Entry* AttemptLimiter::obtain(const AddressKey& key, MonoTime now) noexcept {
  if (Entry* const found = find(key)) {
    const auto minutes = static_cast<std::uint64_t>(
        std::max<Duration::rep>((now - found->counted_at) / forget_one_after, 0));
    if (minutes > 0) {
      found->failures -=
          static_cast<std::uint32_t>(std::min<std::uint64_t>(minutes, found->failures));
      found->counted_at = now;
    }
    return found;
  }
  const std::size_t set = key.hash(seed_) % sets;
  Entry* best = nullptr;
  for (Entry& entry : std::span(entries_).subspan(set * ways, ways)) {
    if (entry.pending > 0) continue;
    if (best == nullptr || entry.failures < best->failures ||
        (entry.failures == best->failures && entry.counted_at < best->counted_at)) {
      best = &entry;
    }
  }
  if (best != nullptr) *best = Entry{.key = key, .counted_at = now};
  return best;
}

void AttemptLimiter::count_failure(Entry& entry, MonoTime now) noexcept {
  entry.failures = std::min(entry.failures + 1, limits_.failures_free + failures_over_max);
  if (entry.failures <= limits_.failures_free) return;
  const std::uint32_t over = entry.failures - limits_.failures_free - 1;
  Duration wait = limits_.delay;
  for (std::uint32_t i = 0; i < over && wait < limits_.delay_max; ++i) wait *= 2;
  entry.blocked_until = now + std::min(wait, limits_.delay_max);
}

bool AttemptLimiter::begin(const io::Endpoint& peer, MonoTime now) noexcept {
  const std::scoped_lock lock(mutex_);
  Entry* const entry = obtain(AddressKey::of(peer), now);
  if (entry == nullptr || entry->pending >= limits_.pending_max) return false;
  if (now < entry->blocked_until) return false;
  ++entry->pending;
  return true;
}

void AttemptLimiter::finished(const io::Endpoint& peer, bool failed, MonoTime now) noexcept {
  const std::scoped_lock lock(mutex_);
  Entry* const entry = find(AddressKey::of(peer));
  assert(entry != nullptr && entry->pending > 0);
  // Counted before the entry may look unused. A success clears nothing: who has one account of his
  // own must not get a fresh start on the others'.
  if (failed) count_failure(*entry, now);
  --entry->pending;
}

void AttemptLimiter::failed(const io::Endpoint& peer, MonoTime now) noexcept {
  const std::scoped_lock lock(mutex_);
  if (Entry* const entry = obtain(AddressKey::of(peer), now)) count_failure(*entry, now);
}

}  // namespace tocsin::auth
