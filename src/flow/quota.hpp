#pragma once
// Rates that ingress enforces: token buckets per key, source and address.

#include <cstdint>
#include <optional>
#include <string_view>

#include <tocsin/time.hpp>

#include "io/io.hpp"

namespace tocsin::flow {

/// What a request or publish is charged to. Shared by all reactors; any thread; never blocks for
/// longer than a short lock on one shard.
class Quotas {
 public:
  /// Takes `events` tokens of the client's buckets. Nothing: allowed. Otherwise how long until that
  /// many will be there again (for Retry-After); nothing was taken then.
  [[nodiscard]] virtual std::optional<Duration> take_client(std::string_view key,
                                                            const io::Endpoint& peer,
                                                            std::uint32_t events,
                                                            MonoTime now) noexcept = 0;
  /// The same for an event source's bucket.
  [[nodiscard]] virtual std::optional<Duration> take_source(std::string_view source,
                                                            std::uint32_t events,
                                                            MonoTime now) noexcept = 0;
  /// False while no quota is configured at all: callers skip the calls above.
  [[nodiscard]] virtual bool enabled() const noexcept = 0;

 protected:
  ~Quotas() = default;
};

}  // namespace tocsin::flow
