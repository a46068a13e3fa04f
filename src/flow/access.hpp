#pragma once
// Who may do what on the ingress side: the contract between the protocols and control/auth.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "flow/loop.hpp"
#include "io/io.hpp"

namespace tocsin::flow {

enum class Access : std::uint8_t { publish, subscribe };

/// What an authenticated client is. Shared by everything that acts in its name; immutable.
class Identity {
 public:
  virtual ~Identity() = default;
  /// Name of the user, of the token or of the certificate; empty for an anonymous client.
  [[nodiscard]] virtual std::string_view user() const noexcept = 0;
  /// Whether the client may publish to the topic, or subscribe with the filter: for a filter only
  /// when every topic that it selects is allowed. `client_id` stands for %c. Any thread; allocates
  /// nothing.
  [[nodiscard]] virtual bool allows(Access access, std::string_view topic,
                                    std::string_view client_id) const noexcept = 0;
  /// Whether the user has gone or was deactivated since: allows() refuses everything, and what acts
  /// in its name should end. Any thread.
  [[nodiscard]] virtual bool revoked() const noexcept { return false; }
};

/// What a client shows of itself. Views are copied before the call returns.
struct Credentials {
  std::string_view client_id{};
  bool has_username = false;
  std::string_view username{};
  bool has_password = false;
  std::string_view password{};  ///< MQTT password, or empty.
  std::string_view token{};     ///< HTTP bearer token, or empty.
  /// Subject common name of a certificate that the TLS layer verified, or empty.
  std::string_view certificate_name{};
  io::Endpoint peer{};
};

enum class AuthResult : std::uint8_t {
  accepted,
  bad_credentials,
  not_authorized,  ///< Known, but may not connect (anonymous, disabled).
  busy,            ///< Too many attempts under way, or from this address: try later.
};

/// The answer to one request. Whoever gets the message owns it (Message::object).
struct AuthAnswer {
  std::uint64_t ticket = 0;  ///< What the asker gave.
  AuthResult result = AuthResult::bad_credentials;
  std::shared_ptr<const Identity> identity;  ///< Set when accepted.

  /// The result as of now: an identity may have been revoked while the answer was on its way.
  [[nodiscard]] AuthResult verdict() const noexcept {
    const bool gone = identity != nullptr && identity->revoked();
    return result == AuthResult::accepted && gone ? AuthResult::not_authorized : result;
  }
};

class Authenticator {
 public:
  struct ReplyTo {
    Loop* loop = nullptr;
    Receiver* receiver = nullptr;
    std::uint32_t kind = 0;
  };
  /// Any reactor's thread; never blocks (hashing runs elsewhere). Either answers at once (returns
  /// the answer: anonymous clients, tokens, certificates), or returns null and posts exactly one
  /// AuthAnswer to `reply_to` later.
  [[nodiscard]] virtual std::unique_ptr<AuthAnswer> authenticate(const Credentials& credentials,
                                                                 std::uint64_t ticket,
                                                                 const ReplyTo& reply_to) = 0;

 protected:
  ~Authenticator() = default;
};

}  // namespace tocsin::flow
