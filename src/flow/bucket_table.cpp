#include "flow/bucket_table.hpp"

#include <algorithm>
#include <bit>

namespace tocsin::flow {
namespace {

constexpr BucketTable::Buckets full{MonoTime::min(), MonoTime::min()};

bool all_full(const BucketTable::Buckets& buckets, MonoTime now) noexcept {
  return std::ranges::all_of(buckets, [&](MonoTime full_at) { return full_at <= now; });
}

}  // namespace

BucketTable::BucketTable(std::size_t keys_max, Hash128 seed) : seed_(seed) {
  if (keys_max == 0) return;
  const std::size_t each = (keys_max + shard_count - 1) / shard_count;
  for (Shard& shard : shards_) {
    shard.chains.assign(std::bit_ceil(each), none);
    shard.entries.reserve(each);  // Pages that are never touched cost nothing.
    shard.overflow = full;
  }
}

std::size_t BucketTable::size() const {
  std::size_t total = 0;
  for (const Shard& shard : shards_) {
    const std::scoped_lock lock(shard.mutex);
    total += shard.entries.size();
  }
  return total;
}

std::uint64_t BucketTable::shared() const {
  std::uint64_t total = 0;
  for (const Shard& shard : shards_) {
    const std::scoped_lock lock(shard.mutex);
    total += shard.shared;
  }
  return total;
}

BucketTable::Buckets& BucketTable::buckets_of(Shard& shard, const Hash128& key,
                                              MonoTime now) noexcept {
  std::uint32_t index = find(shard, key);
  if (index != none) {
    if (index == shard.newest) return shard.entries[index].buckets;
    unlist(shard, index);
  } else {
    index = make_room(shard, now);
    if (index == none) {
      ++shard.shared;
      return shard.overflow;
    }
    std::uint32_t& chain = chain_of(shard, key);
    shard.entries[index] = {.key = key, .buckets = full, .next = chain};
    chain = index;
  }
  list_newest(shard, index);
  return shard.entries[index].buckets;
}

std::uint32_t BucketTable::find(const Shard& shard, const Hash128& key) noexcept {
  std::uint32_t at = shard.chains[static_cast<std::size_t>(key.lo) & (shard.chains.size() - 1)];
  while (at != none && !(shard.entries[at].key == key)) at = shard.entries[at].next;
  return at;
}

// Of those unused for longest only a few are looked at: work per call stays bounded.
std::uint32_t BucketTable::make_room(Shard& shard, MonoTime now) noexcept {
  if (shard.entries.size() < shard.entries.capacity()) {
    shard.entries.emplace_back();
    return static_cast<std::uint32_t>(shard.entries.size() - 1);
  }
  constexpr int looks = 8;
  std::uint32_t at = shard.oldest;
  for (int i = 0; i < looks && at != none; ++i, at = shard.entries[at].newer) {
    if (!all_full(shard.entries[at].buckets, now)) continue;
    unlist(shard, at);
    unchain(shard, at);
    return at;
  }
  return none;
}

void BucketTable::unchain(Shard& shard, std::uint32_t index) noexcept {
  std::uint32_t* link = &chain_of(shard, shard.entries[index].key);
  while (*link != index) link = &shard.entries[*link].next;
  *link = shard.entries[index].next;
}

void BucketTable::unlist(Shard& shard, std::uint32_t index) noexcept {
  const Entry& entry = shard.entries[index];
  (entry.newer == none ? shard.newest : shard.entries[entry.newer].older) = entry.older;
  (entry.older == none ? shard.oldest : shard.entries[entry.older].newer) = entry.newer;
}

void BucketTable::list_newest(Shard& shard, std::uint32_t index) noexcept {
  Entry& entry = shard.entries[index];
  entry.newer = none;
  entry.older = shard.newest;
  (shard.newest == none ? shard.oldest : shard.entries[shard.newest].newer) = index;
  shard.newest = index;
}

}  // namespace tocsin::flow
