#pragma once
// Keeps sessions beyond the process: says to the session store what changes, for sessions that
// outlive their connections. Without a store it does nothing.

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "flow/session_store.hpp"
#include "stages/ingress/mqtt/session.hpp"

namespace tocsin::ingress {

class MqttServer;

class SessionKeeper {
 public:
  explicit SessionKeeper(MqttServer& server) noexcept : server_(server) {}

  /// The session itself; `disconnected`: since when it is offline, 0 = connected.
  void session(const Session& session) noexcept;
  void ended(const Session& session) noexcept;
  void subscribed(const Subscription& subscription) noexcept;
  void unsubscribed(const Subscription& subscription) noexcept;
  /// A message that waits for the client, or its new state. `range` may be null.
  void message(const Session& session, const Outgoing& outgoing,
               flow::SettlementRange* range) noexcept;
  void done(Session& session, const Outgoing& outgoing) noexcept;
  /// Notes, for sessions whose messages are done, up to where the journal was routed to them: what
  /// the next process routes again leaves those out. At most so many at a time and so often that
  /// it never costs much; returns when it is due again. A killed process forgets the last ones.
  MonoTime note_routed(MonoTime now) noexcept;
  /// For the end: all of them.
  void note_routed_all() noexcept;

  /// Fills a session with what the store kept of it; subscriptions are the caller's.
  void restore(Session& session, const flow::StoredSession& stored);

 private:
  void note_first() noexcept;
  [[nodiscard]] flow::SessionStore* store_for(const Session& session) const noexcept;

  MqttServer& server_;
  std::deque<std::uint64_t> to_note_;  // Uids.
  MonoTime note_due_ = MonoTime::min();
};

}  // namespace tocsin::ingress
