#include "stages/ingress/mqtt/groups.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include "base/hash.hpp"
#include "flow/sources.hpp"
#include "stages/ingress/mqtt/connection.hpp"
#include "stages/ingress/mqtt/server.hpp"

namespace tocsin::ingress {
namespace {

// Tells a group from a subscription in the trie: pointers are even.
constexpr std::uint64_t group_mark = 1;

std::uint64_t trie_value(const Group& group) noexcept {
  return reinterpret_cast<std::uintptr_t>(&group) | group_mark;
}

Delivery delivery_of(const RoutedMessage& message, const SubscriptionOptions& options) {
  Delivery delivery;
  delivery.qos = std::min(message.qos, options.qos);
  delivery.retain = message.retain && options.retain_as_published;
  if (options.identifier != 0) delivery.identifiers.push_back(options.identifier);
  return delivery;
}

// A kept message on its way to another member.
RoutedMessage again(const MessageRef& kept, bool old, flow::SettlementRange* range) noexcept {
  RoutedMessage message = kept->view();
  message.old = old;
  message.range = range;
  return message;
}

}  // namespace

std::string_view shared_filter_topic(std::string_view filter) noexcept {
  filter.remove_prefix(share_prefix.size());
  const std::size_t slash = filter.find('/');
  return slash == filter.npos ? std::string_view{} : filter.substr(slash + 1);
}

bool shared_filter_valid(std::string_view filter) noexcept {
  assert(filter.starts_with(share_prefix));
  const std::string_view name = filter.substr(share_prefix.size());
  const std::size_t slash = name.find('/');
  if (slash == 0 || slash == name.npos) return false;
  if (name.substr(0, slash).find_first_of("+#") != name.npos) return false;
  return flow::topic_filter_valid(shared_filter_topic(filter));
}

std::string_view Group::filter() const noexcept { return shared_filter_topic(name); }

MqttServer& Groups::home_of(std::string_view group) const noexcept {
  return *shared_.servers[static_cast<std::size_t>(hash64(group) % shared_.servers.size())];
}

void Groups::tell(MqttServer& server, std::unique_ptr<News> news) noexcept {
  if (&server == &server_) return handle(*news);
  server.post_group_news(news.release());
}

void Groups::join(const Subscription& subscription) {
  const Session& session = *subscription.session;
  auto news = std::make_unique<News>();
  news->group = subscription.filter;
  news->member = {.uid = session.uid,
                  .claim = session.claim,
                  .server = &server_,
                  .options = subscription.options,
                  .online = session.connection != nullptr,
                  .restored = session.restored,
                  .away = false};
  MqttServer& home = home_of(news->group);
  // Before SUBACK leaves: from now on the home gets what is published.
  home.router().want();
  tell(home, std::move(news));
}

void Groups::leave(const Subscription& subscription) {
  auto news = std::make_unique<News>();
  news->kind = News::Kind::leave;
  news->group = subscription.filter;
  news->member.uid = subscription.session->uid;
  news->member.claim = subscription.session->claim;
  MqttServer& home = home_of(news->group);
  tell(home, std::move(news));
}

void Groups::on_message(void* object) noexcept {
  const std::unique_ptr<News> news(static_cast<News*>(object));
  handle(*news);
}

void Groups::handle(News& news) noexcept {
  switch (news.kind) {
    case News::Kind::join:
      return joined(news);
    case News::Kind::leave:
      return left(news);
    case News::Kind::deliver:
      return deliver(news);
    case News::Kind::returned:
      return returned(news);
  }
}

void Groups::joined(const News& news) {
  auto& group = groups_[news.group];
  if (!group) {
    group = std::make_unique<Group>();
    group->name = news.group;
    const auto inserted = server_.router().trie().insert(group->filter(), trie_value(*group));
    if (inserted != flow::TopicTrie::Inserted::added) server_.stats().subscriptions_lost.add();
  }
  auto& members = group->members;
  const auto same = std::find_if(members.begin(), members.end(),
                                 [&](const GroupMember& m) { return m.uid == news.member.uid; });
  if (same == members.end()) {
    members.push_back(news.member);
  } else {
    // It was counted when it joined first.
    server_.router().unwant();
    if (news.member.claim >= same->claim) *same = news.member;
  }
  unpark(*group);
}

void Groups::left(const News& news) noexcept {
  const auto found = groups_.find(news.group);
  if (found == groups_.end()) return;
  Group& group = *found->second;
  const auto gone = std::erase_if(group.members, [&](const GroupMember& m) {
    return m.uid == news.member.uid && m.claim <= news.member.claim;
  });
  server_.router().unwant(static_cast<std::uint32_t>(gone));
  unpark(group);
  if (!group.members.empty()) return;
  server_.router().trie().erase(group.filter(), trie_value(group));
  groups_.erase(found);
}

// Round-robin over those who are there; else the next one that has a session to wait in.
void Groups::route(Group& group, const RoutedMessage& message, MessageRef& kept) noexcept {
  const std::size_t count = group.members.size();
  const std::size_t first = group.next;
  bool on_the_move = false;
  for (const bool online : {true, false}) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t at = (first + i) % count;
      GroupMember& member = group.members[at];
      if (member.online != online || (message.old && !member.restored)) continue;
      if (!member.away && offer(group, member, message, kept)) {
        group.next = at + 1;
        return;
      }
      on_the_move = true;
    }
  }
  if (on_the_move) return park(group, message, kept);
  // What is from before this process is for nobody who came later.
  if (!message.old || count == 0) server_.stats().drop(MqttDrop::no_member);
}

// False: it is not there any more. On another reactor that shows only later.
bool Groups::offer(Group& group, GroupMember& member, const RoutedMessage& message,
                   MessageRef& kept) noexcept {
  if (member.server == &server_) {
    Session* const session = server_.sessions().find(member.uid);
    if (session == nullptr) {
      member.away = true;
      return false;
    }
    server_.router().deliver(*session, message, kept, delivery_of(message, member.options));
    return true;
  }
  if (!kept) kept = KeptMessage::make(message, shared_.kept);
  if (!kept) {
    server_.stats().drop(MqttDrop::memory);
    return true;
  }
  auto news = std::make_unique<News>();
  news->kind = News::Kind::deliver;
  news->group = group.name;
  news->member = member;
  news->message = kept;
  news->old = message.old;
  news->range = message.range;
  if (news->range != nullptr) news->range->retain();
  tell(*member.server, std::move(news));
  return true;
}

void Groups::park(Group& group, const RoutedMessage& message, MessageRef& kept) noexcept {
  if (group.parked.size() >= server_.options().session_messages_max) {
    return server_.stats().drop(MqttDrop::queue_full);
  }
  if (!kept) kept = KeptMessage::make(message, shared_.kept);
  if (!kept) return server_.stats().drop(MqttDrop::memory);
  if (message.range != nullptr) message.range->retain();
  group.parked.push_back({.message = kept, .range = message.range, .old = message.old});
}

// Somebody has come or gone: what waits is tried again, in order.
void Groups::unpark(Group& group) noexcept {
  for (ParkedMessage& parked : std::exchange(group.parked, {})) {
    const RoutedMessage message = again(parked.message, parked.old, parked.range);
    route(group, message, parked.message);
    if (parked.range != nullptr) parked.range->settle();
  }
}

void Groups::returned(News& news) noexcept {
  const auto found = groups_.find(news.group);
  if (found == groups_.end()) {
    server_.stats().drop(MqttDrop::no_member);
  } else {
    Group& group = *found->second;
    for (GroupMember& member : group.members) {
      // Unless it has joined again meanwhile.
      if (member.uid == news.member.uid && member.claim == news.member.claim) member.away = true;
    }
    const RoutedMessage message = again(news.message, news.old, news.range);
    route(group, message, news.message);
  }
  if (news.range != nullptr) news.range->settle();
}

void Groups::deliver(News& news) noexcept {
  Session* const session = server_.sessions().find(news.member.uid);
  if (session == nullptr) {
    auto returned = std::make_unique<News>(std::move(news));
    returned->kind = News::Kind::returned;
    MqttServer& home = home_of(returned->group);
    return tell(home, std::move(returned));
  }
  const RoutedMessage message = again(news.message, news.old, news.range);
  server_.router().deliver(*session, message, news.message,
                           delivery_of(message, news.member.options));
  if (news.range != nullptr) news.range->settle();
}

}  // namespace tocsin::ingress
