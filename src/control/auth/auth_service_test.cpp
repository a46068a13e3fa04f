// Who is accepted, as whom, and what a reload changes.
#include "control/auth/auth_service.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <bit>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <thread>

#include "flow/loop.hpp"
#include "io/posix/clocks.hpp"
#include "tests/support/still_io.hpp"

namespace tocsin::auth {
namespace {

using flow::Access;
using flow::AuthResult;
using flow::Credentials;

constexpr HashCost cheap{.memory_bytes = 8 * 1024, .passes = 1};

/// The asker's side: a loop that is turned until the answer is there.
class Asker final : public flow::Receiver {
 public:
  std::unique_ptr<flow::AuthAnswer> ask(AuthService& service, const Credentials& credentials) {
    posted = false;
    if (auto now = service.authenticate(credentials, 7, {&loop, this, 3})) return now;
    posted = true;
    while (answer_ == nullptr) {
      std::this_thread::yield();
      loop.turn(MonoTime::min());
    }
    return std::move(answer_);
  }
  void on_message(const flow::Message& message) noexcept override {
    EXPECT_EQ(message.kind, 3U);
    answer_.reset(static_cast<flow::AuthAnswer*>(message.object));
  }
  testing::StillIo io;
  flow::Loop loop{io, "test"};
  bool posted = false;  ///< The last answer came from a hashing thread.

 private:
  std::unique_ptr<flow::AuthAnswer> answer_;
};

UserConfig user(std::string name, std::string_view password, std::string_view token = {}) {
  UserConfig config;
  config.name = std::move(name);
  if (!password.empty()) config.password_hash = *hash_password(password, cheap);
  if (!token.empty()) config.token_hash = to_string(hash_token(token));
  config.publish = {"devices/%u/#"};
  config.subscribe = {"devices/%u/#", "news/+"};
  return config;
}

std::shared_ptr<const UserTable> table(const AuthOptions& options,
                                       const std::vector<UserConfig>& users) {
  auto built = UserTable::build(options, users);
  EXPECT_TRUE(built) << (built ? "" : built.error().message);
  return built ? *built : nullptr;
}

Credentials by_password(std::string_view name, std::string_view password) {
  return {.has_username = true, .username = name, .has_password = true, .password = password};
}

class AuthTest : public ::testing::Test {
 protected:
  AuthService& make(const std::vector<UserConfig>& users) {
    service_ =
        std::make_unique<AuthService>(options, table(options, users), 4, [this] { return now; });
    return *service_;
  }
  AuthResult ask(const Credentials& credentials) {
    answer = asker.ask(*service_, credentials);
    EXPECT_EQ(answer->ticket, 7U);
    EXPECT_EQ(answer->identity != nullptr, answer->result == AuthResult::accepted);
    return answer->result;
  }
  AuthOptions options;
  MonoTime now{std::chrono::hours(5)};
  Asker asker;
  std::unique_ptr<flow::AuthAnswer> answer;
  std::unique_ptr<AuthService> service_;
};

TEST_F(AuthTest, WithoutUsersEverybodyMayDoEverything) {
  make({});
  EXPECT_EQ(ask({}), AuthResult::accepted);
  EXPECT_EQ(ask(by_password("any", "thing")), AuthResult::accepted);
  EXPECT_TRUE(answer->identity->allows(Access::publish, "a/b", "c"));
  EXPECT_TRUE(answer->identity->allows(Access::subscribe, "#", "c"));
  EXPECT_EQ(answer->identity->user(), "");
}

TEST_F(AuthTest, PasswordsAreCheckedElsewhereAndThenRemembered) {
  make({user("ann", "secret"), user("bob", "hidden")});
  EXPECT_EQ(ask(by_password("ann", "secret")), AuthResult::accepted);
  EXPECT_TRUE(asker.posted);
  EXPECT_EQ(answer->identity->user(), "ann");
  EXPECT_TRUE(answer->identity->allows(Access::publish, "devices/ann/x", "c"));
  EXPECT_FALSE(answer->identity->allows(Access::publish, "devices/bob/x", "c"));
  EXPECT_FALSE(answer->identity->allows(Access::publish, "news/a", "c"));
  EXPECT_TRUE(answer->identity->allows(Access::subscribe, "news/+", "c"));
  EXPECT_FALSE(answer->identity->allows(Access::subscribe, "#", "c"));

  EXPECT_EQ(ask(by_password("ann", "secret")), AuthResult::accepted);
  EXPECT_FALSE(asker.posted);
  EXPECT_EQ(ask(by_password("ann", "hidden")), AuthResult::bad_credentials);
  EXPECT_TRUE(asker.posted) << "only what was verified is remembered";
  EXPECT_EQ(ask(by_password("bob", "secret")), AuthResult::bad_credentials);
  now += options.verified_for;
  EXPECT_EQ(ask(by_password("ann", "secret")), AuthResult::accepted);
  EXPECT_TRUE(asker.posted) << "it expires";
}

// An answer at once for names that do not exist would tell which ones do.
TEST_F(AuthTest, UnknownUsersCostAsMuchAsKnownOnes) {
  make({user("ann", "secret"), user("token-only", "", "tcs_x")});
  for (const std::string_view name : {"nobody", "", "token-only", "Ann"}) {
    EXPECT_EQ(ask(by_password(name, "secret")), AuthResult::bad_credentials);
    EXPECT_TRUE(asker.posted) << name;
  }
}

TEST_F(AuthTest, TokensAreVerifiedAtOnce) {
  make({user("ann", "secret", "tcs_right"), user("bob", "", "tcs_other")});
  EXPECT_EQ(ask({.token = "tcs_right"}), AuthResult::accepted);
  EXPECT_FALSE(asker.posted);
  EXPECT_EQ(answer->identity->user(), "ann");
  EXPECT_EQ(ask({.token = "tcs_wrong"}), AuthResult::bad_credentials);
  EXPECT_EQ(ask(by_password("bob", "tcs_other")), AuthResult::accepted);
  EXPECT_EQ(answer->identity->user(), "bob");
  EXPECT_EQ(ask(by_password("ann", "tcs_other")), AuthResult::bad_credentials)
      << "a token stands for its own user only";
}

TEST_F(AuthTest, CertificatesStandForTheUserThatNamesThem) {
  auto ann = user("ann", "secret");
  ann.certificate_name = "device-7";
  make({ann});
  EXPECT_EQ(ask({.certificate_name = "device-7"}), AuthResult::accepted);
  EXPECT_EQ(answer->identity->user(), "ann");
  EXPECT_EQ(ask({.certificate_name = "device-8"}), AuthResult::not_authorized);
  EXPECT_EQ(ask({.has_username = true, .username = "ann", .certificate_name = "device-7"}),
            AuthResult::accepted);
  EXPECT_EQ(ask({.has_username = true, .username = "bob", .certificate_name = "device-7"}),
            AuthResult::bad_credentials);
  auto both = by_password("ann", "wrong");
  both.certificate_name = "device-7";
  EXPECT_EQ(ask(both), AuthResult::bad_credentials) << "a password that is shown must be right";
}

TEST_F(AuthTest, AnonymousClientsHaveTheirOwnRights) {
  make({user("ann", "secret")});
  EXPECT_EQ(ask({}), AuthResult::not_authorized);
  EXPECT_EQ(ask({.has_username = true, .username = "ann"}), AuthResult::bad_credentials);
  options.allow_anonymous = true;
  options.anonymous_publish = {"public/%c", "%u/x"};
  make({user("ann", "secret")});
  EXPECT_EQ(ask({}), AuthResult::accepted);
  EXPECT_TRUE(answer->identity->allows(Access::publish, "public/c", "c"));
  EXPECT_FALSE(answer->identity->allows(Access::publish, "/x", "c")) << "there is no user's name";
  EXPECT_FALSE(answer->identity->allows(Access::subscribe, "public/c", "c"));
}

TEST_F(AuthTest, AnInactiveUserIsToldSoOnlyWithTheRightPassword) {
  auto ann = user("ann", "secret");
  ann.active = false;
  make({ann});
  EXPECT_EQ(ask(by_password("ann", "wrong")), AuthResult::bad_credentials);
  EXPECT_EQ(ask(by_password("ann", "secret")), AuthResult::not_authorized);
}

TEST_F(AuthTest, WhoGuessesWaitsButWhatWasVerifiedPasses) {
  options.failures_free = 2;
  make({user("ann", "secret")});
  ASSERT_EQ(ask(by_password("ann", "secret")), AuthResult::accepted);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(ask(by_password("ann", "guess" + std::to_string(i))), AuthResult::bad_credentials);
  }
  EXPECT_EQ(ask(by_password("ann", "guess3")), AuthResult::busy);
  EXPECT_FALSE(asker.posted) << "nothing is hashed for who has to wait";
  EXPECT_EQ(ask(by_password("ann", "secret")), AuthResult::accepted);
  now += options.failure_delay;
  EXPECT_EQ(ask(by_password("ann", "guess4")), AuthResult::bad_credentials);
}

TEST_F(AuthTest, AReloadRevokesWhoIsGoneAndKeepsTheOthers) {
  AuthService& service = make({user("ann", "secret"), user("bob", "hidden")});
  ask(by_password("ann", "secret"));
  const auto ann = answer->identity;
  ask(by_password("bob", "hidden"));
  const auto bob = answer->identity;

  auto changed = user("ann", "changed");
  service.set_users(table(options, {changed}));
  EXPECT_FALSE(ann->revoked());
  EXPECT_TRUE(ann->allows(Access::publish, "devices/ann/x", "c"));
  EXPECT_TRUE(bob->revoked());
  EXPECT_FALSE(bob->allows(Access::publish, "devices/bob/x", "c"));
  EXPECT_EQ(ask(by_password("ann", "secret")), AuthResult::bad_credentials);
  EXPECT_EQ(ask(by_password("ann", "changed")), AuthResult::accepted);

  // The identity of two reloads ago ends with its user, too.
  changed.active = false;
  service.set_users(table(options, {changed}));
  EXPECT_TRUE(ann->revoked());
}

// Goal: narrowed rights reach who is already in: he is to come again.
TEST_F(AuthTest, AReloadRevokesWhoseRightsHaveChanged) {
  AuthService& service = make({user("ann", "secret"), user("bob", "hidden")});
  ask(by_password("ann", "secret"));
  const auto ann = answer->identity;
  ask(by_password("bob", "hidden"));
  const auto bob = answer->identity;
  auto narrowed = user("ann", "secret");
  narrowed.subscribe = {"devices/ann/state"};
  service.set_users(table(options, {narrowed, user("bob", "hidden")}));
  EXPECT_TRUE(ann->revoked());
  EXPECT_FALSE(bob->revoked());
  EXPECT_EQ(ask(by_password("ann", "secret")), AuthResult::accepted);
  const auto again = answer->identity;
  EXPECT_FALSE(again->revoked());
  EXPECT_TRUE(again->allows(Access::subscribe, "devices/ann/state", "c"));
  EXPECT_FALSE(again->allows(Access::subscribe, "devices/ann/#", "c"));
}

TEST_F(AuthTest, UsersThatAppearEndTheRightsOfEverybody) {
  AuthService& service = make({});
  ask({});
  const auto everybody = answer->identity;
  service.set_users(table(options, {}));
  EXPECT_FALSE(everybody->revoked());
  options.allow_anonymous = true;
  service.set_users(table(options, {user("ann", "secret")}));
  EXPECT_TRUE(everybody->revoked());
  EXPECT_FALSE(everybody->allows(Access::publish, "a", "c"));
}

TEST_F(AuthTest, ManyAskersGetOneAnswerEach) {
  options.hash_queue_max = 64;
  options.hash_memory_max = 16 * 1024;  // Two at a time.
  AuthService& service = make({user("ann", "secret")});
  struct Counting final : flow::Receiver {
    void on_message(const flow::Message& message) noexcept override {
      const std::unique_ptr<flow::AuthAnswer> got(static_cast<flow::AuthAnswer*>(message.object));
      EXPECT_EQ(got->result, AuthResult::accepted);
      tickets |= std::uint64_t{1} << got->ticket;
      ++answers;
    }
    std::uint64_t tickets = 0;
    std::uint32_t answers = 0;
  } receiver;
  std::uint64_t expected = 0;
  std::uint32_t busy = 0;
  for (std::uint64_t ticket = 0; ticket < 40; ++ticket) {
    auto credentials = by_password("ann", "secret");
    credentials.peer.address[0] = static_cast<std::uint8_t>(ticket % 3);
    const auto now_answer = service.authenticate(credentials, ticket, {&asker.loop, &receiver, 0});
    if (now_answer == nullptr) {
      expected |= std::uint64_t{1} << ticket;
    } else if (now_answer->result == AuthResult::busy) {
      ++busy;
    }
  }
  while (receiver.tickets != expected) asker.loop.turn(MonoTime::min());
  EXPECT_EQ(receiver.answers, static_cast<std::uint32_t>(std::popcount(expected)));
  EXPECT_LE(busy, 40U - 3U);
}

// Goal: a machine without memory says nothing about the password, and does not count it as a guess.
// Method: no more than now may be mapped, but for what threads need.
TEST_F(AuthTest, WithoutMemoryNothingIsHeldAgainstTheClient) {
  options.failures_free = 1;
  options.hash_memory_max = 128 << 20U;
  auto ann = user("ann", "secret");
  const HashCost dear{.memory_bytes = 64 << 20U, .passes = 1};
  ann.password_hash = *hash_password("secret", dear);
  make({ann});
  EXPECT_EQ(ask(by_password("ann", "wrong")), AuthResult::bad_credentials) << "starts the threads";
  std::uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_AS, &before), 0);
  rlimit tight = before;
  tight.rlim_cur = pages * static_cast<std::uint64_t>(::getpagesize()) + (32U << 20U);
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &tight), 0);
  std::vector<AuthResult> results;
  for (int i = 0; i < 4; ++i) results.push_back(ask(by_password("ann", "secret")));
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &before), 0);
  EXPECT_THAT(results, ::testing::Each(AuthResult::busy));
  EXPECT_EQ(ask(by_password("ann", "secret")), AuthResult::accepted);
}

// Goal: a machine that has no thread to give refuses logins for a while, and does not end. Method:
// no stack of that size can be had.
TEST_F(AuthTest, WithoutAThreadEverybodyIsToldToTryAgain) {
  make({user("ann", "secret")});
  pthread_attr_t before;
  pthread_attr_t huge;
  ASSERT_EQ(pthread_getattr_default_np(&before), 0);
  ASSERT_EQ(pthread_attr_init(&huge), 0);
  ASSERT_EQ(pthread_attr_setstacksize(&huge, SIZE_MAX / 256 * 255), 0);
  ASSERT_EQ(pthread_setattr_default_np(&huge), 0);
  const AuthResult result = ask(by_password("ann", "secret"));
  ASSERT_EQ(pthread_setattr_default_np(&before), 0);
  pthread_attr_destroy(&huge);
  pthread_attr_destroy(&before);
  EXPECT_EQ(result, AuthResult::busy);
  EXPECT_EQ(ask(by_password("ann", "secret")), AuthResult::accepted);
}

// Goal: dropping what waits answers everybody, once.
TEST_F(AuthTest, WhatIsDroppedIsAnswered) {
  options.hash_queue_max = 1000;
  options.failures_free = 1000;
  UserConfig ann;
  ann.name = "ann";
  ann.password_hash = *hash_password("x", {.memory_bytes = 1 << 20U, .passes = 8});
  AuthService& service = make({ann});
  struct Counting final : flow::Receiver {
    void on_message(const flow::Message& message) noexcept override {
      const std::unique_ptr<flow::AuthAnswer> got(static_cast<flow::AuthAnswer*>(message.object));
      ++answers;
      if (got->result == AuthResult::busy) ++busy;
    }
    int answers = 0;
    int busy = 0;
  } receiver;
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(service.authenticate(by_password("ann", "y"), 1, {&asker.loop, &receiver, 0}),
              nullptr);
  }
  service.drop_waiting();
  while (receiver.answers < 200) asker.loop.turn(MonoTime::min());
  EXPECT_GT(receiver.busy, 0);
  EXPECT_EQ(ask(by_password("ann", "x")), AuthResult::accepted) << "and the pool goes on";
  EXPECT_EQ(receiver.answers, 200);
}

TEST_F(AuthTest, StoppingDropsWhatWaits) {
  options.hash_queue_max = 1000;
  const auto slow = *hash_password("x", {.memory_bytes = 1 << 20U, .passes = 8});
  UserConfig ann;
  ann.name = "ann";
  ann.password_hash = slow;
  AuthService& service = make({ann});
  struct Freeing final : flow::Receiver {
    void on_message(const flow::Message& message) noexcept override {
      delete static_cast<flow::AuthAnswer*>(message.object);
    }
  } receiver;
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(service.authenticate(by_password("ann", "y"), 1, {&asker.loop, &receiver, 0}),
              nullptr);
  }
  service.stop();
  asker.loop.turn(MonoTime::min());
  EXPECT_EQ(ask(by_password("ann", "y")), AuthResult::busy);
}

TEST(UserTable, ProblemsNameTheirPlace) {
  const AuthOptions options;
  const auto problem = [&](const UserConfig& config) {
    const auto built = UserTable::build(options, {user("first", "", "tcs_first"), config});
    return built ? std::string("none")
                 : std::to_string(built.error().user) + "." + built.error().key;
  };
  auto config = user("second", "");
  EXPECT_EQ(problem(config), "none");
  config.password_hash = "plain";
  EXPECT_EQ(problem(config), "1.password_hash");
  config.password_hash =
      "$argon2id$v=19$m=1048576,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$"
      "aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";
  EXPECT_EQ(problem(config), "1.password_hash") << "more than hash_memory_max";
  config = user("second", "", "tcs_first");
  EXPECT_EQ(problem(config), "1.token_hash");
  config = user("second", "");
  config.publish = {"a#"};
  EXPECT_EQ(problem(config), "1.publish");
  config.publish = {};
  config.subscribe = {"%x"};
  EXPECT_EQ(problem(config), "1.subscribe");
}

}  // namespace
}  // namespace tocsin::auth
