#pragma once
// What of MQTT sessions and retained messages outlives the process: the contract between the MQTT
// broker and store/. Changes are queued by reactors, applied in order by one writer and committed
// in groups; a change that a later one undoes before the commit never reaches the disk.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <tocsin/result.hpp>

#include "flow/settlement.hpp"

namespace tocsin::flow {

struct StoredSubscription {
  std::string filter;            ///< With "$share/name/" where shared.
  std::uint8_t options = 0;      ///< As in SUBSCRIBE (MQTT 5.0 section 3.8.3.1).
  std::uint32_t identifier = 0;  ///< 0: none.
};

/// One message that waits for a session, in the order of `ordinal`.
struct StoredMessage {
  std::uint64_t ordinal = 0;  ///< Ascending within a session; chosen by the session.
  std::string bytes;          ///< Opaque to the store.
};

struct StoredSession {
  std::string client_id;
  std::uint32_t expiry_s = 0;             ///< UINT32_MAX: never.
  std::int64_t disconnected_wall_us = 0;  ///< 0: was connected when the process ended.
  std::string state;                      ///< Opaque: will, packet identifiers and the like.
  std::vector<StoredSubscription> subscriptions;
  std::vector<StoredMessage> messages;
};

struct StoredRetained {
  std::string topic;
  std::string bytes;  ///< Opaque to the store.
};

class SessionStore {
 public:
  /// Everything there is. Before the threads run; blocking.
  [[nodiscard]] virtual Result<void, std::string> load(
      const std::function<void(StoredSession&&)>& session,
      const std::function<void(StoredRetained&&)>& retained) = 0;

  // --- any reactor's thread; never blocks. Views are copied. Calls of one thread are applied in
  // their order. A bound of bytes that wait for the disk: false when it is reached (then nothing
  // was queued; delivery goes on, durability of this change is given up and counted).
  virtual bool put_session(const StoredSession& session) noexcept = 0;   ///< Without its lists.
  virtual bool remove_session(std::string_view client_id) noexcept = 0;  ///< With its lists.
  virtual bool put_subscription(std::string_view client_id,
                                const StoredSubscription& subscription) noexcept = 0;
  virtual bool remove_subscription(std::string_view client_id,
                                   std::string_view filter) noexcept = 0;
  /// `range` (may be null) was retained by the caller; it is settled once the message is durable or
  /// was removed again, and at once when false is returned; but never by a store that has ended. A
  /// new version of a message that waits keeps its range when it comes with none.
  virtual bool put_message(std::string_view client_id, std::uint64_t ordinal,
                           std::string_view bytes, SettlementRange* range) noexcept = 0;
  virtual bool remove_message(std::string_view client_id, std::uint64_t ordinal) noexcept = 0;
  /// Empty bytes remove the topic's message.
  virtual bool put_retained(std::string_view topic, std::string_view bytes,
                            SettlementRange* range) noexcept = 0;

 protected:
  ~SessionStore() = default;
};

}  // namespace tocsin::flow
