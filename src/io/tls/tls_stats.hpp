#pragma once
// Counts of one TLS server.

#include <array>
#include <cstdint>
#include <string_view>

#include "base/metrics.hpp"

namespace tocsin::io {

/// Why there is no connection.
enum class TlsRefusal : std::uint8_t {
  version,      ///< Older than TLS 1.2.
  cipher,       ///< Nothing in common.
  certificate,  ///< The client's is missing or not trusted.
  alert,        ///< The client refused us.
  closed,       ///< It went away.
  timeout,
  limit,   ///< Connections, or connections of its address.
  memory,  ///< The budget of TLS is used up.
  protocol,
};
inline constexpr std::array<std::string_view, 9> tls_refusal_names{
    "version", "cipher", "certificate", "alert",   "closed",
    "timeout", "limit",  "memory",      "protocol"};

struct TlsStats {
  Counter accepted;
  Counter handshakes;
  std::array<Counter, tls_refusal_names.size()> refused;
  Counter record_failures;
  Counter opened;
  Counter closed;

  /// `listener` becomes a label.
  void describe(MetricSink& sink, std::string_view listener) const;
};

}  // namespace tocsin::io
