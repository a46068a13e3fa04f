#include "stages/ingress/mqtt/router.hpp"

#include <algorithm>
#include <cassert>

#include "flow/route_info.hpp"
#include "protocol/mqtt/forward.hpp"
#include "stages/ingress/mqtt/connection.hpp"
#include "stages/ingress/mqtt/server.hpp"

namespace tocsin::ingress {
namespace {

using mqtt::ReasonCode;

// Records and receivers of their messages in one turn, to within a record: the sockets wait for
// them.
constexpr std::uint64_t work_per_turn = 1024;
constexpr std::uint64_t group_mark = 1;

std::uint64_t trie_value(const Subscription& subscription) noexcept {
  return reinterpret_cast<std::uintptr_t>(&subscription);
}

std::optional<std::uint32_t> expiry_of(std::string_view properties) noexcept {
  if (properties.empty()) return {};
  const auto read = mqtt::ForwardProperties::read(properties);
  return read ? read->expiry_s() : std::nullopt;
}

bool is_shared(std::string_view filter) noexcept { return filter.starts_with(share_prefix); }

// Without its places in the trie. A shared one has those in another reactor's perhaps, but it is
// its subscriber who pays.
std::size_t cost_of(std::string_view filter) noexcept {
  constexpr std::size_t allocations = 64;
  const std::size_t cost = sizeof(Subscription) + filter.size() + allocations;
  if (!is_shared(filter)) return cost;
  return cost + sizeof(Group) + sizeof(GroupMember) + 2 * filter.size() + allocations +
         flow::TopicTrie::insert_cost_max(shared_filter_topic(filter));
}

}  // namespace

Router::Router(MqttServer& server, BrokerShared& shared, std::uint64_t seed)
    : server_(server),
      shared_(shared),
      trie_(seed, server.options().subscriptions_total_max),
      retained_(seed, {.count_max = server.options().retained_max,
                       .bytes_max = server.options().retained_bytes_max}),
      groups_(server, shared),
      started_(server.loop().io().now()) {}

Router::~Router() {
  for (flow::Batch* batch : batches_) batch->release();
  for (flow::Batch* batch : kept_) batch->release();
}

// --- subscriptions
// --------------------------------------------------------------------------------

bool Router::fits(std::string_view filter) const noexcept {
  std::size_t bytes = subscription_bytes() + cost_of(filter);
  if (!is_shared(filter)) bytes += trie_.insert_cost(filter);
  return bytes <= server_.options().subscriptions_bytes_max;
}

bool Router::insert(Subscription& subscription) {
  if (is_shared(subscription.filter)) {
    groups_.join(subscription);
    subscription_bytes_ += cost_of(subscription.filter);
    return true;
  }
  const auto inserted = trie_.insert(subscription.filter, trie_value(subscription));
  if (inserted != flow::TopicTrie::Inserted::added) return false;
  subscription_bytes_ += cost_of(subscription.filter);
  want();
  return true;
}

void Router::erase(Subscription& subscription) noexcept {
  if (is_shared(subscription.filter)) {
    subscription_bytes_ -= cost_of(subscription.filter);
    return groups_.leave(subscription);
  }
  if (!trie_.erase(subscription.filter, trie_value(subscription))) return;
  subscription_bytes_ -= cost_of(subscription.filter);
  unwant();
}

ReasonCode Router::subscribe(Session& session, std::string_view filter,
                             const SubscriptionOptions& options, bool* added) {
  const auto granted = static_cast<ReasonCode>(options.qos);
  Subscription* const known = session.subscription(filter);
  if (added != nullptr) *added = known == nullptr;
  if (known != nullptr) {
    session.no_local_count -= known->options.no_local ? 1 : 0;
    known->options = options;
    session.no_local_count += options.no_local ? 1 : 0;
    if (is_shared(filter)) groups_.join(*known);
    server_.sessions().keeper().subscribed(*known);
    return granted;
  }
  const std::string_view topics = is_shared(filter) ? shared_filter_topic(filter) : filter;
  if (session.subscriptions.size() >= server_.options().subscriptions_max || !fits(filter) ||
      flow::TopicLevels(topics).deeper) {
    return ReasonCode::quota_exceeded;
  }
  auto subscription = std::make_unique<Subscription>(
      Subscription{.session = &session, .filter = std::string(filter), .options = options});
  if (!insert(*subscription)) return ReasonCode::quota_exceeded;
  session.no_local_count += options.no_local ? 1 : 0;
  server_.sessions().keeper().subscribed(*subscription);
  session.subscriptions.push_back(std::move(subscription));
  if (session.subscriptions.size() == 1) server_.stats().subscribers_opened.add();
  return granted;
}

bool Router::unsubscribe(Session& session, std::string_view filter) noexcept {
  Subscription* const known = session.subscription(filter);
  if (known == nullptr) return false;
  session.no_local_count -= known->options.no_local ? 1 : 0;
  end_retained(session, *known);
  erase(*known);
  server_.sessions().keeper().unsubscribed(*known);
  std::erase_if(session.subscriptions, [&](const auto& s) { return s.get() == known; });
  if (session.subscriptions.empty()) server_.stats().subscribers_closed.add();
  return true;
}

void Router::remove(Session& session) noexcept {
  if (session.subscriptions.empty()) return;
  for (RetainedWalk& walk : session.retained_walks) retained_.stop(walk.cursor);
  session.retained_walks.clear();
  for (const auto& subscription : session.subscriptions) erase(*subscription);
  session.subscriptions.clear();
  session.no_local_count = 0;
  server_.stats().subscribers_closed.add();
}

void Router::pause(Session& session) noexcept {
  if (session.subscriptions.empty()) return;
  for (RetainedWalk& walk : session.retained_walks) retained_.stop(walk.cursor);
  session.retained_ready = false;
  for (const auto& subscription : session.subscriptions) {
    // A group's home hears of the new owner, whose claim is later.
    if (is_shared(subscription->filter)) {
      subscription_bytes_ -= cost_of(subscription->filter);
    } else {
      erase(*subscription);
    }
  }
  server_.stats().subscribers_closed.add();
}

void Router::resume(Session& session) {
  if (session.subscriptions.empty()) return;
  for (const auto& subscription : session.subscriptions) {
    subscription->session = &session;
    if (!insert(*subscription)) server_.stats().subscriptions_lost.add();
  }
  server_.stats().subscribers_opened.add();
}

void Router::presence(Session& session, bool) noexcept {
  for (const auto& subscription : session.subscriptions) {
    if (is_shared(subscription->filter)) groups_.join(*subscription);
  }
}

void Router::restrict_to(Session& session, const flow::Identity& identity) noexcept {
  std::vector<std::string> forbidden;
  for (const auto& subscription : session.subscriptions) {
    const std::string_view filter = subscription->filter;
    const std::string_view topics = is_shared(filter) ? shared_filter_topic(filter) : filter;
    if (!identity.allows(flow::Access::subscribe, topics, session.client_id)) {
      forbidden.emplace_back(filter);
    }
  }
  for (const std::string& filter : forbidden) unsubscribe(session, filter);
}

// --- messages
// -------------------------------------------------------------------------------------

bool Router::work() noexcept {
  std::uint64_t done = 0;
  while (!batches_.empty()) {
    flow::Batch& batch = *batches_.front();
    auto* const range = static_cast<flow::SettlementRange*>(batch.settlement);
    const flow::BlockView block = batch.view();
    for (; record_ < block.size(); ++record_) {
      if (done >= work_per_turn) return false;
      ++done;
      const RecordView record = block.record(record_);
      if ((record.header().mqtt & flow::mqtt_routed_bit) != 0) done += route_record(record, range);
      // Batches of the other level come before those that they overtook.
      if (batch.level() == Level::accepted) continue;
      last_sequence_ = record.sequence();
      replayed_ = replayed_ || record.received() >= started_;
    }
    record_ = 0;
    batches_.pop_front();
    ++routed_;
    if (keeping_) {
      kept_.push_back(&batch);
    } else {
      let_go(batch);
    }
  }
  return true;
}

std::uint32_t Router::route_record(const RecordView& record,
                                   flow::SettlementRange* range) noexcept {
  const flow::RouteInfo info = flow::route_info(record);
  if (info.topic.empty()) return 0;
  RoutedMessage message;
  message.topic = info.topic;
  message.payload = record.payload();
  message.properties = info.properties;
  message.publisher = info.publisher;
  message.qos = info.qos;
  message.retain = info.retain;
  message.old = record.received() < started_;
  message.sequence = record.sequence();
  message.range = range;
  if (const auto expiry_s = expiry_of(info.properties)) {
    message.expires = record.received() + std::chrono::seconds(*expiry_s);
    if (message.expires <= server_.loop().now()) {
      // Section 3.3.2.3.3: what has expired is not even begun; but it replaced what was retained.
      message.payload = {};
      if (message.retain) retain(message);
      server_.stats().drop(MqttDrop::expired);
      return 0;
    }
  }
  if (message.retain) retain(message);
  return route(message);
}

void Router::retain(const RoutedMessage& message) noexcept {
  if (catching_up_ != nullptr) return;
  flow::SessionStore* const store = retained_store();
  std::string bytes;
  if (message.payload.empty()) {
    // The store may know one that the table had no room for.
    retained_.erase(message.topic);
  } else {
    const std::int64_t expires_at =
        message.expires == MonoTime::max() ? flow::RetainedTable::never : to_us(message.expires);
    if (!retained_.put(message.topic, encode_message(message, Duration::zero()), expires_at)) {
      return;
    }
    if (store != nullptr) bytes = encode_message(message, server_.wall_offset());
  }
  if (store == nullptr) return;
  if (message.range != nullptr) message.range->retain();
  if (!store->put_retained(message.topic, bytes, message.range)) {
    server_.stats().store_refused.add();
  }
}

void Router::restore_retained(std::string_view topic, std::string_view bytes) {
  const auto message = decode_message(bytes, server_.wall_offset());
  if (!message || message->payload.empty()) return;
  const bool expires = message->expires != MonoTime::max();
  static_cast<void>(retained_.put(topic, encode_message(*message, Duration::zero()),
                                  expires ? to_us(message->expires) : flow::RetainedTable::never));
}

void Router::add_match(const Subscription& subscription, const RoutedMessage& message) {
  Session& session = *subscription.session;
  const SubscriptionOptions& options = subscription.options;
  if (catching_up_ != nullptr && catching_up_ != &session) return;
  if ((message.old && !session.restored) || session.has_had(message)) return;
  // Section 3.8.3.1.
  if (options.no_local && message.publisher == session.client_id) return;
  if (session.match_round != round_) {
    session.match_round = round_;
    session.match_index = static_cast<std::uint32_t>(match_count_);
    if (match_count_ == matches_.size()) matches_.emplace_back();
    Match& fresh = matches_[match_count_++];
    fresh.session = &session;
    fresh.delivery.qos = 0;
    fresh.delivery.retain = false;
    fresh.delivery.identifiers.clear();
  }
  // One copy with the best QoS and all identifiers (section 3.3.4).
  Delivery& delivery = matches_[session.match_index].delivery;
  delivery.qos = std::max(delivery.qos, options.qos);
  delivery.retain = delivery.retain || options.retain_as_published;
  if (options.identifier != 0) delivery.identifiers.push_back(options.identifier);
}

std::uint32_t Router::route(const RoutedMessage& message) noexcept {
  if (trie_.size() == 0) return 0;
  ++round_;
  match_count_ = 0;
  matched_groups_.clear();
  trie_.match(message.topic, [&](flow::TopicTrie::Value value) {
    if ((value & group_mark) != 0) {
      matched_groups_.push_back(reinterpret_cast<Group*>(value & ~group_mark));
    } else {
      add_match(*reinterpret_cast<const Subscription*>(value), message);
    }
  });
  MessageRef kept;
  for (std::size_t i = 0; i < match_count_; ++i) {
    Delivery& delivery = matches_[i].delivery;
    delivery.qos = std::min(delivery.qos, message.qos);
    delivery.retain = delivery.retain && message.retain;
    deliver(*matches_[i].session, message, kept, delivery);
  }
  if (catching_up_ != nullptr) return static_cast<std::uint32_t>(match_count_);
  for (Group* const group : matched_groups_) groups_.route(*group, message, kept);
  return static_cast<std::uint32_t>(match_count_ + matched_groups_.size());
}

}  // namespace tocsin::ingress
