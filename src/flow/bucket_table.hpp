#pragma once
// A bounded number of token buckets by key, shared by all reactors.

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include <tocsin/time.hpp>

#include "base/hash.hpp"

namespace tocsin::flow {

/// Any thread. A key is remembered by a 128-bit hash with a secret seed.
///
/// A bucket that is full again is worth nothing, and makes room for a new key; the one unused for
/// longest goes first. One that still lacks tokens is never forgotten, or a client could fill its
/// own bucket by flooding the table with other keys: while no room can be made, all new keys of a
/// shard share one bucket.
class BucketTable {
 public:
  /// Buckets of one key: each the time when it is full again.
  using Buckets = std::array<MonoTime, 2>;

  /// Room for `keys_max` keys, at least one a shard. 0: the table is never used.
  BucketTable(std::size_t keys_max, Hash128 seed);

  /// What use(Buckets&) returns, called under the lock of the key's shard.
  template <class Use>
  auto with(std::string_view key, MonoTime now, Use&& use) {
    const Hash128 hash = hash128(key, seed_);
    Shard& shard = shards_[hash.hi % shard_count];
    const std::scoped_lock lock(shard.mutex);
    return std::forward<Use>(use)(buckets_of(shard, hash, now));
  }

  [[nodiscard]] std::size_t size() const;
  /// How often a key had to share a bucket.
  [[nodiscard]] std::uint64_t shared() const;

  /// Bytes that a key takes.
  [[nodiscard]] static constexpr std::size_t key_size() noexcept { return sizeof(Entry) + 8; }

 private:
  static constexpr std::size_t shard_count = 16;
  static constexpr std::uint32_t none = UINT32_MAX;

  struct Entry {
    Hash128 key;
    Buckets buckets;
    std::uint32_t next = none;   // Of the same hash chain.
    std::uint32_t newer = none;  // By last use.
    std::uint32_t older = none;
  };
  struct Shard {
    mutable std::mutex mutex;
    std::vector<std::uint32_t> chains;  // Size is a power of two.
    std::vector<Entry> entries;         // Never more than reserved.
    std::uint32_t newest = none;
    std::uint32_t oldest = none;
    Buckets overflow;
    std::uint64_t shared = 0;
  };

  [[nodiscard]] static Buckets& buckets_of(Shard& shard, const Hash128& key, MonoTime now) noexcept;
  [[nodiscard]] static std::uint32_t find(const Shard& shard, const Hash128& key) noexcept;
  [[nodiscard]] static std::uint32_t make_room(Shard& shard, MonoTime now) noexcept;
  static void unchain(Shard& shard, std::uint32_t index) noexcept;
  static void unlist(Shard& shard, std::uint32_t index) noexcept;
  static void list_newest(Shard& shard, std::uint32_t index) noexcept;
  [[nodiscard]] static std::uint32_t& chain_of(Shard& shard, const Hash128& key) noexcept {
    return shard.chains[static_cast<std::size_t>(key.lo) & (shard.chains.size() - 1)];
  }

  Hash128 seed_;
  std::array<Shard, shard_count> shards_;
};

}  // namespace tocsin::flow
