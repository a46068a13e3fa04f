#pragma once
// Keeps sessions beyond the process: says to the session store what changes, for sessions that
// outlive their connections. Without a store it does nothing.

#include <cstdint>
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
  void done(const Session& session, const Outgoing& outgoing) noexcept;

  /// Fills a session with what the store kept of it; subscriptions are the caller's.
  void restore(Session& session, const flow::StoredSession& stored);

 private:
  [[nodiscard]] flow::SessionStore* store_for(const Session& session) const noexcept;

  MqttServer& server_;
};

}  // namespace tocsin::ingress
