#include "io/tls/options.hpp"

namespace tocsin::io {

TlsServerOptions TlsServerOptions::from(const OptionValues& values) {
  TlsServerOptions options;
  options.certificate = values.text("certificate");
  options.key = values.text("key");
  options.client_ca = values.text("client_ca");
  options.client_required = values.flag("client_required");
  options.handshake_timeout = std::chrono::milliseconds(values.number("handshake_timeout_ms"));
  options.handshakes_max = static_cast<std::uint32_t>(values.number("handshakes_max"));
  return options;
}

}  // namespace tocsin::io
