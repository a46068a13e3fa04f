// Retained messages for new subscriptions, in pieces, and their end.

#include <algorithm>
#include <cassert>

#include "stages/ingress/mqtt/connection.hpp"
#include "stages/ingress/mqtt/router.hpp"
#include "stages/ingress/mqtt/server.hpp"

namespace tocsin::ingress {
namespace {

// Places of the table that one turn visits for all sessions, and for one of them at a time.
constexpr std::size_t places_per_turn = 2048;
constexpr std::size_t places_per_session = 128;
// Messages of this size cost as much as another place.
constexpr std::size_t bytes_per_place = 512;
// Places looked at for what has expired, and how often.
constexpr std::size_t sweep_places = 8192;
constexpr Duration sweep_pause = std::chrono::seconds(1);
// What a PUBLISH has besides what is counted: headers, lengths, an expiry and an identifier.
constexpr std::size_t publish_overhead = 32;

}  // namespace

void Router::begin_retained(Session& session, Subscription& subscription) {
  if (subscription.filter.starts_with(share_prefix)) return;
  end_retained(session, subscription);
  session.retained_walks.push_back({.subscription = &subscription, .cursor = {}});
  continue_retained(session);
}

void Router::end_retained(Session& session, const Subscription& subscription) noexcept {
  std::erase_if(session.retained_walks, [&](RetainedWalk& walk) {
    if (walk.subscription != &subscription) return false;
    retained_.stop(walk.cursor);
    return true;
  });
}

void Router::continue_retained(Session& session) noexcept {
  if (session.retained_walks.empty() || std::exchange(session.retained_ready, true)) return;
  retained_ready_.push_back(session.uid);
  server_.wake();
}

bool Router::work_retained() noexcept {
  std::size_t places = places_per_turn;
  while (!retained_ready_.empty() && places > 0) {
    const std::uint64_t uid = retained_ready_.front();
    retained_ready_.pop_front();
    Session* const session = server_.sessions().find(uid);
    if (session == nullptr || !std::exchange(session->retained_ready, false)) continue;
    const std::size_t allowed = std::min(places, places_per_session);
    std::size_t left = allowed;
    const bool more = advance_retained(*session, left);
    places -= allowed - left;
    if (more) continue_retained(*session);
  }
  return retained_ready_.empty();
}

// True when it could go on at once; false at the end, or when the client has no room.
bool Router::advance_retained(Session& session, std::size_t& places) noexcept {
  const std::int64_t now_us = to_us(server_.loop().now());
  while (!session.retained_walks.empty()) {
    RetainedWalk& walk = session.retained_walks.front();
    bool room = true;
    const bool done = retained_.walk(
        walk.cursor, walk.subscription->filter, now_us, places,
        [&](std::string_view topic, std::string_view bytes, std::int64_t expires_at) {
          auto message = decode_message(bytes, Duration::zero());
          if (!message) return true;
          message->topic = topic;
          if (expires_at != flow::RetainedTable::never) {
            message->expires = from_us<MonoTime>(expires_at);
          }
          room = give_retained(session, *walk.subscription, *message);
          places -= std::min(places, room ? bytes.size() / bytes_per_place : 0);
          return room;
        });
    if (!done) return room;
    session.retained_walks.erase(session.retained_walks.begin());
  }
  return false;
}

// False: the client has no room now. What is new has the other half of its output, and goes before
// in its window: of that nothing is dropped for what is old.
bool Router::give_retained(Session& session, const Subscription& subscription,
                           const RoutedMessage& message) noexcept {
  const MqttConnection* const connection = session.connection;
  const std::size_t size =
      message.topic.size() + message.properties.size() + message.payload.size() + publish_overhead;
  if (connection == nullptr || !connection->can_send() || !connection->half_empty(size)) {
    return false;
  }
  Delivery delivery;
  delivery.qos = std::min(message.qos, subscription.options.qos);
  delivery.retain = true;
  if (subscription.options.identifier != 0) {
    delivery.identifiers.push_back(subscription.options.identifier);
  }
  MessageRef kept;
  if (delivery.qos > 0) {
    const Outbox& outbox = session.make_outbox();
    if (!outbox.queue.empty() || outbox.inflight.size() >= connection->window()) return false;
    if (session.persistent()) {
      kept = KeptMessage::make(message, shared_.kept);
      if (!kept) return false;
    }
  }
  deliver(session, message, kept, delivery);
  return true;
}

flow::SessionStore* Router::retained_store() noexcept {
  return shared_.servers.front() == &server_ ? server_.session_store() : nullptr;
}

MonoTime Router::drop_expired(MonoTime now) noexcept {
  if (retained_.size() == 0) return MonoTime::max();
  if (next_sweep_ > now) return next_sweep_;
  next_sweep_ = now + sweep_pause;
  flow::SessionStore* const store = retained_store();
  retained_.drop_expired(to_us(now), sweep_places, [&](std::string_view topic) {
    if (store != nullptr && !store->put_retained(topic, {}, nullptr)) {
      server_.stats().store_refused.add();
    }
  });
  return next_sweep_;
}

}  // namespace tocsin::ingress
