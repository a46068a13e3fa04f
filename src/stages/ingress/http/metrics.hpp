#pragma once
// What the HTTP listener of one reactor counts.

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/metrics.hpp"
#include "flow/intake.hpp"
#include "protocol/http/head.hpp"

namespace tocsin::ingress {

enum class HttpRoute : std::uint8_t { events, events_batch, other };
inline constexpr std::size_t http_route_count = 3;

/// Refusals that do not come from decode.
enum class HttpRefusal : std::uint8_t {
  connections,  ///< connections_max reached.
  foreign_host,
  foreign_origin,
  memory,  ///< carry_bytes_max reached.
  head_timeout,
  body_timeout,
  idle_timeout,  ///< Not counted as a failure of anybody.
  send_timeout,
  acknowledgement,  ///< Bad Tocsin-Ack.
  not_found,
  method,
  expectation,  ///< Expect with anything but 100-continue.
  encoding,     ///< A Content-Encoding that is not understood.
  compressed,   ///< Corrupt gzip.
  expanded,     ///< gzip that stands for too much.
  credentials,  ///< Missing or wrong.
  forbidden,    ///< The client is known, but may not connect.
  busy,         ///< Too many authentications under way.
};
inline constexpr std::size_t http_refusal_count = static_cast<std::size_t>(HttpRefusal::busy) + 1;
[[nodiscard]] std::string_view to_string(HttpRefusal refusal) noexcept;

struct HttpMetrics {
  Counter opened;
  Counter closed;
  Counter received_bytes;
  Counter sent_bytes;
  std::array<std::array<Counter, 6>, http_route_count> requests;  ///< By route and status / 100.
  std::array<Counter, flow::refusal_count> refused_events;
  std::array<Counter, http_refusal_count> refused;
  std::array<Counter, http::parse_error_count> parse_errors;

  void count(HttpRoute route, std::uint16_t status, std::uint64_t n = 1) noexcept {
    requests[static_cast<std::size_t>(route)][status / 100 % 6U].add(n);
  }
  void count(HttpRefusal refusal) noexcept { refused[static_cast<std::size_t>(refusal)].add(); }
  void count(flow::Refusal refusal, std::uint64_t n = 1) noexcept {
    refused_events[static_cast<std::size_t>(refusal)].add(n);
  }
  void count(http::ParseError error) noexcept {
    parse_errors[static_cast<std::size_t>(error)].add();
  }
  void describe(MetricSink& sink) const;
};

}  // namespace tocsin::ingress
