#include <gtest/gtest.h>

#include <map>
#include <string>

#include "stages/ingress/mqtt/server_fixture_test.hpp"

namespace tocsin::ingress {
namespace {

using mqtt::PacketType;

/// What a disk would hold.
class FakeStore final : public flow::SessionStore {
 public:
  Result<void, std::string> load(
      const std::function<void(flow::StoredSession&&)>& session,
      const std::function<void(flow::StoredRetained&&)>& retained) override {
    for (auto [id, stored] : sessions) {
      for (const auto& [filter, subscription] : subscriptions[id]) {
        stored.subscriptions.push_back(subscription);
      }
      for (const auto& [ordinal, bytes] : messages[id]) {
        stored.messages.push_back({ordinal, bytes});
      }
      session(std::move(stored));
    }
    for (const auto& [topic, bytes] : kept) retained({topic, bytes});
    return {};
  }
  bool put_session(const flow::StoredSession& session) noexcept override {
    sessions[session.client_id] = session;
    return true;
  }
  bool remove_session(std::string_view client_id) noexcept override {
    const std::string id(client_id);
    sessions.erase(id);
    subscriptions.erase(id);
    messages.erase(id);
    return true;
  }
  bool put_subscription(std::string_view client_id,
                        const flow::StoredSubscription& subscription) noexcept override {
    subscriptions[std::string(client_id)][subscription.filter] = subscription;
    return true;
  }
  bool remove_subscription(std::string_view client_id, std::string_view filter) noexcept override {
    return subscriptions[std::string(client_id)].erase(std::string(filter)) > 0;
  }
  bool put_message(std::string_view client_id, std::uint64_t ordinal, std::string_view bytes,
                   flow::SettlementRange* range) noexcept override {
    messages[std::string(client_id)][ordinal] = bytes;
    if (range != nullptr) range->settle();
    return true;
  }
  bool remove_message(std::string_view client_id, std::uint64_t ordinal) noexcept override {
    return messages[std::string(client_id)].erase(ordinal) > 0;
  }
  bool put_retained(std::string_view topic, std::string_view bytes,
                    flow::SettlementRange* range) noexcept override {
    kept[std::string(topic)] = bytes;
    if (bytes.empty()) kept.erase(std::string(topic));
    if (range != nullptr) range->settle();
    return true;
  }

  std::map<std::string, flow::StoredSession> sessions;
  std::map<std::string, std::map<std::string, flow::StoredSubscription>> subscriptions;
  std::map<std::string, std::map<std::uint64_t, std::string>> messages;
  std::map<std::string, std::string> kept;
};

// Goal: subscriptions, messages and both halves of QoS 2 survive the process, with their marks.
TEST_F(MqttServerTest, SessionsOutliveTheProcess) {
  FakeStore store;
  start();
  server_->set_session_store(&store);
  auto [client, present] = join_session(Version::v5, "dev", 1000);
  mqtt::PropertyBuilder<8> identifier;
  identifier.add_varint(PropertyId::subscription_identifier, 5);
  subscribe(client, Version::v5, {.filter = "#", .qos = 2}, identifier.view());
  route({.topic = "a", .payload = "1", .qos = 2, .sequence = 11});
  route({.topic = "b", .payload = "2", .qos = 2, .sequence = 12});
  io_.arrive(client, ack_packet(PacketType::pubrec, 1));
  io_.arrive(client, packet_of(Version::v5, {.topic = "in", .payload = "x", .packet_id = 9, .qos = 2}));
  intake_.ack_all();
  turn();
  const auto [clean, nothing] = join_session(Version::v5, "gone", 0);
  peer(client).handler->on_end(ECONNRESET);
  turn();
  route({.topic = "c", .payload = "3", .qos = 1, .sequence = 13});
  EXPECT_EQ(store.messages["dev"].size(), 3U);
  EXPECT_EQ(store.sessions.size(), 1U);

  // Another process.
  server_.reset();
  io_.streams.clear();
  shared_.servers.clear();
  start();
  server_->set_session_store(&store);
  server_->load_sessions();
  EXPECT_TRUE(server_->has_subscribers());
  RoutedMessage again{.topic = "c", .payload = "3", .qos = 1, .old = true, .sequence = 13};
  route(again);
  again.sequence = 14;
  again.payload = "4";
  route(again);
  std::tie(client, present) = join_session(Version::v5, "dev", 1000);
  EXPECT_TRUE(present);
  mqtt::Publish second{.topic = "b", .payload = "2", .packet_id = 2, .qos = 2, .dup = true};
  second.properties = identifier.view();
  mqtt::Publish third{.topic = "c", .payload = "3", .packet_id = 3, .qos = 1};
  third.properties = identifier.view();
  mqtt::Publish fourth{.topic = "c", .payload = "4", .packet_id = 4, .qos = 1};
  fourth.properties = identifier.view();
  std::string sent = take(client);
  EXPECT_EQ(sent.substr(0, 4), ack_packet(PacketType::pubrel, 1));
  sent.erase(0, 4);
  EXPECT_EQ(sent.substr(0, packet_of(Version::v5, second).size()), packet_of(Version::v5, second));
  sent.erase(0, packet_of(Version::v5, second).size());
  EXPECT_EQ(sent.size(), packet_of(Version::v5, third).size() * 2) << "13 only once";
  io_.arrive(client, packet_of(Version::v5, {.topic = "in", .payload = "x", .packet_id = 9, .qos = 2}));
  turn();
  EXPECT_EQ(take(client), ack_packet(PacketType::pubrec, 9)) << "stored before";
  EXPECT_EQ(intake_.events.size(), 1U);
  // It ends by the client's wish: nothing is left.
  io_.arrive(client, "\xe0\x07\x00\x05\x11\x00\x00\x00\x00"s);
  turn();
  EXPECT_TRUE(store.sessions.empty());
  EXPECT_TRUE(store.messages.empty());
}

// Goal: a message from before the process goes to sessions that were there, to no new subscriber.
TEST_F(MqttServerTest, OldMessagesAreForOldSessions) {
  start();
  const std::uint32_t client = join(Version::v5);
  subscribe(client, Version::v5, {.filter = "#", .qos = 1});
  route({.topic = "a", .payload = "1", .qos = 1, .old = true});
  EXPECT_EQ(take(client), "");
}

}  // namespace
}  // namespace tocsin::ingress
