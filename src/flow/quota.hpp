#pragma once
// Rates that ingress enforces: token buckets per key, source and address.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include <tocsin/time.hpp>

#include "io/io.hpp"

namespace tocsin::flow {

/// One bucket as its client may see it.
struct QuotaState {
  std::string_view name;  ///< "client" or "address".
  std::uint32_t burst = 0;
  Duration window{};  ///< How long an empty bucket takes to fill.
  std::uint32_t left = 0;
  Duration wait{};  ///< Until one event is allowed.
};
struct ClientQuotas {
  std::array<QuotaState, 2> states;
  std::size_t count = 0;
};

/// What a request or publish is charged to. Shared by all reactors; any thread; never blocks for
/// longer than a short lock on one shard.
class Quotas {
 public:
  /// Takes `events` tokens of the client's buckets. Nothing: allowed. Otherwise how long until that
  /// many will be there again (for Retry-After); nothing was taken then. `key` is the name of the
  /// user, token or certificate; anonymous clients (empty) of one address share a bucket. With 0
  /// events: whether one would be allowed.
  [[nodiscard]] virtual std::optional<Duration> take_client(std::string_view key,
                                                            const io::Endpoint& peer,
                                                            std::uint32_t events,
                                                            MonoTime now) noexcept = 0;
  /// The same for an event source's bucket.
  [[nodiscard]] virtual std::optional<Duration> take_source(std::string_view source,
                                                            std::uint32_t events,
                                                            MonoTime now) noexcept = 0;
  /// Puts back what take_client() took: for events that were turned away for our own reasons.
  virtual void give_back(std::string_view, const io::Endpoint&, std::uint32_t, MonoTime) noexcept {}
  /// The client's buckets as they are: for the answer that says that they are empty.
  [[nodiscard]] virtual ClientQuotas look(std::string_view, const io::Endpoint&,
                                          MonoTime) noexcept {
    return {};
  }
  /// False while no quota is configured at all: callers skip the calls above.
  [[nodiscard]] virtual bool enabled() const noexcept = 0;

 protected:
  ~Quotas() = default;
};

}  // namespace tocsin::flow
