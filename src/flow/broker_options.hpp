#pragma once
// What every client of an existing broker can be told in the configuration: one table, and how it
// becomes BrokerOptions.

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include <tocsin/option.hpp>

#include "flow/broker_client.hpp"

namespace tocsin::flow {

inline constexpr std::array broker_options{
    OptionSpec{.key = "protocol",
               .type = OptionType::choice,
               .fallback = "5",
               .help = "MQTT version spoken to the broker; 5 adds user properties.",
               .choices = "5|3.1.1"},
    OptionSpec{.key = "client_id",
               .type = OptionType::text,
               .fallback = "",
               .max = 128,
               .help = "Empty: \"tocsin-\" and the name."},
    OptionSpec{.key = "username",
               .type = OptionType::text,
               .fallback = "",
               .max = 512,
               .help = "For the broker."},
    OptionSpec{.key = "password",
               .type = OptionType::secret,
               .fallback = "",
               .max = 512,
               .help = "For the broker."},
    OptionSpec{
        .key = "ca_file",
        .type = OptionType::text,
        .fallback = "",
        .max = 4096,
        .help = "PEM file that the broker's certificate must chain to; empty: the system's."},
    OptionSpec{.key = "cert_file",
               .type = OptionType::text,
               .fallback = "",
               .max = 4096,
               .help = "Client certificate, PEM."},
    OptionSpec{.key = "key_file",
               .type = OptionType::text,
               .fallback = "",
               .max = 4096,
               .help = "Key of the client certificate, PEM."},
    OptionSpec{.key = "keep_alive_s",
               .type = OptionType::integer,
               .fallback = "30",
               .min = 5,
               .max = 65535,
               .help = "MQTT keep-alive, seconds."},
    OptionSpec{.key = "reconnect_min_ms",
               .type = OptionType::duration_ms,
               .fallback = "1000",
               .min = 10,
               .max = 3'600'000,
               .help = "First wait before connecting again."},
    OptionSpec{.key = "reconnect_max_ms",
               .type = OptionType::duration_ms,
               .fallback = "120000",
               .min = 10,
               .max = 3'600'000,
               .help = "Longest wait before connecting again."},
};

/// A table with `before`, the options above and `after`, in this order.
template <std::size_t n_before, std::size_t n_after>
constexpr auto with_broker_options(const std::array<OptionSpec, n_before>& before,
                                   const std::array<OptionSpec, n_after>& after) {
  std::array<OptionSpec, n_before + broker_options.size() + n_after> all{};
  auto at = std::copy(before.begin(), before.end(), all.begin());
  at = std::copy(broker_options.begin(), broker_options.end(), at);
  std::copy(after.begin(), after.end(), at);
  return all;
}

/// The client id that the options give, or the one made from `name`.
[[nodiscard]] std::string client_id_of(const OptionValues& values, const std::string& name);

/// What the options above and "broker" say; the rest has its defaults. `kind` and `name`
/// ("channel", "x") are for log lines; `name` also makes the client id when the file gives none.
[[nodiscard]] BrokerOptions make_broker_options(const OptionValues& values, std::string_view kind,
                                                const std::string& name);

}  // namespace tocsin::flow
