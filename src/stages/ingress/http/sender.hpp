#pragma once
// Who stands behind a connection, and what its events are charged to.

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <tocsin/time.hpp>

#include "base/hash.hpp"
#include "flow/access.hpp"
#include "flow/quota.hpp"
#include "io/io.hpp"
#include "protocol/http/head.hpp"

namespace tocsin::ingress {

/// The one Authorization field; empty when there is none, nothing when there are several.
[[nodiscard]] inline std::optional<std::string_view> authorization_of(
    const http::Headers& headers) noexcept {
  if (headers.count(http::Field::authorization) > 1) return std::nullopt;
  return headers.find(http::Field::authorization).value_or(std::string_view{});
}

/// Whom the requests of one connection come from, as far as it has been proven.
struct HttpClient {
  std::string certificate_name;
  std::shared_ptr<const flow::Identity> identity;
  bool shown = false;  ///< There was an Authorization field.
  Hash128 proof;       ///< Of the Authorization field that `identity` was given for.
  /// A proof is not checked again before: that would cost more than the request.
  MonoTime valid_until = MonoTime::min();
};

/// On whose account a request is.
struct Sender {
  const flow::Identity* identity = nullptr;  ///< Null: nobody authenticates.
  io::Endpoint peer;
  flow::Quotas* quotas = nullptr;  ///< Null: nothing is counted.

  [[nodiscard]] std::string_view key() const noexcept {
    return identity == nullptr ? std::string_view{} : identity->user();
  }
  [[nodiscard]] std::optional<Duration> take(std::uint32_t events, MonoTime now) const noexcept {
    return quotas == nullptr ? std::nullopt : quotas->take_client(key(), peer, events, now);
  }
  void give_back(std::uint32_t events, MonoTime now) const noexcept {
    if (quotas != nullptr && events > 0) quotas->give_back(key(), peer, events, now);
  }
};

}  // namespace tocsin::ingress
