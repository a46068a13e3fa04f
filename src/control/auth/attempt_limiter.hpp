#pragma once
// Slows down who guesses: exponential waits after failures from one address, and a share of the
// hashing queue for each.

#include <cstdint>
#include <mutex>
#include <vector>

#include <tocsin/time.hpp>

#include "control/auth/address_key.hpp"
#include "io/io.hpp"

namespace tocsin::auth {

struct AttemptLimits {
  std::uint32_t failures_free = 5;
  Duration delay = std::chrono::milliseconds(250);
  Duration delay_max = std::chrono::minutes(1);
  std::uint32_t pending_max = 64;  ///< Of one address.
};

/// A fixed number of addresses is remembered. When a bucket is full the one nearest to being
/// forgotten makes room: who owns very many addresses is held back by the queue's bound alone. Any
/// thread.
class AttemptLimiter {
 public:
  AttemptLimiter(const AttemptLimits& limits, std::uint64_t seed);

  /// Whether the address may have a password checked now; then finished() must follow.
  [[nodiscard]] bool begin(const io::Endpoint& peer, MonoTime now) noexcept;
  void finished(const io::Endpoint& peer, bool failed, MonoTime now) noexcept;
  /// A failure that cost nothing to find.
  void failed(const io::Endpoint& peer, MonoTime now) noexcept;

 private:
  struct Entry {
    AddressKey key;
    std::uint32_t pending = 0;
    std::uint32_t failures = 0;
    MonoTime blocked_until = MonoTime::min();
    MonoTime counted_at = MonoTime::min();  // Failures are as of then.
    [[nodiscard]] bool unused() const noexcept { return pending == 0 && failures == 0; }
  };
  static constexpr std::size_t ways = 8;
  static constexpr std::size_t sets = 512;

  Entry* find(const AddressKey& key) noexcept;
  /// Null when every entry of the set has a check under way.
  Entry* obtain(const AddressKey& key, MonoTime now) noexcept;
  void count_failure(Entry& entry, MonoTime now) noexcept;

  const AttemptLimits limits_;
  const std::uint64_t seed_;
  std::mutex mutex_;
  std::vector<Entry> entries_;
};

}  // namespace tocsin::auth
