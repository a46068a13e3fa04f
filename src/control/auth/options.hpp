#pragma once
// Options of authentication and of users.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <tocsin/option.hpp>
#include <tocsin/time.hpp>

namespace tocsin::auth {

inline constexpr std::array auth_options{
    OptionSpec{.key = "allow_anonymous",
               .type = OptionType::boolean,
               .fallback = "false",
               .help = "Accept clients that show no credentials although there are users. Without "
                       "users every client is anonymous and may do everything; beyond loopback "
                       "that has to be said here or at the listener."},
    OptionSpec{.key = "anonymous_publish",
               .type = OptionType::text_list,
               .max = 256,
               .help = "Topic patterns that anonymous clients may publish to when there are "
                       "users."},
    OptionSpec{.key = "anonymous_subscribe",
               .type = OptionType::text_list,
               .max = 256,
               .help = "Topic patterns that anonymous clients may subscribe to when there are "
                       "users."},
    OptionSpec{.key = "hash_memory_max",
               .type = OptionType::bytes,
               .fallback = "32MiB",
               .min = 8 * 1024,
               .max = 4LL << 30,
               .help = "What checking passwords takes at most, all at the same time together; a "
                       "part of memory_max when a user has a password."},
    OptionSpec{.key = "hash_queue_max",
               .type = OptionType::integer,
               .fallback = "256",
               .min = 1,
               .max = 65'536,
               .help = "Passwords that wait to be checked; one address has a quarter of them. "
                       "Further clients are told to try later."},
    OptionSpec{.key = "failures_free",
               .type = OptionType::integer,
               .fallback = "5",
               .max = 1'000'000,
               .help = "Wrong credentials that an address may show before it has to wait. One is "
                       "forgotten each minute."},
    OptionSpec{.key = "failure_delay_ms",
               .type = OptionType::duration_ms,
               .fallback = "250ms",
               .min = 1,
               .max = 60'000,
               .help = "The wait after the first one too many; it doubles with each further one. "
                       "Meanwhile only what was verified before is accepted from there."},
    OptionSpec{.key = "failure_delay_max_ms",
               .type = OptionType::duration_ms,
               .fallback = "1m",
               .min = 1,
               .max = 3'600'000,
               .help = "Longest wait."},
    OptionSpec{.key = "verified_max",
               .type = OptionType::integer,
               .fallback = "16384",
               .min = 0,
               .max = 1'000'000,
               .help = "Verified passwords that are remembered, as keyed hashes, so that devices "
                       "that reconnect are not checked at full cost. 0 remembers none."},
    OptionSpec{.key = "verified_ms",
               .type = OptionType::duration_ms,
               .fallback = "15m",
               .min = 1,
               .max = 86'400'000,
               .help = "How long they are remembered. A reload forgets them."},
    OptionSpec{.key = "connections_per_address_max",
               .type = OptionType::integer,
               .fallback = "0",
               .max = 1'000'000,
               .help = "Connections of one address (of an IPv6 /64) at a time, MQTT and HTTP "
                       "together. 0 = no limit."},
    OptionSpec{.key = "connects_per_address_max",
               .type = OptionType::integer,
               .fallback = "0",
               .max = 1'000'000,
               .help = "Connections that one address may open in a second, and ten times as many "
                       "at once. 0 = no limit."},
};

inline constexpr std::array user_options{
    OptionSpec{.key = "name",
               .type = OptionType::text,
               .min = 1,
               .max = 256,
               .help = "Unique. What the client gives as user name; `%u` in patterns.",
               .required = true},
    OptionSpec{.key = "password_hash",
               .type = OptionType::secret,
               .max = 127,
               .help = "Argon2id hash of the password, from `tocsin password`."},
    OptionSpec{.key = "token_hash",
               .type = OptionType::secret,
               .max = 127,
               .help =
                   "Hash of a token, from `tocsin token`: an HTTP bearer token, or the password "
                   "that an MQTT client gives with the user's name."},
    OptionSpec{.key = "certificate_name",
               .type = OptionType::text,
               .max = 256,
               .help = "Common name of the client certificate that stands for this user."},
    OptionSpec{.key = "publish",
               .type = OptionType::text_list,
               .max = 256,
               .help = "Topic patterns that the user may publish to: topic filters in which `%c` "
                       "stands for the client id and `%u` for the user's name. Nothing else."},
    OptionSpec{.key = "subscribe",
               .type = OptionType::text_list,
               .max = 256,
               .help = "The same for subscriptions: a filter is allowed when one of the patterns "
                       "selects all that it selects."},
    OptionSpec{.key = "active",
               .type = OptionType::boolean,
               .fallback = "true",
               .help = "An inactive user cannot connect."},
};

struct AuthOptions {
  bool allow_anonymous = false;
  std::vector<std::string> anonymous_publish;
  std::vector<std::string> anonymous_subscribe;
  std::uint64_t hash_memory_max = std::uint64_t{32} << 20U;
  std::uint32_t hash_queue_max = 256;
  std::uint32_t failures_free = 5;
  Duration failure_delay = std::chrono::milliseconds(250);
  Duration failure_delay_max = std::chrono::minutes(1);
  std::uint32_t verified_max = 16384;
  Duration verified_for = std::chrono::minutes(15);
  std::uint32_t connections_per_address_max = 0;
  std::uint32_t connects_per_address_max = 0;

  [[nodiscard]] static AuthOptions from(const OptionValues& values);
};

/// One [[user]] as it is written.
struct UserConfig {
  std::string name;
  std::string password_hash;
  std::string token_hash;
  std::string certificate_name;
  std::vector<std::string> publish;
  std::vector<std::string> subscribe;
  bool active = true;

  [[nodiscard]] static UserConfig from(const OptionValues& values);
  bool operator==(const UserConfig&) const = default;
};

}  // namespace tocsin::auth
