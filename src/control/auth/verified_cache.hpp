#pragma once
// Remembers which passwords were verified, so that ten thousand devices that reconnect do not cost
// ten thousand times an Argon2.
//
// Why that is safe: an entry is a hash of user, password hash and password under a random key that
// only this process's memory holds. Without the key it says nothing about a password; who can read
// our memory sees passwords arrive anyway. Only successes are kept, so a wrong password always
// costs the full price. A changed password has another hash and so another entry.

#include <array>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <vector>

#include <tocsin/time.hpp>

namespace tocsin::auth {

class VerifiedCache {
 public:
  using Key = std::array<std::uint8_t, 16>;

  /// Keeps at most `entries_max` entries, each for `lifetime`.
  VerifiedCache(std::uint32_t entries_max, Duration lifetime);
  VerifiedCache(const VerifiedCache&) = delete;
  VerifiedCache& operator=(const VerifiedCache&) = delete;
  ~VerifiedCache();

  [[nodiscard]] Key key_of(std::string_view user, std::string_view password_hash,
                           std::string_view password) const noexcept;
  [[nodiscard]] bool contains(const Key& key, MonoTime now) noexcept;
  /// A full set gives up its oldest entry.
  void add(const Key& key, MonoTime now);
  void clear() noexcept;

 private:
  struct Entry {
    Key key{};
    MonoTime expires = MonoTime::min();
  };
  static constexpr std::size_t ways = 4;

  [[nodiscard]] std::size_t set_of(const Key& key) const noexcept;

  const std::size_t sets_;
  const Duration lifetime_;
  std::array<std::uint8_t, 32> secret_{};
  std::mutex mutex_;
  std::vector<Entry> entries_;  // Nothing until the first one is added.
};

}  // namespace tocsin::auth
