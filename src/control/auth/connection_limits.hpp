#pragma once
// How many connections an address may have, and how fast it may open them.

#include <cstdint>
#include <functional>
#include <mutex>
#include <unordered_map>

#include <tocsin/time.hpp>

#include "base/metrics.hpp"
#include "control/auth/address_key.hpp"
#include "io/address_gate.hpp"

namespace tocsin::auth {

/// Counts over all reactors. An address is remembered while it has a connection, and the others
/// until there are too many of them. Any thread.
class ConnectionLimits final : public io::AddressGate, public MetricSource {
 public:
  struct Limits {
    std::uint32_t connections_max = 0;     ///< 0 = no limit.
    std::uint32_t connects_per_s_max = 0;  ///< 0 = no limit; ten times as many at once.
  };
  using Clock = std::function<MonoTime()>;

  ConnectionLimits(const Limits& limits, std::uint64_t seed, Clock clock);

  [[nodiscard]] bool admit(const io::Endpoint& peer) noexcept override;
  void release(const io::Endpoint& peer) noexcept override;
  void describe(MetricSink& sink) const override;

 private:
  struct Entry {
    std::uint32_t connections = 0;
    double tokens = 0;
    MonoTime filled_at{};
  };
  struct KeyHash {
    std::uint64_t seed;
    std::size_t operator()(const AddressKey& key) const noexcept {
      return static_cast<std::size_t>(key.hash(seed));
    }
  };

  [[nodiscard]] bool take_token(Entry& entry, MonoTime now) const noexcept;
  void forget_idle();

  const Limits limits_;
  const Clock clock_;
  std::mutex mutex_;
  std::unordered_map<AddressKey, Entry, KeyHash> entries_;
  std::size_t idle_ = 0;  // Entries without a connection.
  SharedCounter refused_connections_;
  SharedCounter refused_rate_;
};

}  // namespace tocsin::auth
