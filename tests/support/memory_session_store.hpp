#pragma once
// Sessions in memory, without a thread: for unit tests and for simulated worlds, where it outlives
// the engines that come and go.

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "flow/session_store.hpp"

namespace tocsin::testing {

class MemorySessionStore final : public flow::SessionStore {
 public:
  enum class Commit : std::uint8_t {
    at_once,
    by_hand  ///< Only commit() makes changes durable and settles ranges.
  };
  explicit MemorySessionStore(Commit when = Commit::at_once) : when_(when) {}

  /// While set nothing is taken, as when the real store's queue is full.
  bool full = false;

  /// What was committed, as a start would see it.
  struct Contents {
    std::map<std::string, flow::StoredSession, std::less<>> sessions;  ///< By client id.
    std::map<std::string, std::string, std::less<>> retained;          ///< By topic.
  };
  [[nodiscard]] const Contents& contents() const { return contents_; }
  [[nodiscard]] std::size_t uncommitted() const { return changes_.size(); }

  void commit() {
    // A range's settling may lead to further changes: those belong to the next commit.
    for (Change& change : std::exchange(changes_, {})) {
      change.apply(contents_);
      if (change.range != nullptr) change.range->settle();
    }
  }
  /// The process was killed: what was not committed is gone, and its ranges with it.
  void lose_uncommitted() { changes_.clear(); }

  [[nodiscard]] Result<void, std::string> load(
      const std::function<void(flow::StoredSession&&)>& session,
      const std::function<void(flow::StoredRetained&&)>& retained) override {
    for (const auto& [id, stored] : contents_.sessions) {
      flow::StoredSession copy = stored;
      session(std::move(copy));
    }
    for (const auto& [topic, bytes] : contents_.retained) {
      retained({.topic = topic, .bytes = bytes});
    }
    return {};
  }

  bool put_session(const flow::StoredSession& session) noexcept override {
    return add([id = session.client_id, expiry_s = session.expiry_s,
                disconnected_wall_us = session.disconnected_wall_us,
                state = session.state](Contents& contents) {
      flow::StoredSession& stored = contents.sessions[id];
      stored.client_id = id;
      stored.expiry_s = expiry_s;
      stored.disconnected_wall_us = disconnected_wall_us;
      stored.state = state;
    });
  }
  bool remove_session(std::string_view client_id) noexcept override {
    return add([id = std::string(client_id)](Contents& contents) { contents.sessions.erase(id); });
  }
  bool put_subscription(std::string_view client_id,
                        const flow::StoredSubscription& subscription) noexcept override {
    return add_to(client_id, [subscription](flow::StoredSession& session) {
      std::erase_if(session.subscriptions,
                    [&](const auto& s) { return s.filter == subscription.filter; });
      const auto at = std::ranges::find_if(
          session.subscriptions, [&](const auto& s) { return s.filter > subscription.filter; });
      session.subscriptions.insert(at, subscription);
    });
  }
  bool remove_subscription(std::string_view client_id, std::string_view filter) noexcept override {
    return add_to(client_id, [filter = std::string(filter)](flow::StoredSession& session) {
      std::erase_if(session.subscriptions, [&](const auto& s) { return s.filter == filter; });
    });
  }
  bool put_message(std::string_view client_id, std::uint64_t ordinal, std::string_view bytes,
                   flow::SettlementRange* range) noexcept override {
    return add_to(
        client_id,
        [ordinal, bytes = std::string(bytes)](flow::StoredSession& session) {
          std::erase_if(session.messages, [&](const auto& m) { return m.ordinal == ordinal; });
          const auto at = std::ranges::find_if(session.messages,
                                               [&](const auto& m) { return m.ordinal > ordinal; });
          session.messages.insert(at, {.ordinal = ordinal, .bytes = bytes});
        },
        range);
  }
  bool remove_message(std::string_view client_id, std::uint64_t ordinal) noexcept override {
    return add_to(client_id, [ordinal](flow::StoredSession& session) {
      std::erase_if(session.messages, [&](const auto& m) { return m.ordinal == ordinal; });
    });
  }
  bool put_retained(std::string_view topic, std::string_view bytes,
                    flow::SettlementRange* range) noexcept override {
    return add(
        [topic = std::string(topic), bytes = std::string(bytes)](Contents& contents) {
          if (bytes.empty()) {
            contents.retained.erase(topic);
          } else {
            contents.retained[topic] = bytes;
          }
        },
        range);
  }

 private:
  struct Change {
    std::function<void(Contents&)> apply;
    flow::SettlementRange* range = nullptr;
  };

  bool add(std::function<void(Contents&)> apply, flow::SettlementRange* range = nullptr) {
    if (full) {
      if (range != nullptr) range->settle();
      return false;
    }
    changes_.push_back({.apply = std::move(apply), .range = range});
    if (when_ == Commit::at_once) commit();
    return true;
  }
  // Lists exist only with their session.
  bool add_to(std::string_view client_id, std::function<void(flow::StoredSession&)> apply,
              flow::SettlementRange* range = nullptr) {
    return add(
        [id = std::string(client_id), apply = std::move(apply)](Contents& contents) {
          const auto found = contents.sessions.find(id);
          if (found != contents.sessions.end()) apply(found->second);
        },
        range);
  }

  const Commit when_;
  Contents contents_;
  std::deque<Change> changes_;
};

}  // namespace tocsin::testing
