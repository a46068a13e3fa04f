#pragma once
// One configured channel on its loop: queue, attempts, retries, ends.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <tocsin/channel.hpp>

#include "base/log.hpp"
#include "flow/catalogue.hpp"
#include "flow/notification.hpp"
#include "flow/outcome.hpp"
#include "stages/deliver/counters.hpp"
#include "stages/deliver/dead_letters.hpp"
#include "stages/deliver/lane_queue.hpp"
#include "stages/deliver/patience.hpp"
#include "stages/deliver/retry_policy.hpp"

namespace tocsin::deliver {

/// The delivery options of one channel, in their final types.
struct LanePolicy {
  BatchLimits batch;
  RetryPolicy retry;
  std::size_t inflight_max = 16;
  std::size_t queue_max = 10'000;
  std::size_t queue_bytes_max = std::size_t{64} << 20U;
  Duration expiry{};  ///< 0 = never.
  std::uint32_t priority_quantum = 16;
  Duration stuck_timeout = std::chrono::minutes{3};
};
/// From values checked against `delivery_options`. The error says what the table cannot check.
[[nodiscard]] Result<LanePolicy, std::string> make_policy(const OptionValues& values);

/// What the lanes of one stage share.
struct LaneShared {
  flow::Loop& loop;
  Log log;
  flow::NotificationPool& pool;
  flow::Pacing& pacing;
  flow::OutcomeSink& outcomes;
  DeadLetters& dead_letters;
  std::uint64_t random_state = 1;

  /// splitmix64: enough for jitter.
  [[nodiscard]] std::uint64_t random() noexcept;
  /// The one place where a notification ends: tells the sink, settles, frees.
  void end(flow::Notification& notification, flow::Outcome outcome, DeliveryError error);
  /// Frees a notification without settling it: a restart creates it again.
  void abandon(flow::Notification& notification);
};

/// Makes another channel like the one given, or null.
using ChannelMaker = std::function<std::unique_ptr<Channel>()>;

class Lane {
 public:
  Lane(LaneShared& shared, LaneCounters& counters, std::string name, LanePolicy policy,
       std::unique_ptr<Channel> channel, ChannelMaker maker);
  /// Only when closed(), or when no attempt can come back any more. What is left is abandoned.
  ~Lane();
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  /// Takes ownership; over `queue_max` it becomes a dead letter at once.
  void add(flow::Notification& notification, MonoTime now);
  /// Makes a new channel the target of everything that is not in flight; attempts under way finish
  /// on the old one, which is then closed.
  void reconfigure(LanePolicy policy, std::unique_ptr<Channel> channel, ChannelMaker maker);
  /// The channel was removed: what waits ends as cancelled, what is in flight as sent or cancelled.
  void retire();
  /// Sends what is queued, but no longer waits for retries.
  void drain();
  /// Ends draining: closes the channel under the attempts. What did not end stays unsettled.
  void close();

  /// Starts what can start. Returns when it must be called again at the latest.
  MonoTime on_tick(MonoTime now);

  /// Draining or retired, and nothing is left that can still be sent.
  [[nodiscard]] bool quiet() const noexcept;
  /// All channels are closed and no attempt is under way.
  [[nodiscard]] bool closed() const noexcept;
  [[nodiscard]] const std::string& name() const noexcept { return name_; }

 private:
  /// A channel and the attempts that it owes an answer.
  struct Connection {
    std::unique_ptr<Channel> channel;
    std::uint32_t inflight = 0;
    bool opened = false;
    bool closing = false;
    bool stuck = false;           ///< Closed because it did not answer.
    MonoTime close_awaited_to{};  ///< Until then its successor waits for it to be closed.
  };
  class Slot;
  enum class State : std::uint8_t { active, retired, draining, closed };
  /// Channels that never answered and so can never be freed; beyond these the lane stands still.
  static constexpr std::size_t stuck_connections_max = 4;

  void on_attempt(Slot& slot, Attempt attempt) noexcept;
  void settle_attempt(Parcel& parcel, const Attempt& attempt, MonoTime now);
  void finish(Parcel& parcel, flow::Outcome outcome, DeliveryError error, std::string_view detail);
  void end_one(flow::Notification& notification, flow::Outcome outcome, DeliveryError error,
               std::string_view detail);
  void pump(MonoTime now);
  [[nodiscard]] bool start(Parcel& parcel, Connection& connection, MonoTime now);
  /// Whether something is left to send.
  [[nodiscard]] bool drop_expired(Parcel& parcel, MonoTime now);
  [[nodiscard]] bool any_expired(const Parcel& parcel, MonoTime now) const noexcept;
  [[nodiscard]] bool expired(const flow::Notification& notification, MonoTime now) const noexcept;
  /// The connection that takes new attempts, or null.
  [[nodiscard]] Connection* current() noexcept;
  void close_connection(Connection& connection) noexcept;
  void tend_connections(MonoTime now);
  void check_stuck(MonoTime now);
  void replace_channel(MonoTime now);
  void open_newest(MonoTime now);
  [[nodiscard]] Slot& free_slot();
  void update_patience(MonoTime now) noexcept;

  LaneShared& shared_;
  LaneCounters& counters_;
  std::string name_;
  LanePolicy policy_;
  LaneQueue queue_;
  State state_ = State::active;
  ChannelMaker maker_;
  std::size_t pending_ = 0;               // Notifications in the queue or in flight.
  std::size_t pending_bytes_ = 0;         // Their bodies.
  std::size_t inflight_ = 0;              // Parcels.
  MonoTime resume_at_ = MonoTime::min();  // After the channel said busy.
  MonoTime stuck_check_at_ = MonoTime::max();
  MonoTime open_check_at_ = MonoTime::max();
  Patience patience_;
  std::vector<std::unique_ptr<Connection>> connections_;  // The last one takes new attempts.
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<Slot*> free_slots_;
};

}  // namespace tocsin::deliver
