#pragma once
// Where the process may connect to on behalf of a user. The one place that decides it: checked on
// the resolved address, at connect time, and that very address is then connected to, so that a
// second DNS answer (rebinding) changes nothing.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tocsin/result.hpp>

#include "io/io.hpp"

namespace tocsin::io {

/// An address range, such as 10.0.0.0/8 or fd00::/8.
struct Network {
  Endpoint base;
  std::uint8_t prefix_bits = 0;
  [[nodiscard]] bool contains(const Endpoint& endpoint) const noexcept;
};
/// "10.0.0.0/8", or a bare address for a single host.
[[nodiscard]] std::optional<Network> parse_network(std::string_view text);

class EgressPolicy {
 public:
  /// `allowed`: networks that may be reached although they are not public.
  explicit EgressPolicy(std::vector<Network> allowed = {}) : allowed_(std::move(allowed)) {}

  /// Whether a connection to this address may be made: public unicast addresses may; loopback,
  /// link-local, private, carrier-grade NAT, documentation, multicast, reserved, and IPv6 forms
  /// that embed an IPv4 address (mapped, NAT64, 6to4, Teredo) of that kind only when listed.
  [[nodiscard]] bool permits(const Endpoint& endpoint) const noexcept;

 private:
  std::vector<Network> allowed_;
};

/// Whether an address is public unicast (IANA special-purpose registries, RFC 6890).
[[nodiscard]] bool is_public(const Endpoint& endpoint) noexcept;

/// Whether `host` is safe to hand to a resolver: letters, digits, '-', '.', or a canonical address.
/// Refuses what looks like a number but is not canonical ("2130706433", "0x7f.1", "0177.0.0.1"),
/// because libraries differ in what they make of it.
[[nodiscard]] bool host_acceptable(std::string_view host) noexcept;

}  // namespace tocsin::io
