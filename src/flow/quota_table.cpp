#include "flow/quota_table.hpp"

#include <algorithm>

namespace tocsin::flow {
namespace {

constexpr std::size_t own = 0;        // Of the key itself.
constexpr std::size_t anonymous = 1;  // Of the anonymous clients of an address.

// Whoever has one IPv6 address has 2^64 of them.
std::string_view network_of(const io::Endpoint& peer) noexcept {
  const std::size_t size = peer.family == io::Endpoint::Family::v4 ? 4 : 8;
  return {reinterpret_cast<const char*>(peer.address.data()), size};
}

QuotaState state_of(std::string_view name, const TokenRate& rate, MonoTime full_at,
                    MonoTime now) noexcept {
  return {.name = name,
          .burst = rate.burst(),
          .window = rate.window(),
          .left = rate.left(full_at, now),
          .wait = rate.take(full_at, 0, now).value_or(Duration{0})};
}

}  // namespace

QuotaTable::Settings QuotaTable::Settings::from(const OptionValues& values) {
  const auto number = [&](std::string_view key) {
    return static_cast<std::uint32_t>(values.number(key));
  };
  return {.client_rate = number("client_rate"),
          .client_burst = number("client_burst"),
          .address_rate = number("address_rate"),
          .address_burst = number("address_burst"),
          .buckets_max = number("buckets_max")};
}

QuotaTable::QuotaTable(const Settings& settings, std::uint64_t seed)
    : client_(settings.client_rate, settings.client_burst),
      address_(settings.address_rate, settings.address_burst),
      clients_(client_.limited() ? settings.buckets_max / 2 : 0, {.hi = seed, .lo = ~seed}),
      addresses_(client_.limited() || address_.limited() ? settings.buckets_max / 2 : 0,
                 {.hi = ~seed, .lo = seed}) {
  set_sources({});
}

void QuotaTable::set_sources(const std::vector<SourceConfig>& sources) {
  const std::scoped_lock lock(sources_mutex_);
  Sources next;
  for (const SourceConfig& source : sources) {
    if (source.rate == 0) continue;
    Source made{.rate = TokenRate(source.rate, source.burst)};
    const auto before = sources_.find(source.name);
    if (before != sources_.end() && before->second.rate == made.rate) made = before->second;
    next.emplace(source.name, made);
  }
  sources_ = std::move(next);
  enabled_.store(client_.limited() || address_.limited() || !sources_.empty(),
                 std::memory_order_relaxed);
}

std::optional<Duration> QuotaTable::take_client(std::string_view key, const io::Endpoint& peer,
                                                std::uint32_t events, MonoTime now) noexcept {
  const bool named = !key.empty();
  if (named && client_.limited()) {
    const auto wait = clients_.with(
        key, now, [&](auto& buckets) { return client_.take(buckets[own], events, now); });
    if (wait) {
      refused_clients_.add(std::max(events, 1U));
      return wait;
    }
  }
  const bool charge_anonymous = !named && client_.limited();
  if (!charge_anonymous && !address_.limited()) return std::nullopt;
  const auto wait = take_address(network_of(peer), charge_anonymous, events, now);
  if (wait && named && client_.limited()) {
    clients_.with(key, now, [&](auto& buckets) { client_.give_back(buckets[own], events); });
  }
  return wait;
}

std::optional<Duration> QuotaTable::take_address(std::string_view address, bool charge_anonymous,
                                                 std::uint32_t events, MonoTime now) noexcept {
  return addresses_.with(address, now, [&](auto& buckets) -> std::optional<Duration> {
    if (charge_anonymous) {
      if (const auto wait = client_.take(buckets[anonymous], events, now)) {
        refused_clients_.add(std::max(events, 1U));
        return wait;
      }
    }
    if (!address_.limited()) return std::nullopt;
    const auto wait = address_.take(buckets[own], events, now);
    if (!wait) return std::nullopt;
    refused_addresses_.add(std::max(events, 1U));
    if (charge_anonymous) client_.give_back(buckets[anonymous], events);
    return wait;
  });
}

std::optional<Duration> QuotaTable::take_source(std::string_view source, std::uint32_t events,
                                                MonoTime now) noexcept {
  const std::scoped_lock lock(sources_mutex_);
  const auto it = sources_.find(source);
  if (it == sources_.end()) return std::nullopt;
  const auto wait = it->second.rate.take(it->second.full_at, events, now);
  if (wait) refused_sources_.add(std::max(events, 1U));
  return wait;
}

void QuotaTable::give_back(std::string_view key, const io::Endpoint& peer, std::uint32_t events,
                           MonoTime now) noexcept {
  const bool named = !key.empty();
  if (named && client_.limited()) {
    clients_.with(key, now, [&](auto& buckets) { client_.give_back(buckets[own], events); });
  }
  const bool charge_anonymous = !named && client_.limited();
  if (!charge_anonymous && !address_.limited()) return;
  addresses_.with(network_of(peer), now, [&](auto& buckets) {
    if (charge_anonymous) client_.give_back(buckets[anonymous], events);
    if (address_.limited()) address_.give_back(buckets[own], events);
  });
}

ClientQuotas QuotaTable::look(std::string_view key, const io::Endpoint& peer,
                              MonoTime now) noexcept {
  ClientQuotas quotas;
  const auto add = [&](std::string_view name, const TokenRate& rate, MonoTime full_at) {
    quotas.states[quotas.count++] = state_of(name, rate, full_at, now);
  };
  if (client_.limited()) {
    const auto full_at = key.empty()
                             ? addresses_.with(network_of(peer), now,
                                               [](auto& buckets) { return buckets[anonymous]; })
                             : clients_.with(key, now, [](auto& buckets) { return buckets[own]; });
    add("client", client_, full_at);
  }
  if (address_.limited()) {
    add("address", address_,
        addresses_.with(network_of(peer), now, [](auto& buckets) { return buckets[own]; }));
  }
  return quotas;
}

void QuotaTable::describe(MetricSink& sink) const {
  constexpr std::string_view refused = "tocsin_quota_refused_total";
  constexpr std::string_view refused_help = "Events refused because a rate was exceeded.";
  sink.counter(refused, refused_help, {{"kind", "client"}}, refused_clients_.get());
  sink.counter(refused, refused_help, {{"kind", "address"}}, refused_addresses_.get());
  sink.counter(refused, refused_help, {{"kind", "source"}}, refused_sources_.get());
  constexpr std::string_view buckets = "tocsin_quota_buckets";
  constexpr std::string_view buckets_help = "Clients and addresses that are counted apart.";
  sink.gauge(buckets, buckets_help, {{"kind", "client"}}, static_cast<double>(clients_.size()));
  sink.gauge(buckets, buckets_help, {{"kind", "address"}}, static_cast<double>(addresses_.size()));
  constexpr std::string_view shared = "tocsin_quota_shared_total";
  constexpr std::string_view shared_help =
      "Times a client or address shared a bucket because buckets_max were in use.";
  sink.counter(shared, shared_help, {{"kind", "client"}}, clients_.shared());
  sink.counter(shared, shared_help, {{"kind", "address"}}, addresses_.shared());
}

}  // namespace tocsin::flow
