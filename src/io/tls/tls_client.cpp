#include "io/tls/tls_client.hpp"

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include <fmt/format.h>

#include "io/io.hpp"
#include "io/tls/tls_error.hpp"

namespace tocsin::io {
namespace {

constexpr const char* system_bundle = "/etc/ssl/certs/ca-certificates.crt";

class Context final : public TlsClientContext {
 public:
  Context() {
    mbedtls_entropy_init(&entropy_);
    mbedtls_ctr_drbg_init(&random_);
    mbedtls_x509_crt_init(&authorities_);
    mbedtls_x509_crt_init(&certificate_);
    mbedtls_pk_init(&key_);
    mbedtls_ssl_config_init(&config_);
  }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() override {
    mbedtls_ssl_config_free(&config_);
    mbedtls_pk_free(&key_);
    mbedtls_x509_crt_free(&certificate_);
    mbedtls_x509_crt_free(&authorities_);
    mbedtls_ctr_drbg_free(&random_);
    mbedtls_entropy_free(&entropy_);
  }

  Result<void, std::string> load(const TlsClientOptions& options) {
    int status = mbedtls_ctr_drbg_seed(&random_, mbedtls_entropy_func, &entropy_, nullptr, 0);
    if (status != 0) return Unexpected{"random generator: " + tls_error_text(status)};
    const std::string bundle = options.ca_file.empty() ? system_bundle : options.ca_file;
    // Positive: some certificates of the bundle were not understood; the others are trusted.
    status = mbedtls_x509_crt_parse_file(&authorities_, bundle.c_str());
    if (status < 0) return Unexpected{fmt::format("{}: {}", bundle, tls_error_text(status))};
    status = mbedtls_ssl_config_defaults(&config_, MBEDTLS_SSL_IS_CLIENT,
                                         MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
    if (status != 0) return Unexpected{tls_error_text(status)};
    mbedtls_ssl_conf_authmode(&config_, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_ca_chain(&config_, &authorities_, nullptr);
    mbedtls_ssl_conf_rng(&config_, mbedtls_ctr_drbg_random, &random_);
    mbedtls_ssl_conf_min_version(&config_, MBEDTLS_SSL_MAJOR_VERSION_3,
                                 MBEDTLS_SSL_MINOR_VERSION_3);  // TLS 1.2
    return options.certificate_file.empty() ? Result<void, std::string>{}
                                            : load_own_certificate(options);
  }

  [[nodiscard]] const mbedtls_ssl_config& config() const { return config_; }

 private:
  Result<void, std::string> load_own_certificate(const TlsClientOptions& options) {
    int status = mbedtls_x509_crt_parse_file(&certificate_, options.certificate_file.c_str());
    if (status != 0) {
      return Unexpected{fmt::format("{}: {}", options.certificate_file, tls_error_text(status))};
    }
#if MBEDTLS_VERSION_MAJOR >= 3
    status = mbedtls_pk_parse_keyfile(&key_, options.key_file.c_str(), nullptr,
                                      mbedtls_ctr_drbg_random, &random_);
#else
    status = mbedtls_pk_parse_keyfile(&key_, options.key_file.c_str(), nullptr);
#endif
    if (status != 0)
      return Unexpected{fmt::format("{}: {}", options.key_file, tls_error_text(status))};
    status = mbedtls_ssl_conf_own_cert(&config_, &certificate_, &key_);
    if (status != 0) return Unexpected{tls_error_text(status)};
    return {};
  }

  mbedtls_entropy_context entropy_{};
  mbedtls_ctr_drbg_context random_{};
  mbedtls_x509_crt authorities_{};
  mbedtls_x509_crt certificate_{};
  mbedtls_pk_context key_{};
  mbedtls_ssl_config config_{};
};

std::string verify_text(std::uint32_t flags) {
  if ((flags & MBEDTLS_X509_BADCERT_EXPIRED) != 0) return "certificate has expired";
  if ((flags & MBEDTLS_X509_BADCERT_FUTURE) != 0) return "certificate is not valid yet";
  if ((flags & MBEDTLS_X509_BADCERT_CN_MISMATCH) != 0)
    return "certificate is for another host name";
  if ((flags & MBEDTLS_X509_BADCERT_REVOKED) != 0) return "certificate is revoked";
  if ((flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) != 0) {
    return "certificate is not signed by a trusted authority";
  }
  return fmt::format("certificate is not acceptable (flags {:#x})", flags);
}

bool names_address(const mbedtls_x509_crt& certificate, const Endpoint& endpoint) {
  constexpr int ip_tag = MBEDTLS_ASN1_CONTEXT_SPECIFIC | MBEDTLS_X509_SAN_IP_ADDRESS;
  const std::size_t size = endpoint.family == Endpoint::Family::v4 ? 4 : 16;
  for (const auto* name = &certificate.subject_alt_names; name != nullptr; name = name->next) {
    if (name->buf.tag == ip_tag && name->buf.len == size &&
        std::memcmp(name->buf.p, endpoint.address.data(), size) == 0) {
      return true;
    }
  }
  return false;
}

class Client final : public TlsClient {
 public:
  Client() { mbedtls_ssl_init(&ssl_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() override { mbedtls_ssl_free(&ssl_); }

  Result<void, std::string> start(const Context& context, const std::string& host) {
    int status = mbedtls_ssl_setup(&ssl_, &context.config());
    if (status != 0) return Unexpected{tls_error_text(status)};
    address_ = parse_address(host, 0);
    // Without this call 2.28 verifies the chain but, silently, no name. It knows no IP names either
    // (and SNI is for DNS names only, RFC 6066 section 3): for an address we verify them ourselves.
    status = mbedtls_ssl_set_hostname(&ssl_, address_ ? nullptr : host.c_str());
    if (status != 0) return Unexpected{tls_error_text(status)};
    if (address_) mbedtls_ssl_set_verify(&ssl_, &Client::on_verify, this);
    mbedtls_ssl_set_bio(&ssl_, this, &Client::on_send, &Client::on_receive, nullptr);
    advance();
    return {};
  }

  TlsState receive(std::span<const std::byte> ciphertext) override {
    if (incoming_at_ == incoming_.size()) {
      incoming_.clear();
      incoming_at_ = 0;
    }
    incoming_.append(reinterpret_cast<const char*>(ciphertext.data()), ciphertext.size());
    return advance();
  }

  TlsState send(std::span<const std::byte> bytes) override {
    while (!bytes.empty() && state_ == TlsState::open) {
      const int written = mbedtls_ssl_write(
          &ssl_, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
      if (written < 0) {
        fail(written);
      } else {
        bytes = bytes.subspan(static_cast<std::size_t>(written));
      }
    }
    return state_;
  }

  void close() override {
    if (state_ == TlsState::open || state_ == TlsState::closed) mbedtls_ssl_close_notify(&ssl_);
  }

  std::string take_outgoing() override { return std::exchange(outgoing_, {}); }
  std::string take_plaintext() override { return std::exchange(plaintext_, {}); }
  TlsState state() const override { return state_; }
  const std::string& error() const override { return error_; }
  std::string_view version() const override { return mbedtls_ssl_get_version(&ssl_); }

 private:
  TlsState advance() {
    if (state_ == TlsState::handshaking) {
      const int status = mbedtls_ssl_handshake(&ssl_);
      if (status == 0) {
        state_ = TlsState::open;
      } else if (status != MBEDTLS_ERR_SSL_WANT_READ && status != MBEDTLS_ERR_SSL_WANT_WRITE) {
        fail(status);
      }
    }
    while (state_ == TlsState::open) {
      std::array<unsigned char, 4096> buffer;
      const int got = mbedtls_ssl_read(&ssl_, buffer.data(), buffer.size());
      if (got > 0) {
        plaintext_.append(reinterpret_cast<const char*>(buffer.data()),
                          static_cast<std::size_t>(got));
      } else if (got == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) {
        state_ = TlsState::closed;
      } else if (got == MBEDTLS_ERR_SSL_WANT_READ || got == MBEDTLS_ERR_SSL_WANT_WRITE) {
        break;
      } else if (got < 0 && !is_session_ticket(got)) {
        // 0 is an empty record behind another one, never the end.
        fail(got);
      }
    }
    return state_;
  }

  // With TLS 1.3 a ticket arrives as if it were an error; reading simply goes on.
  static bool is_session_ticket([[maybe_unused]] int status) {
#ifdef MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET
    return status == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET;
#else
    return false;
#endif
  }

  void fail(int status) {
    state_ = TlsState::failed;
    const std::uint32_t flags = mbedtls_ssl_get_verify_result(&ssl_);
    error_ = status == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED && flags != 0 && flags != UINT32_MAX
                 ? verify_text(flags)
                 : tls_error_text(status);
  }

  // RFC 6125 section 6.4: the bytes of an iPAddress name, never a text that reads like it.
  static int on_verify(void* self, mbedtls_x509_crt* certificate, int depth, std::uint32_t* flags) {
    if (depth == 0 && !names_address(*certificate, *static_cast<Client*>(self)->address_)) {
      *flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
    }
    return 0;
  }

  static int on_send(void* self, const unsigned char* bytes, std::size_t size) {
    static_cast<Client*>(self)->outgoing_.append(reinterpret_cast<const char*>(bytes), size);
    return static_cast<int>(size);
  }
  static int on_receive(void* argument, unsigned char* into, std::size_t size) {
    auto* self = static_cast<Client*>(argument);
    const std::size_t left = self->incoming_.size() - self->incoming_at_;
    if (left == 0) return MBEDTLS_ERR_SSL_WANT_READ;
    const std::size_t n = std::min(left, size);
    std::memcpy(into, self->incoming_.data() + self->incoming_at_, n);
    self->incoming_at_ += n;
    return static_cast<int>(n);
  }

  mbedtls_ssl_context ssl_{};
  std::optional<Endpoint> address_;  // Set when the host is an address, not a name.
  TlsState state_ = TlsState::handshaking;
  std::string incoming_;
  std::size_t incoming_at_ = 0;
  std::string outgoing_;
  std::string plaintext_;
  std::string error_;
};

}  // namespace

Result<std::unique_ptr<TlsClientContext>, std::string> make_tls_client_context(
    const TlsClientOptions& options) {
  auto context = std::make_unique<Context>();
  if (auto loaded = context->load(options); !loaded) return Unexpected{loaded.error()};
  return std::unique_ptr<TlsClientContext>(std::move(context));
}

Result<std::unique_ptr<TlsClient>, std::string> make_tls_client(TlsClientContext& context,
                                                                const std::string& host) {
  auto client = std::make_unique<Client>();
  if (auto started = client->start(static_cast<const Context&>(context), host); !started) {
    return Unexpected{started.error()};
  }
  return std::unique_ptr<TlsClient>(std::move(client));
}

}  // namespace tocsin::io
