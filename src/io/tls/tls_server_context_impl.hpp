#pragma once
// The mbedTLS side of TlsServerContext. Internal to this folder.

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ticket.h>
#include <mbedtls/x509_crt.h>

#include "io/tls/tls_server_context.hpp"

namespace tocsin::io {

class MbedServerContext final : public TlsServerContext {
 public:
  MbedServerContext();
  MbedServerContext(const MbedServerContext&) = delete;
  MbedServerContext& operator=(const MbedServerContext&) = delete;
  ~MbedServerContext() override;

  [[nodiscard]] Result<void, std::string> load(const TlsServerOptions& options);
  [[nodiscard]] WallTime expires() const noexcept override;
  [[nodiscard]] const mbedtls_ssl_config& config() const noexcept { return config_; }
  [[nodiscard]] std::size_t handshake_bytes() const noexcept override {
    return tls_connection_bytes + (authorities_.raw.p != nullptr ? tls_client_chain_bytes : 0);
  }

 private:
  [[nodiscard]] Result<void, std::string> load_certificate(const TlsServerOptions& options);
  [[nodiscard]] Result<void, std::string> load_authorities(const TlsServerOptions& options);
  [[nodiscard]] Result<void, std::string> configure();

  mbedtls_entropy_context entropy_{};
  mbedtls_ctr_drbg_context random_{};
  mbedtls_x509_crt certificate_{};
  mbedtls_pk_context key_{};
  mbedtls_x509_crt authorities_{};
  mbedtls_ssl_ticket_context tickets_{};
  mbedtls_ssl_config config_{};
};

}  // namespace tocsin::io
