#include "control/auth/auth_service.hpp"

#include <sodium.h>

#include <algorithm>
#include <cassert>
#include <utility>

namespace tocsin::auth {
namespace {

constexpr std::size_t user_size_max = 256;

AttemptLimits limits_of(const AuthOptions& options) {
  return {.failures_free = options.failures_free,
          .delay = options.failure_delay,
          .delay_max = options.failure_delay_max,
          .pending_max = std::max(options.hash_queue_max / 4, 1U)};
}

// Without it libsodium works, but slowly: it has not looked at the processor.
std::uint64_t random_seed() {
  [[maybe_unused]] const int ready = sodium_init();
  assert(ready >= 0);
  std::uint64_t seed = 0;
  randombytes_buf(&seed, sizeof seed);
  return seed;
}

// Half of the processors stay for events even while everybody logs in.
std::uint32_t hashing_threads(std::uint32_t processors) {
  return std::clamp(processors / 2, 1U, 4U);
}

}  // namespace

struct AuthService::Check {
  std::string user;
  std::string password_hash;
  bool known = false;
  VerifiedCache::Key key{};
  io::Endpoint peer;
  std::uint64_t ticket = 0;
  ReplyTo reply_to;
};

AuthService::AuthService(const AuthOptions& options, std::shared_ptr<const UserTable> users,
                         std::uint32_t processors, Clock clock)
    : clock_(std::move(clock)),
      users_(std::move(users)),
      limiter_(limits_of(options), random_seed()),
      verified_(options.verified_max, options.verified_for),
      pool_(options.hash_memory_max, options.hash_queue_max, hashing_threads(processors)) {}

std::shared_ptr<const UserTable> AuthService::users() const {
  const std::scoped_lock lock(mutex_);
  return users_;
}

std::unique_ptr<flow::AuthAnswer> AuthService::answer(
    Method method, flow::AuthResult result, std::uint64_t ticket,
    std::shared_ptr<const flow::Identity> identity) {
  attempts_[static_cast<std::size_t>(method)][static_cast<std::size_t>(result)].add();
  auto made = std::make_unique<flow::AuthAnswer>();
  made->ticket = ticket;
  made->result = result;
  made->identity = std::move(identity);
  return made;
}

std::unique_ptr<flow::AuthAnswer> AuthService::accept(Method method, const User& user,
                                                      std::uint64_t ticket) {
  if (!user.active) return answer(method, flow::AuthResult::not_authorized, ticket);
  return answer(method, flow::AuthResult::accepted, ticket, user.identity);
}

std::unique_ptr<flow::AuthAnswer> AuthService::refuse(Method method,
                                                      const flow::Credentials& credentials,
                                                      std::uint64_t ticket) {
  limiter_.failed(credentials.peer, clock_());
  return answer(method, flow::AuthResult::bad_credentials, ticket);
}

std::unique_ptr<flow::AuthAnswer> AuthService::authenticate(const flow::Credentials& credentials,
                                                            std::uint64_t ticket,
                                                            const ReplyTo& reply_to) {
  const auto table = users();
  if (table->has_users()) {
    if (!credentials.token.empty()) return check_token(*table, credentials, ticket);
    if (credentials.has_password) return check_password(*table, credentials, ticket, reply_to);
    if (!credentials.certificate_name.empty()) {
      if (auto made = check_certificate(*table, credentials, ticket)) return made;
    }
    if (credentials.has_username) return refuse(Method::password, credentials, ticket);
  }
  auto identity = table->anonymous();
  if (identity == nullptr) {
    return answer(Method::anonymous, flow::AuthResult::not_authorized, ticket);
  }
  return answer(Method::anonymous, flow::AuthResult::accepted, ticket, std::move(identity));
}

std::unique_ptr<flow::AuthAnswer> AuthService::check_token(const UserTable& table,
                                                           const flow::Credentials& credentials,
                                                           std::uint64_t ticket) {
  const User* const user = credentials.token.size() <= token_size_max
                               ? table.find_token(hash_token(credentials.token))
                               : nullptr;
  if (user == nullptr) return refuse(Method::token, credentials, ticket);
  return accept(Method::token, *user, ticket);
}

std::unique_ptr<flow::AuthAnswer> AuthService::check_certificate(
    const UserTable& table, const flow::Credentials& credentials, std::uint64_t ticket) {
  const User* const user = table.find_certificate(credentials.certificate_name);
  if (user == nullptr) return nullptr;
  // Another name beside the certificate is a mistake, or a try.
  if (credentials.has_username && credentials.username != user->identity->user()) {
    return refuse(Method::certificate, credentials, ticket);
  }
  return accept(Method::certificate, *user, ticket);
}

std::unique_ptr<flow::AuthAnswer> AuthService::check_password(const UserTable& table,
                                                              const flow::Credentials& credentials,
                                                              std::uint64_t ticket,
                                                              const ReplyTo& reply_to) {
  if (credentials.username.size() > user_size_max ||
      credentials.password.size() > password_size_max) {
    return refuse(Method::password, credentials, ticket);
  }
  const User* const user = table.find(credentials.username);
  if (user != nullptr && user->token && credentials.password.size() <= token_size_max &&
      same(*user->token, hash_token(credentials.password))) {
    return accept(Method::token, *user, ticket);
  }
  if (user != nullptr && !user->password_hash.empty() &&
      verified_.contains(
          verified_.key_of(credentials.username, user->password_hash, credentials.password),
          clock_())) {
    remembered_.add();
    return accept(Method::password, *user, ticket);
  }
  // Nobody has a password: there is no cost by which names could be told apart.
  if (table.decoy().empty()) return refuse(Method::password, credentials, ticket);
  if (!limiter_.begin(credentials.peer, clock_())) {
    return answer(Method::password, flow::AuthResult::busy, ticket);
  }
  if (start_hashing(table, user, credentials, ticket, reply_to)) return nullptr;
  limiter_.finished(credentials.peer, false, clock_());
  return answer(Method::password, flow::AuthResult::busy, ticket);
}

bool AuthService::start_hashing(const UserTable& table, const User* user,
                                const flow::Credentials& credentials, std::uint64_t ticket,
                                const ReplyTo& reply_to) {
  const bool known = user != nullptr && !user->password_hash.empty();
  auto check = std::make_shared<Check>();
  check->user = credentials.username;
  check->password_hash = known ? user->password_hash : table.decoy();
  check->known = known;
  check->key = verified_.key_of(credentials.username, check->password_hash, credentials.password);
  check->peer = credentials.peer;
  check->ticket = ticket;
  check->reply_to = reply_to;
  return pool_.submit({.password_hash = check->password_hash,
                       .password = std::string(credentials.password),
                       .cost = known ? user->cost : table.decoy_cost(),
                       .done = [this, check](PasswordCheck result) { finish(*check, result); }});
}

void AuthService::finish(const Check& check, PasswordCheck result) {
  if (result != PasswordCheck::impossible) hashed_.add();
  const MonoTime now = clock_();
  // A reload may have come meanwhile: what was checked must still be what counts.
  const auto table = users();
  const User* const user = table->find(check.user);
  const bool valid = result == PasswordCheck::fits && check.known && user != nullptr &&
                     user->password_hash == check.password_hash;
  const auto refusal = result == PasswordCheck::impossible ? flow::AuthResult::busy
                                                           : flow::AuthResult::bad_credentials;
  limiter_.finished(check.peer, !valid && refusal != flow::AuthResult::busy, now);
  if (valid) verified_.add(check.key, now);
  auto made = valid ? accept(Method::password, *user, check.ticket)
                    : answer(Method::password, refusal, check.ticket);
  check.reply_to.loop->post({.to = check.reply_to.receiver,
                             .kind = check.reply_to.kind,
                             .arg = 0,
                             .object = made.release()});
}

void AuthService::set_users(std::shared_ptr<const UserTable> users) {
  {
    const std::scoped_lock lock(mutex_);
    users->succeed(*users_);
    users_ = std::move(users);
  }
  verified_.clear();
}

void AuthService::stop() { pool_.stop(); }

void AuthService::describe(MetricSink& sink) const {
  constexpr std::array<std::string_view, methods> method_names{"anonymous", "password", "token",
                                                               "certificate"};
  constexpr std::array<std::string_view, results> result_names{"accepted", "bad_credentials",
                                                               "not_authorized", "busy"};
  for (std::size_t m = 0; m < methods; ++m) {
    for (std::size_t r = 0; r < results; ++r) {
      sink.counter("tocsin_auth_attempts_total", "Authentications, by what they ended with.",
                   {{"method", method_names[m]}, {"result", result_names[r]}},
                   attempts_[m][r].get());
    }
  }
  sink.counter("tocsin_auth_passwords_hashed_total", "Passwords that were checked at full cost.",
               {}, hashed_.get());
  sink.counter("tocsin_auth_passwords_remembered_total",
               "Passwords that had been verified shortly before.", {}, remembered_.get());
  sink.gauge("tocsin_auth_passwords_waiting", "Passwords that wait to be checked.", {},
             static_cast<double>(pool_.waiting()));
}

}  // namespace tocsin::auth
