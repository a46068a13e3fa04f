#pragma once
// Options of the MQTT listener: the table, and the structure made from its values.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <tocsin/option.hpp>
#include <tocsin/time.hpp>

namespace tocsin::ingress {

inline constexpr std::array<OptionSpec, 22> mqtt_options{{
    {.key = "listen",
     .type = OptionType::text_list,
     .fallback = "127.0.0.1:1883",
     .help = "Addresses and ports to listen on; an empty list turns MQTT off."},
    {.key = "listen_tls",
     .type = OptionType::text_list,
     .help = "The same for MQTT over TLS, with the certificate of [tls]."},
    {.key = "allow_anonymous",
     .type = OptionType::boolean,
     .fallback = "false",
     .help = "Listen beyond loopback although there are no users, so that nobody authenticates."},
    {.key = "connections_max",
     .type = OptionType::integer,
     .fallback = "10000",
     .min = 1,
     .max = 1'000'000,
     .help = "Connections at a time; further ones are closed at once."},
    {.key = "connect_timeout_ms",
     .type = OptionType::duration_ms,
     .fallback = "10000",
     .min = 100,
     .max = 600'000,
     .help = "Time from accepting a connection to its complete CONNECT."},
    {.key = "keep_alive_max_s",
     .type = OptionType::integer,
     .fallback = "1200",
     .min = 0,
     .max = 65'535,
     .help = "Longest keep-alive; MQTT 5 clients that ask for more, or for none, get this one. "
             "0 = as the client wishes."},
    {.key = "packet_size_max",
     .type = OptionType::bytes,
     .fallback = "128KiB",
     .min = 16'384,
     .max = 16'777'216,
     .help = "Largest packet; must not exceed what a batch can hold."},
    {.key = "receive_maximum",
     .type = OptionType::integer,
     .fallback = "1024",
     .min = 1,
     .max = 65'535,
     .help = "QoS 1 and 2 publishes of one client that may wait for their acknowledgement."},
    {.key = "output_bytes_max",
     .type = OptionType::bytes,
     .fallback = "128KiB",
     .min = 16'384,
     .max = 67'108'864,
     .help = "Bytes that may wait for one slow client."},
    {.key = "carry_bytes_max",
     .type = OptionType::bytes,
     .fallback = "16MiB",
     .min = 262'144,
     .max = 1'099'511'627'776,
     .help = "Memory for partial packets, output and topic aliases of all connections together."},
    {.key = "subscriptions_max",
     .type = OptionType::integer,
     .fallback = "32",
     .min = 0,
     .max = 1024,
     .help = "Subscriptions of one client."},
    {.key = "subscriptions_total_max",
     .type = OptionType::integer,
     .fallback = "100000",
     .min = 1,
     .max = 100'000'000,
     .help = "Subscriptions of all clients together."},
    {.key = "topic_alias_max",
     .type = OptionType::integer,
     .fallback = "16",
     .min = 0,
     .max = 1024,
     .help = "Topic aliases of one MQTT 5 client, each way."},
    {.key = "unmatched_topics",
     .type = OptionType::choice,
     .fallback = "route",
     .help = "What becomes of a publish whose topic no event source maps: it goes to subscribers, "
             "or is refused.",
     .choices = "route|refuse"},
    {.key = "denied_publish",
     .type = OptionType::choice,
     .fallback = "acknowledge",
     .help = "What an MQTT 3.1.1 client gets for a publish that it may not make, since it cannot "
             "be told: an acknowledgement, or its connection is closed.",
     .choices = "acknowledge|close"},
    {.key = "session_expiry_max_s",
     .type = OptionType::integer,
     .fallback = "604800",
     .min = 0,
     .max = 4'294'967'295,
     .help = "Longest that a session is kept without a connection; 4294967295 = for ever."},
    {.key = "sessions_max",
     .type = OptionType::integer,
     .fallback = "20000",
     .min = 1,
     .max = 10'000'000,
     .help = "Sessions, with a connection or kept without one."},
    {.key = "session_messages_max",
     .type = OptionType::integer,
     .fallback = "1000",
     .min = 1,
     .max = 1'000'000,
     .help = "QoS 1 and 2 messages that may wait for one client; further ones are dropped."},
    {.key = "session_bytes_max",
     .type = OptionType::bytes,
     .fallback = "1MiB",
     .min = 4096,
     .max = 1'073'741'824,
     .help = "Memory for the messages that wait for one client."},
    {.key = "retained_max",
     .type = OptionType::integer,
     .fallback = "100000",
     .min = 0,
     .max = 100'000'000,
     .help = "Retained messages; further ones reach subscribers but are not kept."},
    {.key = "retained_bytes_max",
     .type = OptionType::bytes,
     .fallback = "8MiB",
     .min = 65'536,
     .max = 1'099'511'627'776,
     .help = "Memory of one reactor for retained messages."},
    {.key = "notifications_bytes_max",
     .type = OptionType::bytes,
     .fallback = "8MiB",
     .min = 65'536,
     .max = 1'073'741'824,
     .help = "Memory for notifications on their way to the subscribers of all reactors, and as "
             "much again for messages that wait in sessions and for wills."},
}};

struct MqttOptions {
  std::vector<std::string> listen{"127.0.0.1:1883"};
  std::vector<std::string> listen_tls;
  bool allow_anonymous = false;
  std::uint32_t connections_max = 10'000;
  Duration connect_timeout = std::chrono::seconds(10);
  std::uint16_t keep_alive_max_s = 1200;
  std::size_t packet_size_max = std::size_t{128} * 1024;
  std::uint16_t receive_maximum = 1024;
  std::size_t output_bytes_max = std::size_t{128} * 1024;
  std::size_t carry_bytes_max = std::size_t{16} * 1024 * 1024;
  std::uint32_t subscriptions_max = 32;
  std::uint32_t subscriptions_total_max = 100'000;
  /// Memory of one reactor for subscriptions; not an option but a part of the memory plan.
  std::size_t subscriptions_bytes_max = std::size_t{8} * 1024 * 1024;
  std::uint16_t topic_alias_max = 16;
  bool route_unmatched = true;
  bool close_denied = false;
  std::uint32_t session_expiry_max_s = 604'800;
  std::size_t sessions_max = 20'000;
  std::size_t session_messages_max = 1000;
  std::size_t session_bytes_max = std::size_t{1024} * 1024;
  std::size_t retained_max = 100'000;
  std::size_t retained_bytes_max = std::size_t{8} * 1024 * 1024;
  std::size_t notifications_bytes_max = std::size_t{8} * 1024 * 1024;

  [[nodiscard]] static MqttOptions from(const OptionValues& values);
  /// What the table cannot say: endpoints, loopback, and packets against `payload_max` (the largest
  /// payload of a batch). A sentence for people, or empty.
  [[nodiscard]] std::string check(std::size_t payload_max) const;
  /// One reactor's part of what is limited for the whole process.
  [[nodiscard]] MqttOptions share(std::uint32_t reactors) const;
};

}  // namespace tocsin::ingress
