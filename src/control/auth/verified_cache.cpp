#include "control/auth/verified_cache.hpp"

#include <sodium.h>

#include <algorithm>
#include <cstring>
#include <span>

namespace tocsin::auth {

VerifiedCache::VerifiedCache(std::uint32_t entries_max, Duration lifetime)
    : sets_(entries_max / ways), lifetime_(lifetime) {
  randombytes_buf(secret_.data(), secret_.size());
}

VerifiedCache::~VerifiedCache() { sodium_memzero(secret_.data(), secret_.size()); }

VerifiedCache::Key VerifiedCache::key_of(std::string_view user, std::string_view password_hash,
                                         std::string_view password) const noexcept {
  crypto_generichash_state state;
  crypto_generichash_init(&state, secret_.data(), secret_.size(), sizeof(Key));
  for (const std::string_view part : {user, password_hash, password}) {
    // Sizes count, so that ("ab", "c") and ("a", "bc") differ.
    const std::uint64_t size = part.size();
    crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(&size), sizeof size);
    crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(part.data()),
                              part.size());
  }
  Key key{};
  crypto_generichash_final(&state, key.data(), key.size());
  return key;
}

std::size_t VerifiedCache::set_of(const Key& key) const noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, key.data(), sizeof word);
  return static_cast<std::size_t>(word % sets_);
}

bool VerifiedCache::contains(const Key& key, MonoTime now) noexcept {
  const std::scoped_lock lock(mutex_);
  if (entries_.empty()) return false;
  bool found = false;
  for (Entry& entry : std::span(entries_).subspan(set_of(key) * ways, ways)) {
    if (sodium_memcmp(entry.key.data(), key.data(), key.size()) != 0) continue;
    found |= now < entry.expires;
  }
  return found;
}

void VerifiedCache::add(const Key& key, MonoTime now) {
  const std::scoped_lock lock(mutex_);
  if (sets_ == 0) return;
  if (entries_.empty()) entries_.resize(sets_ * ways);
  const auto set = std::span(entries_).subspan(set_of(key) * ways, ways);
  auto entry = std::ranges::find(set, key, &Entry::key);
  if (entry == set.end()) entry = std::ranges::min_element(set, {}, &Entry::expires);
  *entry = {.key = key, .expires = now + lifetime_};
}

void VerifiedCache::clear() noexcept {
  const std::scoped_lock lock(mutex_);
  std::ranges::fill(entries_, Entry{});
}

}  // namespace tocsin::auth
