#pragma once
// The Quotas of the process.

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <tocsin/option.hpp>

#include "base/hash.hpp"
#include "base/metrics.hpp"
#include "flow/bucket_table.hpp"
#include "flow/catalogue.hpp"
#include "flow/quota.hpp"
#include "flow/token_rate.hpp"

namespace tocsin::flow {

/// Events a second, at most: beyond that a token is too short a time for exact arithmetic.
inline constexpr std::int64_t quota_rate_max = 1'000'000;

inline constexpr std::array quota_options{
    OptionSpec{.key = "client_rate",
               .type = OptionType::integer,
               .fallback = "0",
               .max = quota_rate_max,
               .help = "Events a second that one client may send: a user, token or certificate, or "
                       "all anonymous clients of one address together. 0 is no limit."},
    OptionSpec{.key = "client_burst",
               .type = OptionType::integer,
               .fallback = "0",
               .max = 10 * quota_rate_max,
               .help = "Events that a client may send at once after a pause; 0 is those of a "
                       "second. A larger batch passes when all of them are left, and is paid for "
                       "afterwards."},
    OptionSpec{.key = "address_rate",
               .type = OptionType::integer,
               .fallback = "0",
               .max = quota_rate_max,
               .help =
                   "Events a second from one IPv4 address or IPv6 /64, whoever sends them. 0 is "
                   "no limit."},
    OptionSpec{.key = "address_burst",
               .type = OptionType::integer,
               .fallback = "0",
               .max = 10 * quota_rate_max,
               .help = "The same for an address as client_burst for a client."},
    OptionSpec{.key = "buckets_max",
               .type = OptionType::integer,
               .fallback = "16384",
               .min = 64,
               .max = 1'000'000,
               .help = "Clients and addresses that are counted apart. When none of them can be "
                       "forgotten without loss, new ones share buckets."},
};

class QuotaTable final : public Quotas, public MetricSource {
 public:
  struct Settings {
    std::uint32_t client_rate = 0;
    std::uint32_t client_burst = 0;
    std::uint32_t address_rate = 0;
    std::uint32_t address_burst = 0;
    std::size_t buckets_max = 16'384;
    [[nodiscard]] static Settings from(const OptionValues& values);
  };

  /// `seed`: secret, so that nobody can make keys collide.
  QuotaTable(const Settings& settings, std::uint64_t seed);

  /// For start and reload: a source whose rate stays the same keeps its bucket.
  void set_sources(const std::vector<SourceConfig>& sources);

  [[nodiscard]] std::optional<Duration> take_client(std::string_view key, const io::Endpoint& peer,
                                                    std::uint32_t events,
                                                    MonoTime now) noexcept override;
  [[nodiscard]] std::optional<Duration> take_source(std::string_view source, std::uint32_t events,
                                                    MonoTime now) noexcept override;
  void give_back(std::string_view key, const io::Endpoint& peer, std::uint32_t events,
                 MonoTime now) noexcept override;
  [[nodiscard]] ClientQuotas look(std::string_view key, const io::Endpoint& peer,
                                  MonoTime now) noexcept override;
  [[nodiscard]] bool enabled() const noexcept override {
    return enabled_.load(std::memory_order_relaxed);
  }
  void describe(MetricSink& sink) const override;

  /// Bytes that each of `buckets_max` takes.
  [[nodiscard]] static constexpr std::size_t bucket_size() noexcept {
    return BucketTable::key_size();
  }

 private:
  struct Source {
    TokenRate rate;
    MonoTime full_at = MonoTime::min();
  };
  struct NameHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
      return static_cast<std::size_t>(hash64(text));
    }
  };
  using Sources = std::unordered_map<std::string, Source, NameHash, std::equal_to<>>;

  [[nodiscard]] std::optional<Duration> take_address(std::string_view address,
                                                     bool charge_anonymous, std::uint32_t events,
                                                     MonoTime now) noexcept;

  const TokenRate client_;
  const TokenRate address_;
  BucketTable clients_;    // Only the first bucket of a key is used.
  BucketTable addresses_;  // The address itself, and its anonymous clients.
  mutable std::mutex sources_mutex_;
  Sources sources_;
  std::atomic<bool> enabled_{false};
  SharedCounter refused_clients_;
  SharedCounter refused_addresses_;
  SharedCounter refused_sources_;
};

}  // namespace tocsin::flow
