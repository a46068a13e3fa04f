#pragma once
// The client side of TLS without any I/O: ciphertext and plaintext in, plaintext and ciphertext
// out. On mbedTLS, against the API that 2.28 and 3.6 share, so that a newer library brings TLS 1.3.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <tocsin/result.hpp>

namespace tocsin::io {

struct TlsClientOptions {
  std::string ca_file;           ///< PEM bundle of trusted authorities; empty = the system's.
  std::string certificate_file;  ///< PEM, for mutual TLS; empty = none.
  std::string key_file;
};

/// Trust and random state shared by the connections of ONE thread.
class TlsClientContext {
 public:
  virtual ~TlsClientContext() = default;
};
[[nodiscard]] Result<std::unique_ptr<TlsClientContext>, std::string> make_tls_client_context(
    const TlsClientOptions& options);

enum class TlsState : std::uint8_t {
  handshaking,
  open,
  closed,  ///< The peer said goodbye properly.
  failed,  ///< See error().
};

/// One connection. The certificate chain and the host name are always verified: there is no switch.
class TlsClient {
 public:
  virtual ~TlsClient() = default;

  /// Takes ciphertext from the peer and makes progress. Plaintext collects in plaintext().
  virtual TlsState receive(std::span<const std::byte> ciphertext) = 0;
  /// Encrypts all of `bytes` once the state is open; ciphertext collects in outgoing().
  virtual TlsState send(std::span<const std::byte> bytes) = 0;
  /// Queues the closing alert.
  virtual void close() = 0;

  /// Ciphertext for the peer; take it away with take_outgoing().
  [[nodiscard]] virtual std::string take_outgoing() = 0;
  /// Plaintext from the peer; empty when there is none.
  [[nodiscard]] virtual std::string take_plaintext() = 0;
  [[nodiscard]] virtual TlsState state() const = 0;
  /// For people: why the handshake or a record failed.
  [[nodiscard]] virtual const std::string& error() const = 0;
  [[nodiscard]] virtual std::string_view version() const = 0;
};

/// Starts a connection: outgoing() holds the client hello at once. `host` is verified against the
/// certificate and sent as SNI (RFC 6066 section 3). The context must outlive the connection.
[[nodiscard]] Result<std::unique_ptr<TlsClient>, std::string> make_tls_client(
    TlsClientContext& context, const std::string& host);

}  // namespace tocsin::io
