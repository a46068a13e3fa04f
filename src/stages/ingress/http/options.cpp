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

Result<std::vector<io::Endpoint>, std::string> listen_endpoints(const HttpOptions& options) {
  std::vector<io::Endpoint> endpoints;
  for (const std::string& text : options.listen) {
    const auto endpoint = io::parse_endpoint(text);
    if (!endpoint) {
      return Unexpected{fmt::format(
          "http.listen: \"{}\" is not an IP address with a port, such as \"127.0.0.1:8080\"",
          log_safe(text))};
    }
    if (!endpoint->is_loopback() && !options.allow_anonymous) {
      return Unexpected{fmt::format(
          "http.listen: {} can be reached from other machines, and anybody could send events; set "
          "allow_anonymous = true if that is wanted",
          text)};
    }
    endpoints.push_back(*endpoint);
  }
  return endpoints;
}

}  // namespace tocsin::ingress
