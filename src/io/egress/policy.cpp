#include "io/egress/policy.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

namespace tocsin::io {
namespace {

struct Range4 {
  std::array<std::uint8_t, 4> base;
  std::uint8_t bits;
};
// RFC 6890 and its registry: everything that is not globally reachable unicast.
constexpr std::array special4{
    Range4{{0, 0, 0, 0}, 8},      Range4{{10, 0, 0, 0}, 8},     Range4{{100, 64, 0, 0}, 10},
    Range4{{127, 0, 0, 0}, 8},    Range4{{169, 254, 0, 0}, 16}, Range4{{172, 16, 0, 0}, 12},
    Range4{{192, 0, 0, 0}, 24},   Range4{{192, 0, 2, 0}, 24},   Range4{{192, 88, 99, 0}, 24},
    Range4{{192, 168, 0, 0}, 16}, Range4{{198, 18, 0, 0}, 15},  Range4{{198, 51, 100, 0}, 24},
    Range4{{203, 0, 113, 0}, 24}, Range4{{224, 0, 0, 0}, 4},    Range4{{240, 0, 0, 0}, 4}};

bool prefix_equal(const std::uint8_t* a, const std::uint8_t* b, unsigned bits) noexcept {
  for (; bits >= 8; bits -= 8, ++a, ++b) {
    if (*a != *b) return false;
  }
  return bits == 0 || (*a >> (8 - bits)) == (*b >> (8 - bits));
}

bool is_public4(const std::uint8_t* address) noexcept {
  return std::ranges::none_of(special4, [&](const Range4& range) {
    return prefix_equal(address, range.base.data(), range.bits);
  });
}

bool is_public6(const std::array<std::uint8_t, 16>& a) noexcept {
  // Only 2000::/3 is global unicast today; within it, forms that carry an IPv4 address lead
  // wherever that address leads, and 2001::/23 (Teredo, ORCHID...) and documentation prefixes lead
  // nowhere that a webhook should go.
  constexpr std::array<std::uint8_t, 12> nat64{0x00, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0};
  if (std::equal(nat64.begin(), nat64.end(), a.begin())) return is_public4(a.data() + 12);
  if ((a[0] & 0xE0U) != 0x20) return false;
  if (a[0] == 0x20 && a[1] == 0x02) return is_public4(a.data() + 2);
  if (a[0] == 0x20 && a[1] == 0x01 && a[2] < 0x02) return false;
  if (a[0] == 0x20 && a[1] == 0x01 && a[2] == 0x0D && a[3] == 0xB8) return false;
  return !(a[0] == 0x3F && a[1] == 0xFF && a[2] < 0x10);
}

// ::ffff:a.b.c.d is connected to as IPv4: judge it as such.
Endpoint unmapped(const Endpoint& endpoint) noexcept {
  constexpr std::array<std::uint8_t, 12> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  if (endpoint.family != Endpoint::Family::v6 ||
      !std::equal(mapped.begin(), mapped.end(), endpoint.address.begin())) {
    return endpoint;
  }
  Endpoint v4;
  v4.port = endpoint.port;
  std::copy_n(endpoint.address.begin() + 12, 4, v4.address.begin());
  return v4;
}

bool looks_numeric(std::string_view label) noexcept {
  if (label.empty()) return false;
  if (label.starts_with("0x") || label.starts_with("0X")) return true;
  return std::ranges::all_of(label, [](unsigned char c) { return std::isdigit(c) != 0; });
}

}  // namespace

bool is_public(const Endpoint& endpoint) noexcept {
  const Endpoint e = unmapped(endpoint);
  return e.family == Endpoint::Family::v4 ? is_public4(e.address.data()) : is_public6(e.address);
}

bool Network::contains(const Endpoint& endpoint) const noexcept {
  const Endpoint e = unmapped(endpoint);
  return e.family == base.family &&
         prefix_equal(e.address.data(), base.address.data(), prefix_bits);
}

std::optional<Network> parse_network(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto base = parse_address(text.substr(0, slash), 0);
  if (!base) return std::nullopt;
  const std::uint8_t bits_max = base->family == Endpoint::Family::v4 ? 32 : 128;
  Network network{.base = *base, .prefix_bits = bits_max};
  if (slash == text.npos) return network;
  const std::string_view bits = text.substr(slash + 1);
  const auto [end, error] =
      std::from_chars(bits.data(), bits.data() + bits.size(), network.prefix_bits);
  if (error != std::errc{} || end != bits.data() + bits.size() || network.prefix_bits > bits_max) {
    return std::nullopt;
  }
  return network;
}

bool EgressPolicy::permits(const Endpoint& endpoint) const noexcept {
  return is_public(endpoint) ||
         std::ranges::any_of(allowed_, [&](const Network& n) { return n.contains(endpoint); });
}

bool host_acceptable(std::string_view host) noexcept {
  if (host.empty() || host.size() > 253) return false;
  if (parse_address(host, 0)) return true;
  const bool charset = std::ranges::all_of(host, [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_';
  });
  if (!charset || host.front() == '.' || host.find("..") != host.npos) return false;
  if (host.back() == '.') host.remove_suffix(1);
  const std::size_t dot = host.rfind('.');
  return !looks_numeric(dot == host.npos ? host : host.substr(dot + 1));
}

}  // namespace tocsin::io
