#pragma once
// Options of the HTTP listener.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <tocsin/option.hpp>
#include <tocsin/result.hpp>
#include <tocsin/time.hpp>

#include "io/io.hpp"

namespace tocsin::ingress {

inline constexpr std::array<OptionSpec, 15> http_options{{
    {.key = "listen",
     .type = OptionType::text_list,
     .fallback = "127.0.0.1:8080",
     .help = "Addresses with port to listen on; an empty list switches HTTP off."},
    {.key = "listen_tls",
     .type = OptionType::text_list,
     .help = "The same for HTTPS, with the certificate of [tls]."},
    {.key = "allow_anonymous",
     .type = OptionType::boolean,
     .fallback = "false",
     .max = 1,
     .help = "Listen beyond loopback although there are no users, so that nobody authenticates."},
    {.key = "host_names",
     .type = OptionType::text_list,
     .fallback = "",
     .help =
         "Host names, besides localhost and IP addresses, that a loopback listener answers to."},
    {.key = "head_size_max",
     .type = OptionType::bytes,
     .fallback = "16KiB",
     .min = 1024,
     .max = 65'535,
     .help = "Request line and header fields of one request."},
    {.key = "body_size_max",
     .type = OptionType::bytes,
     .fallback = "1MiB",
     .min = 1024,
     .max = 64 * 1024 * 1024,
     .help = "Body of one request, batches included."},
    {.key = "connections_max",
     .type = OptionType::integer,
     .fallback = "4096",
     .min = 1,
     .max = 1'000'000,
     .help = "Connections of one reactor thread."},
    {.key = "pipeline_max",
     .type = OptionType::integer,
     .fallback = "64",
     .min = 1,
     .max = 1024,
     .help = "Requests of one connection that wait for their acknowledgement."},
    {.key = "head_timeout_ms",
     .type = OptionType::duration_ms,
     .fallback = "10s",
     .min = 100,
     .max = 600'000,
     .help = "From the first byte of a request to the end of its head."},
    {.key = "body_timeout_ms",
     .type = OptionType::duration_ms,
     .fallback = "30s",
     .min = 100,
     .max = 3'600'000,
     .help = "From the end of the head to the end of the body."},
    {.key = "send_timeout_ms",
     .type = OptionType::duration_ms,
     .fallback = "30s",
     .min = 100,
     .max = 3'600'000,
     .help = "How long a client may take to read the responses that were sent together."},
    {.key = "idle_timeout_ms",
     .type = OptionType::duration_ms,
     .fallback = "75s",
     .min = 100,
     .max = 3'600'000,
     .help = "A connection without a request is closed after this time."},
    {.key = "output_bytes_max",
     .type = OptionType::bytes,
     .fallback = "256KiB",
     .min = 4096,
     .max = 64 * 1024 * 1024,
     .help = "Unsent responses of one connection; above it no further request is read."},
    {.key = "carry_bytes_max",
     .type = OptionType::bytes,
     .fallback = "16MiB",
     .min = 64 * 1024,
     .max = INT64_MAX,
     .help = "Split requests, decompressed bodies and unsent responses of one reactor thread "
             "together; above it 503."},
    {.key = "gzip_ratio_max",
     .type = OptionType::integer,
     .fallback = "256",
     .min = 2,
     .max = 1100,
     .help = "A gzip body may stand for so many times its size, or for 64 KiB if that is more; and "
             "never for more than body_size_max."},
}};

struct HttpOptions {
  std::vector<std::string> listen{"127.0.0.1:8080"};
  std::vector<std::string> listen_tls{};
  bool allow_anonymous = false;
  std::vector<std::string> host_names;
  std::size_t head_size_max = 16 * 1024;
  std::size_t body_size_max = 1024 * 1024;
  std::uint32_t connections_max = 4096;
  std::uint32_t pipeline_max = 64;
  Duration head_timeout = std::chrono::seconds(10);
  Duration body_timeout = std::chrono::seconds(30);
  Duration send_timeout = std::chrono::seconds(30);
  Duration idle_timeout = std::chrono::seconds(75);
  std::size_t output_bytes_max = 256 * 1024;
  std::size_t carry_bytes_max = 16 * 1024 * 1024;
  std::size_t gzip_ratio_max = 256;

  [[nodiscard]] static HttpOptions from(const OptionValues& values);
};

/// The addresses of `listen`; or a sentence when one is malformed, or beyond loopback without
/// allow_anonymous. Also the check of `tocsin check`.
[[nodiscard]] Result<std::vector<io::Endpoint>, std::string> listen_endpoints(
    const HttpOptions& options);
/// The same for `listen_tls`.
[[nodiscard]] Result<std::vector<io::Endpoint>, std::string> listen_tls_endpoints(
    const HttpOptions& options);

}  // namespace tocsin::ingress
