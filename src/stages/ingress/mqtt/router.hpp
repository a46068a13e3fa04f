#pragma once
// Brings what is committed to the subscribers of one reactor: the subscription trie, the retained
// messages, and the walk over batches.

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "flow/access.hpp"
#include "flow/batch.hpp"
#include "flow/retained_table.hpp"
#include "flow/session_store.hpp"
#include "flow/topic_trie.hpp"
#include "protocol/mqtt/types.hpp"
#include "stages/ingress/mqtt/groups.hpp"
#include "stages/ingress/mqtt/message.hpp"
#include "stages/ingress/mqtt/session.hpp"

namespace tocsin::ingress {

class MqttServer;
struct BrokerShared;

/// One per server, on its thread; only wanted() is for any.
class Router {
 public:
  Router(MqttServer& server, BrokerShared& shared, std::uint64_t seed);
  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;
  ~Router();

  // --- subscriptions
  // ------------------------------------------------------------------------------
  /// The filter is valid and allowed. The reason code is that of SUBACK; `added`, if given, says
  /// whether the session had no such subscription.
  [[nodiscard]] mqtt::ReasonCode subscribe(Session& session, std::string_view filter,
                                           const SubscriptionOptions& options,
                                           bool* added = nullptr);
  /// False when there was none.
  bool unsubscribe(Session& session, std::string_view filter) noexcept;
  /// All subscriptions end.
  void remove(Session& session) noexcept;
  /// The session leaves for another reactor, or has come from one: its subscriptions stay its own.
  void pause(Session& session) noexcept;
  void resume(Session& session);
  /// It went online or offline: shared subscriptions prefer who is there.
  void presence(Session& session, bool online) noexcept;
  /// Ends the subscriptions that `identity` does not allow any more.
  void restrict_to(Session& session, const flow::Identity& identity) noexcept;
  [[nodiscard]] Groups& groups() noexcept { return groups_; }

  // --- retained messages
  // --------------------------------------------------------------------------
  /// The client is to get what matches (section 3.8.4), from the beginning: in pieces, while it has
  /// room for them. A session that moves to another reactor begins again there.
  void begin_retained(Session& session, Subscription& subscription);
  /// The client may have room again.
  void continue_retained(Session& session) noexcept;
  /// Sends what one turn allows. False: there is more.
  bool work_retained() noexcept;
  /// From time to time removes what has expired, here and from the store. When to come again.
  MonoTime drop_expired(MonoTime now) noexcept;

  // --- messages
  // -----------------------------------------------------------------------------------
  /// Whether a batch without retained messages is of interest. Any thread.
  [[nodiscard]] const std::atomic<std::uint32_t>& wanted() const noexcept { return wanted_; }
  void want(std::uint32_t n = 1) noexcept { wanted_.fetch_add(n, std::memory_order_seq_cst); }
  void unwant(std::uint32_t n = 1) noexcept { wanted_.fetch_sub(n, std::memory_order_relaxed); }
  /// A committed batch with a holder, and a place in its settlement range.
  void on_batch(flow::Batch* batch) noexcept { batches_.push_back(batch); }
  [[nodiscard]] bool idle() const noexcept { return batches_.empty() && kept_.empty(); }
  /// Batches that came, and those that were routed, since the beginning.
  [[nodiscard]] std::uint64_t received() const noexcept { return routed_ + batches_.size(); }
  [[nodiscard]] std::uint64_t routed() const noexcept { return routed_; }
  /// The journal's sequence up to which everything durable that came here is routed...
  [[nodiscard]] std::uint64_t last_sequence() const noexcept { return last_sequence_; }
  /// ...and was routed to the session, by this process or the one before.
  [[nodiscard]] std::uint64_t routed_to(const Session& session) const noexcept;
  /// From batch number `since` on (as in routed()) they are kept when they are routed, for
  /// sessions that are on their way here. Nothing: none are.
  void keep_routed(std::optional<std::uint64_t> since) noexcept;
  /// Routes what is kept to a session that has come.
  void catch_up(Session& session) noexcept;
  /// Routes what one turn allows. False: there is more.
  bool work() noexcept;
  /// Returns its work: how many sessions and groups it was for.
  std::uint32_t route(const RoutedMessage& message) noexcept;
  /// Gives a message to one session. `kept` is the message's copy, made when it is needed first.
  void deliver(Session& session, const RoutedMessage& message, MessageRef& kept,
               const Delivery& delivery) noexcept;
  /// A retained message that the store kept. Before the threads run.
  void restore_retained(std::string_view topic, std::string_view bytes);
  [[nodiscard]] const flow::RetainedTable& retained() const noexcept { return retained_; }
  [[nodiscard]] std::size_t subscriptions() const noexcept { return trie_.size(); }
  /// Memory for subscriptions, about.
  [[nodiscard]] std::size_t subscription_bytes() const noexcept {
    return trie_.bytes() + subscription_bytes_;
  }
  [[nodiscard]] flow::TopicTrie& trie() noexcept { return trie_; }

 private:
  struct Match {
    Session* session = nullptr;
    Delivery delivery;
  };
  std::uint32_t route_record(const RecordView& record, flow::SettlementRange* range) noexcept;
  void route_again(flow::Batch& batch, std::uint32_t count) noexcept;
  static void let_go(flow::Batch& batch) noexcept;
  void enqueue(Session& session, const RoutedMessage& message, MessageRef& kept,
               const Delivery& delivery) noexcept;
  void add_match(const Subscription& subscription, const RoutedMessage& message);
  void retain(const RoutedMessage& message) noexcept;
  /// Null but on the one server that keeps the retained messages for all.
  [[nodiscard]] flow::SessionStore* retained_store() noexcept;
  [[nodiscard]] bool advance_retained(Session& session, std::size_t& places) noexcept;
  [[nodiscard]] bool give_retained(Session& session, const Subscription& subscription,
                                   const RoutedMessage& message) noexcept;
  void end_retained(Session& session, const Subscription& subscription) noexcept;
  [[nodiscard]] bool fits(std::string_view filter) const noexcept;
  [[nodiscard]] bool insert(Subscription& subscription);
  void erase(Subscription& subscription) noexcept;

  MqttServer& server_;
  BrokerShared& shared_;
  flow::TopicTrie trie_;
  std::size_t subscription_bytes_ = 0;  // Beside the trie's.
  flow::RetainedTable retained_;
  Groups groups_;
  std::atomic<std::uint32_t> wanted_{0};
  std::deque<std::uint64_t> retained_ready_;  // Sessions, by uid.
  MonoTime next_sweep_{};
  std::deque<flow::Batch*> batches_;
  std::uint32_t record_ = 0;         // Where the front batch stands.
  std::uint64_t routed_ = 0;         // Batches.
  std::uint64_t last_sequence_ = 0;  // Routed; of durable batches only, which come in order.
  bool replayed_ = false;            // What is routed now was received by this process.
  bool keeping_ = false;
  std::deque<flow::Batch*> kept_;   // Those routed last.
  Session* catching_up_ = nullptr;  // Nobody else gets what is routed.
  const MonoTime started_;
  std::uint64_t round_ = 0;
  // Of the message being routed; entries beyond the count keep their memory.
  std::vector<Match> matches_;
  std::size_t match_count_ = 0;
  std::vector<Group*> matched_groups_;
};

}  // namespace tocsin::ingress
