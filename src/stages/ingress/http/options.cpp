#include "stages/ingress/http/options.hpp"

#include <fmt/format.h>

#include <tocsin/limits.hpp>

#include "base/log.hpp"

namespace tocsin::ingress {

HttpOptions HttpOptions::from(const OptionValues& values) {
  const auto size = [&](std::string_view key) {
    return static_cast<std::size_t>(values.number(key));
  };
  const auto time = [&](std::string_view key) -> Duration {
    return std::chrono::milliseconds(values.number(key));
  };
  return {.listen = values.list("listen"),
          .listen_tls = values.list("listen_tls"),
          .allow_anonymous = values.flag("allow_anonymous"),
          .host_names = values.list("host_names"),
          .head_size_max = size("head_size_max"),
          .body_size_max = size("body_size_max"),
          .connections_max = static_cast<std::uint32_t>(size("connections_max")),
          .pipeline_max = static_cast<std::uint32_t>(size("pipeline_max")),
          .head_timeout = time("head_timeout_ms"),
          .body_timeout = time("body_timeout_ms"),
          .send_timeout = time("send_timeout_ms"),
          .idle_timeout = time("idle_timeout_ms"),
          .output_bytes_max = size("output_bytes_max"),
          .carry_bytes_max = size("carry_bytes_max"),
          .gzip_ratio_max = size("gzip_ratio_max")};
}

namespace {

Result<std::vector<io::Endpoint>, std::string> parse_endpoints(
    std::string_view key, const std::vector<std::string>& texts, bool allow_anonymous) {
  std::vector<io::Endpoint> endpoints;
  for (const std::string& text : texts) {
    const auto endpoint = io::parse_endpoint(text);
    if (!endpoint) {
      return Unexpected{fmt::format(
          "http.{}: \"{}\" is not an IP address with a port, such as \"127.0.0.1:8080\"", key,
          log_safe(text))};
    }
    if (!endpoint->is_loopback() && !allow_anonymous) {
      return Unexpected{
          fmt::format("http.{}: {} can be reached from other machines, and anybody could send "
                      "events; add users, "
                      "or set allow_anonymous = true if that is wanted",
                      key, text)};
    }
    endpoints.push_back(*endpoint);
  }
  return endpoints;
}

}  // namespace

Result<std::vector<io::Endpoint>, std::string> listen_endpoints(const HttpOptions& options) {
  return parse_endpoints("listen", options.listen, options.allow_anonymous);
}

Result<std::vector<io::Endpoint>, std::string> listen_tls_endpoints(const HttpOptions& options) {
  return parse_endpoints("listen_tls", options.listen_tls, options.allow_anonymous);
}

}  // namespace tocsin::ingress
