#pragma once
// A client's session (MQTT 5.0 section 4.1): subscriptions, what waits for the client, what it has
// begun to send with QoS 2, and its will. Owned by one reactor; outlives its connection when it has
// an expiry interval.

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "flow/loop.hpp"
#include "flow/retained_table.hpp"
#include "stages/ingress/mqtt/message.hpp"

namespace tocsin::ingress {

class MqttConnection;
class Sessions;
class Session;

/// QoS 1 and 2 messages on their way to one client, whatever larger receive maximum it has.
inline constexpr std::size_t mqtt_window_max = 64;
/// Session expiry interval that means never (section 3.1.2.11.2).
inline constexpr std::uint32_t session_never_expires = UINT32_MAX;

/// What SUBSCRIBE says beside the filter (section 3.8.3.1).
struct SubscriptionOptions {
  std::uint8_t qos = 0;
  bool no_local = false;
  bool retain_as_published = false;
  std::uint8_t retain_handling = 0;
  std::uint32_t identifier = 0;  ///< 0: none.
};
/// As one byte, as on the wire.
[[nodiscard]] std::uint8_t to_byte(const SubscriptionOptions& options) noexcept;
[[nodiscard]] SubscriptionOptions options_of(std::uint8_t byte, std::uint32_t identifier) noexcept;

struct Subscription {
  Session* session = nullptr;
  std::string filter;  ///< As subscribed, "$share/" included.
  SubscriptionOptions options;
};

/// How far a subscription has got with the retained messages that it selects.
struct RetainedWalk {
  Subscription* subscription = nullptr;
  flow::RetainedTable::Cursor cursor;  ///< In the table of the owner's router.
};

/// One message for one session: what its matching subscriptions made of it.
struct Delivery {
  std::uint8_t qos = 0;
  bool retain = false;
  std::vector<std::uint32_t> identifiers;
};

/// A message in flight to the client, or waiting for its place there.
struct Outgoing {
  enum class State : std::uint8_t {
    queued,
    sent,      ///< Waits for PUBACK or PUBREC.
    released,  ///< PUBREC came, PUBREL was sent: waits for PUBCOMP.
  };
  MessageRef message;  ///< Null: the session ends with its connection, nothing is sent again.
  std::vector<std::uint32_t> identifiers;
  std::uint64_t ordinal = 0;
  std::uint16_t packet_id = 0;
  std::uint8_t qos = 1;
  bool retain = false;
  bool dup = false;  ///< Has been sent on an earlier connection.
  State state = State::queued;
};

/// What is on its way to one client. Allocated with its first message.
struct Outbox {
  std::vector<Outgoing> inflight;  ///< In the order of sending.
  std::deque<Outgoing> queue;
  std::size_t queue_bytes = 0;
  /// How many in flight the present connection has been sent; those behind follow first.
  std::size_t resent = 0;
  std::uint16_t last_packet_id = 0;
  std::uint64_t last_ordinal = 0;
  /// Journal sequences that the session had before the process began.
  std::vector<std::uint64_t> restored;

  /// An identifier that is not in flight (section 2.2.1).
  [[nodiscard]] std::uint16_t take_packet_id() noexcept;
  [[nodiscard]] Outgoing* find(std::uint16_t packet_id) noexcept;
  void erase(Outgoing& outgoing) noexcept;
};

/// A QoS 2 publish of the client, from PUBLISH to PUBREL.
struct Incoming {
  std::uint16_t packet_id = 0;
  bool stored = false;  ///< Its commit is done: PUBREC was or may be sent.
};

/// Moves with its session between reactors.
class Will {
 public:
  /// The caller has charged `bytes` to the budget; gives them back at its end. json_padding bytes
  /// are added behind them.
  Will(std::string bytes, SharedBytes& budget);
  Will(const Will&) = delete;
  Will& operator=(const Will&) = delete;
  ~Will() { budget_.refund(size_); }

  /// Properties with their length, topic with its length, payload.
  [[nodiscard]] std::string_view bytes() const noexcept {
    return std::string_view(padded_).substr(0, size_);
  }
  std::uint8_t qos = 0;
  bool retain = false;
  std::uint32_t delay_s = 0;
  std::string client_id;  ///< The publisher, for "no local".

 private:
  SharedBytes& budget_;
  std::size_t size_;
  std::string padded_;
};

class Session final : public flow::Timer {
 public:
  Session(std::uint64_t uid_, std::string client_id_) noexcept
      : uid(uid_), client_id(std::move(client_id_)) {}

  /// It is kept when its connection ends.
  [[nodiscard]] bool persistent() const noexcept { return expiry_s != 0; }
  [[nodiscard]] Incoming* incoming_of(std::uint16_t packet_id) noexcept;
  void forget_incoming(std::uint16_t packet_id) noexcept;
  [[nodiscard]] std::size_t uncommitted() const noexcept {
    return static_cast<std::size_t>(std::count_if(incoming.begin(), incoming.end(),
                                                  [](const Incoming& i) { return !i.stored; }));
  }
  [[nodiscard]] Subscription* subscription(std::string_view filter) noexcept;
  [[nodiscard]] Outbox& make_outbox() {
    if (!outbox) outbox = std::make_unique<Outbox>();
    return *outbox;
  }
  /// The message has been brought to it before: by another reactor, or before this process.
  [[nodiscard]] bool has_had(const RoutedMessage& message) const noexcept {
    if (message.sequence == 0) return false;
    return message.sequence <= routed_to || (message.old && message.sequence <= restored_to);
  }
  void on_timer(MonoTime now) noexcept override;

  const std::uint64_t uid;  ///< Its own, in this process.
  std::uint64_t claim = 0;  ///< Of the CONNECT that got it last; see SessionDirectory.
  Sessions* owner = nullptr;
  MqttConnection* connection = nullptr;  ///< Null while offline.
  const std::string client_id;
  std::string user;
  std::uint32_t expiry_s = 0;
  bool retained_ready = false;  ///< Its router goes on with its walks.
  bool restored = false;        ///< From before this process.
  bool noting = false;          ///< In its keeper's list.
  /// Journal sequences up to which earlier reactors, and the process before, have routed to it. The
  /// latter says nothing of new messages: the journal may have been begun anew.
  std::uint64_t routed_to = 0;
  std::uint64_t restored_to = 0;
  std::uint32_t no_local_count = 0;
  // Of the message being routed: the place of its delivery.
  std::uint32_t match_index = 0;
  std::uint64_t match_round = 0;
  MonoTime offline_since{};
  MonoTime will_due = MonoTime::max();
  MonoTime expiry_due = MonoTime::max();
  std::vector<std::unique_ptr<Subscription>> subscriptions;
  std::vector<RetainedWalk> retained_walks;  ///< Not yet at their end; at most one a subscription.
  std::vector<Incoming> incoming;
  std::unique_ptr<Outbox> outbox;
  std::unique_ptr<Will> will;
};

}  // namespace tocsin::ingress
