#pragma once
// What the TLS connections of a listener share: certificate, key, authorities, ciphers, ticket
// keys.

#include <cstddef>
#include <memory>
#include <string>

#include <tocsin/result.hpp>
#include <tocsin/time.hpp>

#include "io/tls/options.hpp"

namespace tocsin::io {

/// What one connection takes: two record buffers of mbedTLS, its state, and what a handshake needs
/// at its worst.
inline constexpr std::size_t tls_connection_bytes = std::size_t{44} * 1024;

/// What a handshake takes beside that when clients are asked for certificates. They come in one
/// message of 16 KiB at most, but mbedTLS keeps an object for each name in them, and an alternative
/// name may have two bytes.
inline constexpr std::size_t tls_client_chain_bytes = std::size_t{400} * 1024;

/// Immutable for its users; used by ONE thread, whose random state it holds. A reload makes a new
/// one: its ticket keys are new too, so who resumes a session was verified against these
/// authorities.
class TlsServerContext {
 public:
  virtual ~TlsServerContext() = default;
  /// What a connection is charged with until its handshake is done.
  [[nodiscard]] virtual std::size_t handshake_bytes() const noexcept = 0;
  /// End of the certificate's validity.
  [[nodiscard]] virtual WallTime expires() const noexcept = 0;
};

/// Reads the files and checks that the key belongs to the certificate. The error is a sentence that
/// begins with an option's key and a colon.
[[nodiscard]] Result<std::shared_ptr<const TlsServerContext>, std::string> make_tls_server_context(
    const TlsServerOptions& options);

}  // namespace tocsin::io
