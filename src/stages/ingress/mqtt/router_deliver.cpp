// What becomes of a message for one session: sent, queued or dropped, by its QoS and by whether the
// client is there.

#include <algorithm>

#include "stages/ingress/mqtt/connection.hpp"
#include "stages/ingress/mqtt/router.hpp"
#include "stages/ingress/mqtt/server.hpp"

namespace tocsin::ingress {
namespace {

using Written = MqttConnection::Written;

MqttDrop drop_reason(Written written) noexcept {
  switch (written) {
    case Written::too_large:
      return MqttDrop::too_large;
    case Written::expired:
      return MqttDrop::expired;
    case Written::yes:
    case Written::no_room:
      break;
  }
  return MqttDrop::slow;
}

}  // namespace

void Router::deliver(Session& session, const RoutedMessage& message, MessageRef& kept,
                     const Delivery& delivery) noexcept {
  MqttConnection* const connection = session.connection != nullptr && session.connection->can_send()
                                         ? session.connection
                                         : nullptr;
  if (delivery.qos == 0) {
    if (connection == nullptr) return server_.stats().drop(MqttDrop::offline);
    const Written written =
        connection->write_publish(message, 0, 0, delivery.retain, false, delivery.identifiers);
    if (written != Written::yes) server_.stats().drop(drop_reason(written));
    return;
  }
  Outbox& outbox = session.make_outbox();
  if (message.old &&
      std::binary_search(outbox.restored.begin(), outbox.restored.end(), message.sequence)) {
    return;
  }
  // Nothing is kept for a session that ends with its connection, if it can be sent at once.
  const bool direct = connection != nullptr && !session.persistent() && outbox.queue.empty() &&
                      outbox.inflight.size() < connection->window();
  if (!direct) return enqueue(session, message, kept, delivery);
  const std::uint16_t packet_id = outbox.take_packet_id();
  const Written written = connection->write_publish(message, packet_id, delivery.qos,
                                                    delivery.retain, false, delivery.identifiers);
  if (written == Written::no_room) return enqueue(session, message, kept, delivery);
  if (written != Written::yes) return server_.stats().drop(drop_reason(written));
  Outgoing& sent = outbox.inflight.emplace_back();
  sent.packet_id = packet_id;
  sent.qos = delivery.qos;
  sent.state = Outgoing::State::sent;
  ++outbox.resent;
}

// At its bound a session takes nothing new: what it has is older and was promised first.
void Router::enqueue(Session& session, const RoutedMessage& message, MessageRef& kept,
                     const Delivery& delivery) noexcept {
  const MqttOptions& options = server_.options();
  Outbox& outbox = *session.outbox;
  if (outbox.queue.size() >= options.session_messages_max ||
      outbox.queue_bytes >= options.session_bytes_max) {
    return server_.stats().drop(MqttDrop::queue_full);
  }
  // The last quarter is for those who are there: queues that nobody reads must not stop them.
  const bool away = session.connection == nullptr;
  if (away && shared_.kept.used() > shared_.kept.max() / 4 * 3) {
    return server_.stats().drop(MqttDrop::memory);
  }
  if (!kept) kept = KeptMessage::make(message, shared_.kept);
  if (!kept) return server_.stats().drop(MqttDrop::memory);
  Outgoing& queued = outbox.queue.emplace_back();
  queued.message = kept;
  queued.identifiers = delivery.identifiers;
  queued.ordinal = ++outbox.last_ordinal;
  queued.qos = delivery.qos;
  queued.retain = delivery.retain;
  outbox.queue_bytes += kept->cost();
  server_.sessions().keeper().message(session, queued, message.range);
  if (session.connection != nullptr) session.connection->pump();
}

}  // namespace tocsin::ingress
