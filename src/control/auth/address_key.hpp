#pragma once
// Whom a limit per address means: an IPv4 address, or the /64 that one IPv6 subscriber has for
// himself.

#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/hash.hpp"
#include "io/io.hpp"

namespace tocsin::auth {

struct AddressKey {
  std::uint64_t bits = 0;
  io::Endpoint::Family family = io::Endpoint::Family::v4;
  bool operator==(const AddressKey&) const = default;

  [[nodiscard]] static AddressKey of(const io::Endpoint& peer) noexcept {
    AddressKey key{.bits = 0, .family = peer.family};
    const std::size_t size = peer.family == io::Endpoint::Family::v4 ? 4 : sizeof key.bits;
    std::memcpy(&key.bits, peer.address.data(), size);
    return key;
  }
  /// `seed` is secret, or a peer could choose addresses that collide.
  [[nodiscard]] std::uint64_t hash(std::uint64_t seed) const noexcept {
    const auto mark = static_cast<std::uint64_t>(family);
    return hash64({reinterpret_cast<const char*>(&bits), sizeof bits}, seed ^ mark);
  }
};

}  // namespace tocsin::auth
