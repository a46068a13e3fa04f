#include "io/tls/tls_stats.hpp"

namespace tocsin::io {

void TlsStats::describe(MetricSink& sink, std::string_view listener) const {
  sink.counter("tocsin_tls_accepted_total", "Connections accepted by TLS listeners.",
               {{"listener", listener}}, accepted.get());
  sink.counter("tocsin_tls_handshakes_total", "TLS handshakes that succeeded.",
               {{"listener", listener}}, handshakes.get());
  for (std::size_t i = 0; i < refused.size(); ++i) {
    sink.counter("tocsin_tls_refused_total", "TLS connections that ended before they were open.",
                 {{"listener", listener}, {"reason", tls_refusal_names[i]}}, refused[i].get());
  }
  sink.counter("tocsin_tls_record_failures_total", "Open TLS connections that sent a bad record.",
               {{"listener", listener}}, record_failures.get());
  sink.gauge("tocsin_tls_connections", "Open TLS connections, those in handshake included.",
             {{"listener", listener}}, static_cast<double>(opened.get() - closed.get()));
}

}  // namespace tocsin::io
