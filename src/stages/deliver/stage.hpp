#pragma once
// The deliver stage of one loop: the lanes of the channels assigned to it.

#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.hpp"
#include "base/metrics.hpp"
#include "flow/catalogue.hpp"
#include "flow/loop.hpp"
#include "flow/notification.hpp"
#include "flow/outcome.hpp"
#include "stages/deliver/channel_type.hpp"
#include "stages/deliver/counters.hpp"
#include "stages/deliver/dead_letters.hpp"
#include "stages/deliver/lane.hpp"

namespace tocsin::deliver {

/// Checks a channel's type and options without opening anything; a message, or empty.
[[nodiscard]] std::string check_channel(const flow::ChannelConfig& config,
                                        std::span<const ChannelType* const> types);

/// What a stage uses; all of it outlives the stage.
struct StageContext {
  flow::Loop& loop;
  Log log;
  flow::NotificationPool& pool;
  flow::Pacing& pacing;
  flow::OutcomeSink& outcomes;
  flow::SubscriberHub* hub = nullptr;
  io::Resolver* resolver = nullptr;
  const io::EgressPolicy* egress = nullptr;
  std::function<bool(std::string_view)> print;
  std::string dead_letters_path;  ///< Empty = none. One file per stage.
  std::uint64_t dead_letters_bytes_max = 64 << 20;
  std::span<const ChannelType* const> types = channel_types();
};

/// All calls on the loop's thread, except describe() and posting to it.
class DeliverStage final : public flow::Receiver, public flow::Ticker, public MetricSource {
 public:
  /// Message kind: `object` is a flow::Notification whose ownership passes to the stage, or a list
  /// of them linked by `next`.
  static constexpr std::uint32_t message_notification = 1;

  explicit DeliverStage(StageContext context);
  /// Only after drained(), or when the loop no longer turns.
  ~DeliverStage();
  DeliverStage(const DeliverStage&) = delete;
  DeliverStage& operator=(const DeliverStage&) = delete;

  /// Replaces the set of channels. Unchanged ones keep queue and connections, changed ones keep
  /// their queue and get a new channel, removed ones end their pending notifications as cancelled.
  /// On an error nothing changed.
  Result<void, std::string> set_channels(const std::vector<flow::ChannelConfig>& configs);

  /// Begins to end: what is queued is sent until `deadline`, retries are not waited for; then the
  /// channels are closed. What did not end stays unsettled, so that a restart creates it again.
  void drain(MonoTime deadline);
  /// After drain(): nothing is under way any more, and the dead letters are written.
  [[nodiscard]] bool drained() const noexcept;

  void on_message(const flow::Message& message) noexcept override;
  MonoTime on_tick(MonoTime now) noexcept override;
  void describe(MetricSink& sink) const override;

  /// Counters of a channel, or null when there never was one of this name.
  [[nodiscard]] const LaneCounters* counters(std::string_view channel) const;

 private:
  struct Prepared {
    LanePolicy policy;
    std::unique_ptr<Channel> channel;  // Null: unchanged.
    ChannelMaker maker;
  };
  struct Entry {
    flow::ChannelConfig config;
    std::unique_ptr<Lane> lane;
  };
  using Prepareds = std::map<std::string, Prepared>;

  void accept(flow::Notification& notification);
  [[nodiscard]] Result<Prepared, std::string> prepare(const flow::ChannelConfig& config);
  void discard(Prepareds& prepared);
  [[nodiscard]] LaneCounters& counters_of(const std::string& channel);
  void tend_retired();

  StageContext context_;
  DeadLetters dead_letters_;
  LaneShared shared_;
  std::map<std::string, Entry, std::less<>> lanes_;
  std::vector<std::unique_ptr<Lane>> retired_;
  std::vector<std::unique_ptr<Channel>> discarded_;
  bool draining_ = false;
  bool closing_ = false;
  MonoTime drain_deadline_{};
  mutable std::mutex counters_mutex_;  // Guards the map, not the counters in it.
  std::map<std::string, std::unique_ptr<LaneCounters>, std::less<>> counters_;
};

}  // namespace tocsin::deliver
