#include "io/tls/tls_server_context.hpp"

#include <mbedtls/ssl_ciphersuites.h>
#include <mbedtls/version.h>

#include <array>
#include <chrono>

#include <fmt/format.h>

#include "io/tls/tls_error.hpp"
#include "io/tls/tls_server_context_impl.hpp"

namespace tocsin::io {
namespace {

// Ours come first: forward secrecy and authenticated encryption only; AES-128 before AES-256,
// because it is faster and no weaker in practice.
constexpr std::array cipher_suites{
#ifdef MBEDTLS_TLS1_3_AES_128_GCM_SHA256
    MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
    MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
    MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
#endif
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    0,
};

constexpr std::uint32_t ticket_lifetime_s = 3600;

Unexpected<std::string> problem(std::string_view key, const std::string& file, int status) {
  return {fmt::format("{}: {}: {}", key, file, tls_error_text(status))};
}

}  // namespace

MbedServerContext::MbedServerContext() {
  mbedtls_entropy_init(&entropy_);
  mbedtls_ctr_drbg_init(&random_);
  mbedtls_x509_crt_init(&certificate_);
  mbedtls_pk_init(&key_);
  mbedtls_x509_crt_init(&authorities_);
  mbedtls_ssl_ticket_init(&tickets_);
  mbedtls_ssl_config_init(&config_);
}

MbedServerContext::~MbedServerContext() {
  mbedtls_ssl_config_free(&config_);
  mbedtls_ssl_ticket_free(&tickets_);
  mbedtls_x509_crt_free(&authorities_);
  mbedtls_pk_free(&key_);
  mbedtls_x509_crt_free(&certificate_);
  mbedtls_ctr_drbg_free(&random_);
  mbedtls_entropy_free(&entropy_);
}

Result<void, std::string> MbedServerContext::load(const TlsServerOptions& options) {
  const int status = mbedtls_ctr_drbg_seed(&random_, mbedtls_entropy_func, &entropy_, nullptr, 0);
  if (status != 0) return Unexpected{"certificate: random generator: " + tls_error_text(status)};
  if (auto done = load_certificate(options); !done) return done;
  if (auto done = configure(); !done) return done;
  return load_authorities(options);
}

Result<void, std::string> MbedServerContext::load_certificate(const TlsServerOptions& options) {
  if (options.certificate.empty()) return Unexpected{std::string("certificate: is missing")};
  if (options.key.empty()) return Unexpected{std::string("key: is missing")};
  int status = mbedtls_x509_crt_parse_file(&certificate_, options.certificate.c_str());
  // Positive: some of the file was not understood, and clients could not verify us.
  if (status > 0) {
    return Unexpected{fmt::format("certificate: {}: {} certificates cannot be read",
                                  options.certificate, status)};
  }
  if (status != 0) return problem("certificate", options.certificate, status);
#if MBEDTLS_VERSION_MAJOR >= 3
  status = mbedtls_pk_parse_keyfile(&key_, options.key.c_str(), nullptr, mbedtls_ctr_drbg_random,
                                    &random_);
#else
  status = mbedtls_pk_parse_keyfile(&key_, options.key.c_str(), nullptr);
#endif
  if (status != 0) return problem("key", options.key, status);
#if MBEDTLS_VERSION_MAJOR >= 3
  status = mbedtls_pk_check_pair(&certificate_.pk, &key_, mbedtls_ctr_drbg_random, &random_);
#else
  status = mbedtls_pk_check_pair(&certificate_.pk, &key_);
#endif
  if (status != 0) {
    return Unexpected{fmt::format("key: {} does not belong to the certificate", options.key)};
  }
  return {};
}

Result<void, std::string> MbedServerContext::configure() {
  int status = mbedtls_ssl_config_defaults(
      &config_, MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
  if (status == 0) status = mbedtls_ssl_conf_own_cert(&config_, &certificate_, &key_);
  if (status == 0) {
    status = mbedtls_ssl_ticket_setup(&tickets_, mbedtls_ctr_drbg_random, &random_,
                                      MBEDTLS_CIPHER_AES_256_GCM, ticket_lifetime_s);
  }
  if (status != 0) return Unexpected{"certificate: " + tls_error_text(status)};
  mbedtls_ssl_conf_rng(&config_, mbedtls_ctr_drbg_random, &random_);
  mbedtls_ssl_conf_min_version(&config_, MBEDTLS_SSL_MAJOR_VERSION_3,
                               MBEDTLS_SSL_MINOR_VERSION_3);  // TLS 1.2
  mbedtls_ssl_conf_ciphersuites(&config_, cipher_suites.data());
#if defined(MBEDTLS_SSL_RENEGOTIATION)
  mbedtls_ssl_conf_renegotiation(&config_, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
#endif
  mbedtls_ssl_conf_session_tickets_cb(&config_, mbedtls_ssl_ticket_write, mbedtls_ssl_ticket_parse,
                                      &tickets_);
  return {};
}

Result<void, std::string> MbedServerContext::load_authorities(const TlsServerOptions& options) {
  mbedtls_ssl_conf_authmode(&config_, MBEDTLS_SSL_VERIFY_NONE);
  if (options.client_ca.empty()) {
    if (!options.client_required) return {};
    return Unexpected{std::string("client_ca: is missing, but client_required = true")};
  }
  const int status = mbedtls_x509_crt_parse_file(&authorities_, options.client_ca.c_str());
  // Positive: part of a bundle was not understood, and its clients would be turned away.
  if (status > 0) {
    return Unexpected{
        fmt::format("client_ca: {}: {} certificates cannot be read", options.client_ca, status)};
  }
  if (status != 0) return problem("client_ca", options.client_ca, status);
  mbedtls_ssl_conf_ca_chain(&config_, &authorities_, nullptr);
  mbedtls_ssl_conf_authmode(&config_, options.client_required ? MBEDTLS_SSL_VERIFY_REQUIRED
                                                              : MBEDTLS_SSL_VERIFY_OPTIONAL);
  return {};
}

WallTime MbedServerContext::expires() const noexcept {
  const mbedtls_x509_time& at = certificate_.valid_to;
  // Not timegm: where time_t has 32 bits, it knows nothing after 2038.
  const std::chrono::sys_days day{std::chrono::year{at.year} / at.mon / at.day};
  const auto end = day.time_since_epoch() + std::chrono::hours{at.hour} +
                   std::chrono::minutes{at.min} + std::chrono::seconds{at.sec};
  // Certificates may be valid until the year 9999, nanoseconds only until 2262.
  constexpr std::int64_t seconds_max = INT64_MAX / 1'000'000'000;
  return WallTime{std::chrono::seconds(std::min<std::int64_t>(end.count(), seconds_max))};
}

Result<std::shared_ptr<const TlsServerContext>, std::string> make_tls_server_context(
    const TlsServerOptions& options) {
  auto context = std::make_shared<MbedServerContext>();
  if (auto loaded = context->load(options); !loaded) return Unexpected{loaded.error()};
  return std::shared_ptr<const TlsServerContext>(std::move(context));
}

}  // namespace tocsin::io
