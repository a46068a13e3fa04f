#include "control/auth/connection_limits.hpp"

#include <algorithm>
#include <utility>

namespace tocsin::auth {
namespace {

// Addresses without a connection that are remembered for their rate.
constexpr std::size_t idle_max = 16'384;
constexpr double burst_s = 10;

}  // namespace

ConnectionLimits::ConnectionLimits(const Limits& limits, std::uint64_t seed, Clock clock)
    : limits_(limits), clock_(std::move(clock)), entries_(0, KeyHash{seed}) {}

bool ConnectionLimits::take_token(Entry& entry, MonoTime now) const noexcept {
  if (limits_.connects_per_s_max == 0) return true;
  const double rate = limits_.connects_per_s_max;
  const double elapsed_s = std::chrono::duration<double>(now - entry.filled_at).count();
  entry.tokens = std::min(rate * burst_s, entry.tokens + std::max(elapsed_s, 0.0) * rate);
  entry.filled_at = now;
  if (entry.tokens < 1) return false;
  entry.tokens -= 1;
  return true;
}

// All at once: that is rare, and an attacker with so many addresses is not slowed down by this.
void ConnectionLimits::forget_idle() {
  std::erase_if(entries_, [](const auto& item) { return item.second.connections == 0; });
  idle_ = 0;
}

bool ConnectionLimits::admit(const io::Endpoint& peer) noexcept {
  const MonoTime now = clock_();
  const std::scoped_lock lock(mutex_);
  if (idle_ > idle_max) forget_idle();
  const Entry fresh{
      .connections = 0, .tokens = limits_.connects_per_s_max * burst_s, .filled_at = now};
  const auto [it, created] = entries_.try_emplace(AddressKey::of(peer), fresh);
  if (created) ++idle_;
  Entry& entry = it->second;
  if (limits_.connections_max > 0 && entry.connections >= limits_.connections_max) {
    refused_connections_.add();
    return false;
  }
  if (!take_token(entry, now)) {
    refused_rate_.add();
    return false;
  }
  if (entry.connections++ == 0) --idle_;
  return true;
}

void ConnectionLimits::release(const io::Endpoint& peer) noexcept {
  const std::scoped_lock lock(mutex_);
  const auto it = entries_.find(AddressKey::of(peer));
  if (it == entries_.end() || it->second.connections == 0) return;
  if (--it->second.connections > 0) return;
  if (limits_.connects_per_s_max == 0) {
    entries_.erase(it);
  } else {
    ++idle_;
  }
}

void ConnectionLimits::describe(MetricSink& sink) const {
  constexpr std::string_view name = "tocsin_connections_refused_total";
  constexpr std::string_view help = "Connections closed at once, by the limit of their address.";
  sink.counter(name, help, {{"limit", "connections"}}, refused_connections_.get());
  sink.counter(name, help, {{"limit", "rate"}}, refused_rate_.get());
}

}  // namespace tocsin::auth
