#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "stages/ingress/mqtt/server_fixture_test.hpp"

namespace tocsin::ingress {
namespace {

using mqtt::PacketType;

// May do what its name begins with.
class FakeIdentity final : public flow::Identity {
 public:
  explicit FakeIdentity(std::string user, std::string readable = "in/")
      : user_(std::move(user)), readable_(std::move(readable)) {}
  std::string_view user() const noexcept override { return user_; }
  bool allows(flow::Access access, std::string_view topic,
              std::string_view client_id) const noexcept override {
    if (access == flow::Access::subscribe) return topic.starts_with(readable_);
    return topic.starts_with("out/") && !client_id.empty();
  }
  bool revoked() const noexcept override { return user_ == "gone"; }

 private:
  std::string user_;
  std::string readable_;
};

class FakeAuthenticator final : public flow::Authenticator {
 public:
  struct Asked {
    std::uint64_t ticket;
    ReplyTo reply_to;
    std::string username;
    std::string password;
    std::string certificate_name;
  };
  std::unique_ptr<flow::AuthAnswer> authenticate(const flow::Credentials& credentials,
                                                 std::uint64_t ticket,
                                                 const ReplyTo& reply_to) override {
    if (credentials.username == "now") {
      return std::make_unique<flow::AuthAnswer>(
          flow::AuthAnswer{ticket, flow::AuthResult::accepted,
                           std::make_shared<const FakeIdentity>("now", readable)});
    }
    asked.push_back({ticket, reply_to, std::string(credentials.username),
                     std::string(credentials.password), std::string(credentials.certificate_name)});
    return nullptr;
  }
  void answer(std::size_t index, flow::AuthResult result) {
    const Asked& question = asked[index];
    auto answer = std::make_unique<flow::AuthAnswer>();
    answer->ticket = question.ticket;
    answer->result = result;
    if (result == flow::AuthResult::accepted) {
      answer->identity = std::make_shared<const FakeIdentity>(question.username);
    }
    question.reply_to.loop->post({.to = question.reply_to.receiver,
                                  .kind = question.reply_to.kind,
                                  .arg = 0,
                                  .object = answer.release()});
  }
  std::vector<Asked> asked;
  std::string readable = "in/";
};

class FakeQuotas final : public flow::Quotas {
 public:
  std::optional<Duration> take_client(std::string_view, const io::Endpoint&, std::uint32_t events,
                                      MonoTime) noexcept override {
    if (left < events) return std::chrono::seconds(1);
    left -= events;
    return {};
  }
  std::optional<Duration> take_source(std::string_view, std::uint32_t, MonoTime) noexcept override {
    return {};
  }
  bool enabled() const noexcept override { return true; }
  std::uint32_t left = 0;
};

std::string connect_as(Version version, std::string_view id, std::string_view user,
                       std::optional<mqtt::Will> will = {}, bool clean = true) {
  return written([&](auto out) {
    return mqtt::write_connect(out, {.version = version,
                                     .clean_start = clean,
                                     .client_id = id,
                                     .will = will,
                                     .user_name = user,
                                     .password = "secret"});
  });
}

// Goal: nothing happens, and nothing is answered, before the authenticator has spoken; input is
// kept meanwhile, in a bounded place.
TEST_F(MqttServerTest, AuthenticationIsAwaited) {
  start();
  FakeAuthenticator authenticator;
  server_->set_authenticator(&authenticator);
  const std::uint32_t client = *io_.accept();
  io_.arrive(client,
             connect_as(Version::v5, "a", "ann") + publish_packet(Version::v5, "out/1", "x"));
  turn();
  EXPECT_EQ(take(client), "");
  EXPECT_FALSE(peer(client).receiving);
  EXPECT_EQ(shared_.directory.size(), 0U);
  ASSERT_EQ(authenticator.asked.size(), 1U);
  EXPECT_EQ(authenticator.asked[0].password, "secret");
  authenticator.answer(0, flow::AuthResult::accepted);
  turn();
  EXPECT_EQ(take(client).substr(0, 1), "\x20");
  EXPECT_TRUE(peer(client).receiving);
  EXPECT_EQ(intake_.events.size(), 1U);
  const std::uint32_t flood = *io_.accept();
  io_.arrive(flood, connect_as(Version::v5, "b", "bob"));
  for (int i = 0; i < 40 && !peer(flood).closed; ++i) {
    io_.arrive(flood, std::string(10'000, 'x'));
    turn();
  }
  EXPECT_TRUE(peer(flood).closed);
  authenticator.answer(1, flow::AuthResult::accepted);
  turn();
}

// Goal: every verdict is answered in the words of the version.
TEST_F(MqttServerTest, AuthenticationVerdicts) {
  start();
  FakeAuthenticator authenticator;
  server_->set_authenticator(&authenticator);
  const auto answer = [&](Version version, flow::AuthResult result) {
    const std::uint32_t client = *io_.accept();
    io_.arrive(client, connect_as(version, "a", "ann"));
    authenticator.answer(authenticator.asked.size() - 1, result);
    turn();
    EXPECT_TRUE(peer(client).closed);
    return take(client).substr(3, 1);
  };
  using flow::AuthResult;
  EXPECT_EQ(answer(Version::v5, AuthResult::bad_credentials), "\x86");
  EXPECT_EQ(answer(Version::v5, AuthResult::not_authorized), "\x87");
  EXPECT_EQ(answer(Version::v5, AuthResult::busy), "\x89");
  EXPECT_EQ(answer(Version::v3_1_1, AuthResult::bad_credentials), "\x04");
  EXPECT_EQ(answer(Version::v3_1_1, AuthResult::not_authorized), "\x05");
  EXPECT_EQ(answer(Version::v3_1_1, AuthResult::busy), "\x03");
}

// Goal: whoever was removed while his answer was on its way does not get in.
TEST_F(MqttServerTest, RevokedWhileAuthenticating) {
  start();
  FakeAuthenticator authenticator;
  server_->set_authenticator(&authenticator);
  const std::uint32_t client = *io_.accept();
  io_.arrive(client, connect_as(Version::v5, "a", "gone"));
  authenticator.answer(0, flow::AuthResult::accepted);
  turn();
  EXPECT_TRUE(peer(client).closed);
  EXPECT_EQ(take(client).substr(3, 1), "\x87");
}

// Goal: access rules hold for publishes, filters and wills.
TEST_F(MqttServerTest, AccessRules) {
  start();
  FakeAuthenticator authenticator;
  server_->set_authenticator(&authenticator);
  const auto connect = [&](Version version, std::optional<mqtt::Will> will = {}) {
    const std::uint32_t client = *io_.accept();
    io_.arrive(client, connect_as(version, version == Version::v5 ? "five" : "three", "now", will));
    turn();
    return client;
  };
  const std::uint32_t five = connect(Version::v5);
  const std::uint32_t three = connect(Version::v3_1_1);
  take(five);
  take(three);
  io_.arrive(five, publish_packet(Version::v5, "in/x", "x", 1));
  io_.arrive(three, publish_packet(Version::v3_1_1, "in/x", "x", 1));
  turn();
  EXPECT_EQ(take(five), "\x40\x03\x00\x01\x87"s);
  EXPECT_EQ(take(three), "\x40\x02\x00\x01"s) << "3.1.1 has no words for it";
  EXPECT_TRUE(intake_.events.empty());
  EXPECT_EQ(server_->stats().refused[static_cast<std::size_t>(flow::Refusal::access)].get(), 2U);
  for (const char* filter : {"#", "out/x", "$share/g/out/x"}) {
    io_.arrive(five, subscribe_packet(Version::v5, filter, 1));
    turn();
    EXPECT_EQ(take(five), "\x90\x04\x00\x09\x00\x87"s) << filter;
  }
  io_.arrive(three, subscribe_packet(Version::v3_1_1, "in/+", 1));
  turn();
  EXPECT_EQ(take(three), "\x90\x03\x00\x09\x01"s);
  EXPECT_EQ(take(connect(Version::v5, mqtt::Will{.topic = "in/x"})).substr(3, 1), "\x87");
}

// Goal: a session that comes back has no more rights than its client has by now, shared
// subscriptions included.
TEST_F(MqttServerTest, NarrowedRightsReachSessions) {
  start();
  FakeAuthenticator authenticator;
  server_->set_authenticator(&authenticator);
  const auto connect = [&] {
    const std::uint32_t client = *io_.accept();
    io_.arrive(client, connect_as(Version::v3_1_1, "dev", "now", {}, false));
    turn();
    EXPECT_EQ(take(client).substr(0, 1), "\x20");
    return client;
  };
  const std::uint32_t before = connect();
  for (const char* filter : {"in/a", "in/b", "$share/g/in/a"}) {
    subscribe(before, Version::v3_1_1, {.filter = filter, .qos = 1});
  }
  authenticator.readable = "in/b";
  const std::uint32_t after = connect();
  route({.topic = "in/a", .payload = "1"});
  route({.topic = "in/b", .payload = "2"});
  EXPECT_EQ(take(after), publish_packet(Version::v3_1_1, "in/b", "2"));
}

// Goal: a session is not for another user who happens to know its identifier.
TEST_F(MqttServerTest, SessionBelongsToItsUser) {
  start();
  FakeAuthenticator authenticator;
  server_->set_authenticator(&authenticator);
  const auto connect = [&](std::string_view user) {
    const std::uint32_t client = *io_.accept();
    io_.arrive(client, connect_as(Version::v3_1_1, "dev", user, {}, false));
    authenticator.answer(authenticator.asked.size() - 1, flow::AuthResult::accepted);
    turn();
    return take(client);
  };
  EXPECT_EQ(connect("ann"), "\x20\x02\x00\x00"s);
  EXPECT_EQ(connect("ann"), "\x20\x02\x01\x00"s);
  EXPECT_EQ(connect("bob"), "\x20\x02\x00\x00"s);
}

// Goal: over its rate a 5.0 client is told, a 3.1.1 client and QoS 0 wait at their socket.
TEST_F(MqttServerTest, Quotas) {
  start();
  FakeQuotas quotas;
  server_->set_quotas(&quotas);
  const std::uint32_t five = join(Version::v5, "five");
  const std::uint32_t three = join(Version::v3_1_1, "three");
  io_.arrive(five, publish_packet(Version::v5, "t", "x", 1));
  io_.arrive(three, publish_packet(Version::v3_1_1, "t", "x", 1));
  turn();
  EXPECT_EQ(take(five), "\x40\x03\x00\x01\x97"s);
  EXPECT_EQ(take(three), "");
  EXPECT_FALSE(peer(three).receiving);
  quotas.left = 5;
  pass(std::chrono::milliseconds(900));
  EXPECT_TRUE(intake_.events.empty());
  pass(std::chrono::milliseconds(200));
  EXPECT_EQ(intake_.events.size(), 1U);
  EXPECT_TRUE(peer(three).receiving);
  EXPECT_EQ(quotas.left, 4U) << "taken once";
}

// Goal: a payload that says it is text must be (section 3.3.2.3.2).
TEST_F(MqttServerTest, PayloadFormat) {
  start();
  const std::uint32_t client = join(Version::v5);
  mqtt::PropertyBuilder<8> text;
  text.add_u8(PropertyId::payload_format_indicator, 1);
  io_.arrive(client, publish_packet(Version::v5, "t", "\xff", 1, text.view()));
  turn();
  EXPECT_EQ(take(client).substr(4, 1), "\x99");
  EXPECT_TRUE(intake_.events.empty());
}

// Goal: what no client may publish to.
TEST_F(MqttServerTest, ReservedTopics) {
  start();
  const std::uint32_t client = join(Version::v5);
  for (const char* topic : {"notifications/x", "$SYS/x", "$share/g/x"}) {
    io_.arrive(client, publish_packet(Version::v5, topic, "x", 1));
    turn();
    EXPECT_EQ(take(client), "\x40\x03\x00\x01\x87"s) << topic;
  }
  EXPECT_TRUE(intake_.events.empty());
}

// Goal: what only a server sends, or nobody may begin, ends the connection (FAULTS X18).
TEST_F(MqttServerTest, PacketsOfServers) {
  start();
  for (const std::string& packet :
       {"\x20\x02\x00\x00"s, "\x90\x03\x00\x01\x00"s, "\xb0\x02\x00\x01"s, "\xd0\x00"s, "\xf0\x00"s,
        "\x00\x00"s, "\x36\x05\x00\x01tab"s}) {
    for (const Version version : {Version::v3_1_1, Version::v5}) {
      const std::uint32_t client = join(version);
      io_.arrive(client, packet);
      turn();
      EXPECT_TRUE(peer(client).closed) << static_cast<int>(packet[0]);
    }
  }
  const std::uint32_t client = *io_.accept();
  mqtt::PropertyBuilder<16> method;
  method.add_text(PropertyId::authentication_method, "SCRAM");
  io_.arrive(client, connect_packet(Version::v5, "a", 0, true, {}, method.view()));
  turn();
  EXPECT_EQ(take(client).substr(3, 1), "\x8c");
}

}  // namespace
}  // namespace tocsin::ingress
