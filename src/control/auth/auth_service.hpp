#pragma once
// Who a client is: the Authenticator of the process. What is cheap to verify is verified at once
// (tokens, certificates, passwords seen before); only Argon2 waits for a thread of its own, behind
// limits.

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>

#include <tocsin/time.hpp>

#include "base/metrics.hpp"
#include "control/auth/attempt_limiter.hpp"
#include "control/auth/hashing_pool.hpp"
#include "control/auth/options.hpp"
#include "control/auth/user_table.hpp"
#include "control/auth/verified_cache.hpp"
#include "flow/access.hpp"

namespace tocsin::auth {

/// Rules, in this order: without users everybody is accepted and may do everything. A token decides
/// alone. A password (or a user name without one) is checked for that user; it may be the user's
/// token. A client certificate stands for the user that names it. The rest is anonymous.
class AuthService final : public flow::Authenticator, public MetricSource {
 public:
  using Clock = std::function<MonoTime()>;  ///< Any thread.

  AuthService(const AuthOptions& options, std::shared_ptr<const UserTable> users,
              std::uint32_t processors, Clock clock);
  AuthService(const AuthService&) = delete;
  AuthService& operator=(const AuthService&) = delete;
  ~AuthService() { stop(); }

  [[nodiscard]] std::unique_ptr<flow::AuthAnswer> authenticate(const flow::Credentials& credentials,
                                                               std::uint64_t ticket,
                                                               const ReplyTo& reply_to) override;
  /// From now on these users count; identities of those who are gone or inactive are revoked.
  /// Checks under way are decided by the new table. Any thread.
  void set_users(std::shared_ptr<const UserTable> users);
  /// Answers `busy` to all whose password waits to be checked. Any thread.
  void drop_waiting() { pool_.drop_waiting(); }
  /// No further answer is posted. Checks that were under way are not answered.
  void stop();

  void describe(MetricSink& sink) const override;

 private:
  enum class Method : std::uint8_t { anonymous, password, token, certificate };
  static constexpr std::size_t methods = 4;
  static constexpr std::size_t results = 4;
  struct Check;  // One password under way.

  [[nodiscard]] std::shared_ptr<const UserTable> users() const;
  [[nodiscard]] std::unique_ptr<flow::AuthAnswer> answer(
      Method method, flow::AuthResult result, std::uint64_t ticket,
      std::shared_ptr<const flow::Identity> identity = nullptr);
  /// The user's identity, unless he is inactive.
  [[nodiscard]] std::unique_ptr<flow::AuthAnswer> accept(Method method, const User& user,
                                                         std::uint64_t ticket);
  [[nodiscard]] std::unique_ptr<flow::AuthAnswer> refuse(Method method,
                                                         const flow::Credentials& credentials,
                                                         std::uint64_t ticket);
  [[nodiscard]] std::unique_ptr<flow::AuthAnswer> check_token(const UserTable& table,
                                                              const flow::Credentials& credentials,
                                                              std::uint64_t ticket);
  [[nodiscard]] std::unique_ptr<flow::AuthAnswer> check_password(
      const UserTable& table, const flow::Credentials& credentials, std::uint64_t ticket,
      const ReplyTo& reply_to);
  [[nodiscard]] std::unique_ptr<flow::AuthAnswer> check_certificate(
      const UserTable& table, const flow::Credentials& credentials, std::uint64_t ticket);
  [[nodiscard]] bool start_hashing(const UserTable& table, const User* user,
                                   const flow::Credentials& credentials, std::uint64_t ticket,
                                   const ReplyTo& reply_to);
  void finish(const Check& check, PasswordCheck result);

  const Clock clock_;
  mutable std::mutex mutex_;
  std::shared_ptr<const UserTable> users_;
  AttemptLimiter limiter_;
  VerifiedCache verified_;
  std::array<std::array<SharedCounter, results>, methods> attempts_;
  SharedCounter remembered_;
  SharedCounter hashed_;
  HashingPool pool_;  // Last: its threads use the others.
};

}  // namespace tocsin::auth
