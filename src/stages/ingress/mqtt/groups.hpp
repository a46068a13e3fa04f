#pragma once
// Shared subscriptions (MQTT 5.0 section 4.8.2). Each group has one home reactor, chosen by its
// name: only there it stands in a trie, so that every message has exactly one place where its
// receiver is chosen. Members live on any reactor; what concerns them goes home by message.

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "flow/settlement.hpp"
#include "stages/ingress/mqtt/message.hpp"
#include "stages/ingress/mqtt/session.hpp"

namespace tocsin::ingress {

class MqttServer;
struct BrokerShared;

struct GroupMember {
  std::uint64_t uid = 0;    ///< Of the session.
  std::uint64_t claim = 0;  ///< Rises: news of an earlier owner are recognized as old.
  MqttServer* server = nullptr;
  SubscriptionOptions options;
  bool online = false;
  bool restored = false;  ///< Its session is from before this process.
  bool away = false;      ///< Was not found where it should be: it moves, and will join again.
};

/// A message that waits for a member to arrive where it moves to.
struct ParkedMessage {
  MessageRef message;
  flow::SettlementRange* range = nullptr;  ///< Retained.
  bool old = false;
};

struct Group {
  std::string name;  ///< "$share/name/filter"
  std::vector<GroupMember> members;
  std::size_t next = 0;
  std::deque<ParkedMessage> parked;

  [[nodiscard]] std::string_view filter() const noexcept;
};

/// The "name/filter" of a shared subscription is well-formed (sections 4.8.2 and 4.7).
[[nodiscard]] bool shared_filter_valid(std::string_view filter) noexcept;
/// What follows "$share/name/".
[[nodiscard]] std::string_view shared_filter_topic(std::string_view filter) noexcept;
inline constexpr std::string_view share_prefix = "$share/";

/// One per server, on its thread.
class Groups {
 public:
  Groups(MqttServer& server, BrokerShared& shared) noexcept : server_(server), shared_(shared) {}
  Groups(const Groups&) = delete;
  Groups& operator=(const Groups&) = delete;

  // --- for the reactor of a member
  // ----------------------------------------------------------------
  void join(const Subscription& subscription);
  void leave(const Subscription& subscription);

  // --- at home
  // ------------------------------------------------------------------------------------
  /// Chooses the member that gets the message; while all are on the move it waits for one.
  void route(Group& group, const RoutedMessage& message, MessageRef& kept) noexcept;

  /// News, or a message for a member here, or one that found nobody; owned.
  void on_message(void* object) noexcept;

 private:
  struct News {
    enum class Kind : std::uint8_t { join, leave, deliver, returned } kind = Kind::join;
    std::string group;
    GroupMember member;
    MessageRef message;
    flow::SettlementRange* range = nullptr;  ///< Retained by this message.
    bool old = false;
  };
  [[nodiscard]] MqttServer& home_of(std::string_view group) const noexcept;
  void tell(MqttServer& server, std::unique_ptr<News> news) noexcept;
  void handle(News& news) noexcept;
  void joined(const News& news);
  void left(const News& news) noexcept;
  void deliver(News& news) noexcept;
  void returned(News& news) noexcept;
  [[nodiscard]] bool offer(Group& group, GroupMember& member, const RoutedMessage& message,
                           MessageRef& kept) noexcept;
  void park(Group& group, const RoutedMessage& message, MessageRef& kept) noexcept;
  void unpark(Group& group) noexcept;

  MqttServer& server_;
  BrokerShared& shared_;
  std::unordered_map<std::string, std::unique_ptr<Group>> groups_;  // Those at home here.
};

}  // namespace tocsin::ingress
