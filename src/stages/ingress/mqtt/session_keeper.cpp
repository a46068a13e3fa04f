#include "stages/ingress/mqtt/session_keeper.hpp"

#include <algorithm>
#include <utility>

#include "protocol/mqtt/bytes.hpp"
#include "stages/ingress/mqtt/server.hpp"

namespace tocsin::ingress {
namespace {

constexpr std::uint8_t state_version = 1;
constexpr std::uint8_t message_version = 1;
constexpr std::uint8_t flag_retain = 1;

// About the commit interval of the store, so that most of what changes is written once.
constexpr Duration note_pause = std::chrono::milliseconds(20);
constexpr int notes_max = 64;

// [version][user, sized][count, 4]([packet id][stored, 1])*[routed to, 8]
std::string encode_state(const Session& session, std::uint64_t routed_to) {
  std::string out(15 + session.user.size() + 3 * session.incoming.size(), '\0');
  mqtt::Writer writer{std::span<char>(out)};
  writer.u8(state_version);
  writer.sized(session.user);
  writer.u32(static_cast<std::uint32_t>(session.incoming.size()));
  for (const Incoming& incoming : session.incoming) {
    writer.u16(incoming.packet_id);
    writer.u8(incoming.stored ? 1 : 0);
  }
  writer.u32(static_cast<std::uint32_t>(routed_to >> 32U));
  writer.u32(static_cast<std::uint32_t>(routed_to));
  return out;
}

void decode_state(std::string_view bytes, Session& session) {
  mqtt::Reader reader(bytes);
  if (reader.u8() != state_version) return;
  session.user.assign(reader.sized());
  const std::uint32_t count = reader.u32();
  for (std::uint32_t i = 0; i < count && !reader.at_end(); ++i) {
    const std::uint16_t packet_id = reader.u16();
    // What was not committed when the process ended, its client sends again.
    if (reader.u8() == 1) session.incoming.push_back({.packet_id = packet_id, .stored = true});
  }
  const std::uint64_t high = reader.u32();
  session.restored_to = high << 32U | reader.u32();
  if (reader.bad()) session.restored_to = 0;
}

// [version][state][qos][flags][packet id][count, 2][identifier, 4]*[message]
std::string encode_outgoing(const Outgoing& outgoing, Duration wall_offset) {
  const std::string message =
      outgoing.message ? encode_message(outgoing.message->view(), wall_offset) : std::string();
  std::string out(8 + 4 * outgoing.identifiers.size() + message.size(), '\0');
  mqtt::Writer writer{std::span<char>(out)};
  writer.u8(message_version);
  writer.u8(static_cast<std::uint8_t>(outgoing.state));
  writer.u8(outgoing.qos);
  writer.u8(outgoing.retain ? flag_retain : 0);
  writer.u16(outgoing.packet_id);
  writer.u16(static_cast<std::uint16_t>(outgoing.identifiers.size()));
  for (const std::uint32_t id : outgoing.identifiers) writer.u32(id);
  writer.raw(message);
  return out;
}

std::optional<Outgoing> decode_outgoing(std::string_view bytes, Duration wall_offset,
                                        SharedBytes& budget) {
  mqtt::Reader reader(bytes);
  if (reader.u8() != message_version) return {};
  Outgoing outgoing;
  const std::uint8_t state = reader.u8();
  outgoing.qos = reader.u8();
  outgoing.retain = (reader.u8() & flag_retain) != 0;
  outgoing.packet_id = reader.u16();
  const std::uint16_t count = reader.u16();
  for (std::uint16_t i = 0; i < count && !reader.bad(); ++i) {
    outgoing.identifiers.push_back(reader.u32());
  }
  if (reader.bad() || state > 2 || outgoing.qos < 1 || outgoing.qos > 2) return {};
  outgoing.state = static_cast<Outgoing::State>(state);
  if (outgoing.state == Outgoing::State::released) return outgoing;
  const auto message = decode_message(reader.rest(), wall_offset);
  if (!message) return {};
  outgoing.message = KeptMessage::make(*message, budget);
  if (!outgoing.message) return {};
  return outgoing;
}

}  // namespace

flow::SessionStore* SessionKeeper::store_for(const Session& session) const noexcept {
  return session.persistent() ? server_.session_store() : nullptr;
}

void SessionKeeper::session(const Session& session) noexcept {
  flow::SessionStore* const store = store_for(session);
  if (store == nullptr) return;
  flow::StoredSession stored;
  stored.client_id = session.client_id;
  stored.expiry_s = session.expiry_s;
  if (session.connection == nullptr) {
    stored.disconnected_wall_us = to_us(session.offline_since + server_.wall_offset());
  }
  stored.state = encode_state(session, server_.router().routed_to(session));
  if (!store->put_session(stored)) server_.stats().store_refused.add();
}

void SessionKeeper::ended(const Session& session) noexcept {
  flow::SessionStore* const store = store_for(session);
  if (store != nullptr && !store->remove_session(session.client_id)) {
    server_.stats().store_refused.add();
  }
}

void SessionKeeper::subscribed(const Subscription& subscription) noexcept {
  flow::SessionStore* const store = store_for(*subscription.session);
  if (store == nullptr) return;
  const flow::StoredSubscription stored{.filter = subscription.filter,
                                        .options = to_byte(subscription.options),
                                        .identifier = subscription.options.identifier};
  if (!store->put_subscription(subscription.session->client_id, stored)) {
    server_.stats().store_refused.add();
  }
}

void SessionKeeper::unsubscribed(const Subscription& subscription) noexcept {
  flow::SessionStore* const store = store_for(*subscription.session);
  if (store != nullptr &&
      !store->remove_subscription(subscription.session->client_id, subscription.filter)) {
    server_.stats().store_refused.add();
  }
}

void SessionKeeper::message(const Session& session, const Outgoing& outgoing,
                            flow::SettlementRange* range) noexcept {
  flow::SessionStore* const store = store_for(session);
  if (store == nullptr) return;
  if (range != nullptr) range->retain();
  if (!store->put_message(session.client_id, outgoing.ordinal,
                          encode_outgoing(outgoing, server_.wall_offset()), range)) {
    server_.stats().store_refused.add();
  }
}

void SessionKeeper::done(Session& session, const Outgoing& outgoing) noexcept {
  flow::SessionStore* const store = store_for(session);
  if (store == nullptr) return;
  if (!store->remove_message(session.client_id, outgoing.ordinal)) {
    server_.stats().store_refused.add();
  }
  if (!std::exchange(session.noting, true)) to_note_.push_back(session.uid);
}

MonoTime SessionKeeper::note_routed(MonoTime now) noexcept {
  if (to_note_.empty()) return MonoTime::max();
  if (note_due_ > now) return note_due_;
  for (int i = 0; i < notes_max && !to_note_.empty(); ++i) note_first();
  note_due_ = now + note_pause;
  return to_note_.empty() ? MonoTime::max() : note_due_;
}

void SessionKeeper::note_routed_all() noexcept {
  while (!to_note_.empty()) note_first();
}

void SessionKeeper::note_first() noexcept {
  Session* const found = server_.sessions().find(to_note_.front());
  to_note_.pop_front();
  if (found == nullptr || !std::exchange(found->noting, false)) return;
  session(*found);
}

void SessionKeeper::restore(Session& session, const flow::StoredSession& stored) {
  decode_state(stored.state, session);
  const MonoTime now = server_.loop().io().now();
  const Duration offset = server_.wall_offset();
  session.offline_since =
      stored.disconnected_wall_us == 0
          ? now
          : std::min(now, from_us<MonoTime>(stored.disconnected_wall_us) - offset);
  if (session.expiry_s != session_never_expires) {
    session.expiry_due = session.offline_since + std::chrono::seconds(session.expiry_s);
  }
  for (const flow::StoredMessage& message : stored.messages) {
    auto outgoing = decode_outgoing(message.bytes, offset, server_.shared().kept);
    if (!outgoing) {
      server_.stats().drop(MqttDrop::memory);
      continue;
    }
    Outbox& outbox = session.make_outbox();
    outgoing->ordinal = message.ordinal;
    outbox.last_ordinal = std::max(outbox.last_ordinal, message.ordinal);
    if (outgoing->message && outgoing->message->sequence() != 0) {
      outbox.restored.push_back(outgoing->message->sequence());
    }
    if (outgoing->state == Outgoing::State::queued) {
      outbox.queue_bytes += outgoing->message->cost();
      outbox.queue.push_back(std::move(*outgoing));
    } else {
      outgoing->dup = true;
      outbox.inflight.push_back(std::move(*outgoing));
    }
  }
  if (session.outbox) std::sort(session.outbox->restored.begin(), session.outbox->restored.end());
}

}  // namespace tocsin::ingress
