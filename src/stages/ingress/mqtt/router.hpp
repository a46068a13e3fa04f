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

#include "flow/batch.hpp"
#include "flow/retained_table.hpp"
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
  /// Sends the retained messages that match (section 3.8.4).
  void send_retained(Session& session, const Subscription& subscription);
  [[nodiscard]] Groups& groups() noexcept { return groups_; }

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
  void route(const RoutedMessage& message) noexcept;
  /// Gives a message to one session. `kept` is the message's copy, made when it is needed first.
  void deliver(Session& session, const RoutedMessage& message, MessageRef& kept,
               const Delivery& delivery) noexcept;
  /// A retained message that the store kept. Before the threads run.
  void restore_retained(std::string_view topic, std::string_view bytes);
  [[nodiscard]] const flow::RetainedTable& retained() const noexcept { return retained_; }
  [[nodiscard]] std::size_t subscriptions() const noexcept { return trie_.size(); }
  [[nodiscard]] flow::TopicTrie& trie() noexcept { return trie_; }

 private:
  struct Match {
    Session* session = nullptr;
    Delivery delivery;
  };
  void route_record(const RecordView& record, flow::SettlementRange* range) noexcept;
  void route_again(flow::Batch& batch, std::uint32_t count) noexcept;
  static void let_go(flow::Batch& batch) noexcept;
  void enqueue(Session& session, const RoutedMessage& message, MessageRef& kept,
               const Delivery& delivery) noexcept;
  void add_match(const Subscription& subscription, const RoutedMessage& message);
  void retain(const RoutedMessage& message) noexcept;
  [[nodiscard]] bool insert(Subscription& subscription);
  void erase(Subscription& subscription) noexcept;

  MqttServer& server_;
  BrokerShared& shared_;
  flow::TopicTrie trie_;
  flow::RetainedTable retained_;
  Groups groups_;
  std::atomic<std::uint32_t> wanted_{0};
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
