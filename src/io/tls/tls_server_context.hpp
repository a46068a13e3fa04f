#pragma once
// What the TLS connections of a listener share: certificate, key, authorities, ciphers, ticket
// keys.

#include <memory>
#include <string>

#include <tocsin/result.hpp>
#include <tocsin/time.hpp>

#include "io/tls/options.hpp"

namespace tocsin::io {

/// Immutable for its users; used by ONE thread, whose random state it holds. A reload makes a new
/// one: its ticket keys are new too, so who resumes a session was verified against these
/// authorities.
class TlsServerContext {
 public:
  virtual ~TlsServerContext() = default;
  /// End of the certificate's validity.
  [[nodiscard]] virtual WallTime expires() const noexcept = 0;
};

/// Reads the files and checks that the key belongs to the certificate. The error is a sentence that
/// begins with an option's key and a colon.
[[nodiscard]] Result<std::shared_ptr<const TlsServerContext>, std::string> make_tls_server_context(
    const TlsServerOptions& options);

}  // namespace tocsin::io
