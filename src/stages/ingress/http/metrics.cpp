#include "stages/ingress/http/metrics.hpp"

namespace tocsin::ingress {

std::string_view to_string(HttpRefusal refusal) noexcept {
  switch (refusal) {
    case HttpRefusal::connections:
      return "connections";
    case HttpRefusal::foreign_host:
      return "foreign_host";
    case HttpRefusal::foreign_origin:
      return "foreign_origin";
    case HttpRefusal::memory:
      return "memory";
    case HttpRefusal::head_timeout:
      return "head_timeout";
    case HttpRefusal::body_timeout:
      return "body_timeout";
    case HttpRefusal::idle_timeout:
      return "idle_timeout";
    case HttpRefusal::send_timeout:
      return "send_timeout";
    case HttpRefusal::acknowledgement:
      return "acknowledgement";
    case HttpRefusal::not_found:
      return "not_found";
    case HttpRefusal::method:
      return "method";
    case HttpRefusal::expectation:
      return "expectation";
    case HttpRefusal::encoding:
      return "encoding";
    case HttpRefusal::compressed:
      return "compressed";
    case HttpRefusal::expanded:
      return "expanded";
    case HttpRefusal::credentials:
      return "credentials";
    case HttpRefusal::forbidden:
      return "forbidden";
    case HttpRefusal::busy:
      return "busy";
  }
  return "unknown";
}

void HttpMetrics::describe(MetricSink& sink) const {
  static constexpr std::array<std::string_view, http_route_count> routes{"events", "events_batch",
                                                                         "other"};
  static constexpr std::array<std::string_view, 6> classes{"0xx", "1xx", "2xx",
                                                           "3xx", "4xx", "5xx"};
  sink.counter("tocsin_http_connections_opened_total", "Accepted HTTP connections.", {},
               opened.get());
  sink.gauge("tocsin_http_connections", "Open HTTP connections.", {},
             static_cast<double>(opened.get() - closed.get()));
  sink.counter("tocsin_http_received_bytes_total", "Bytes received over HTTP.", {},
               received_bytes.get());
  sink.counter("tocsin_http_sent_bytes_total", "Bytes sent over HTTP.", {}, sent_bytes.get());
  for (std::size_t route = 0; route < routes.size(); ++route) {
    for (std::size_t code = 2; code < classes.size(); ++code) {
      sink.counter("tocsin_http_requests_total", "Answered HTTP requests.",
                   {{"route", routes[route]}, {"code", classes[code]}},
                   requests[route][code].get());
    }
  }
  for (std::size_t i = 0; i < refused_events.size(); ++i) {
    sink.counter("tocsin_http_events_refused_total", "Events refused over HTTP.",
                 {{"reason", to_string(static_cast<flow::Refusal>(i))}}, refused_events[i].get());
  }
  for (std::size_t i = 0; i < refused.size(); ++i) {
    sink.counter("tocsin_http_refused_total", "HTTP requests and connections refused or ended.",
                 {{"reason", to_string(static_cast<HttpRefusal>(i))}}, refused[i].get());
  }
  for (std::size_t i = 1; i < parse_errors.size(); ++i) {
    sink.counter("tocsin_http_parse_errors_total", "Requests that are no valid HTTP.",
                 {{"reason", to_string(static_cast<http::ParseError>(i))}}, parse_errors[i].get());
  }
}

}  // namespace tocsin::ingress
