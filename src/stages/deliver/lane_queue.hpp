#pragma once
// What waits in one lane: messages being collected per recipient, messages ready in four
// priorities, messages waiting for their retry. Sans I/O.

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <tocsin/time.hpp>

#include "flow/notification.hpp"

namespace tocsin::deliver {

inline constexpr std::size_t priority_count = 4;

/// One message: notifications of one priority to one recipient that are sent, retried and given up
/// together.
struct Parcel {
  enum class State : std::uint8_t { free, lingering, ready, waiting, inflight };
  std::vector<flow::Notification*> items;
  std::size_t size_bytes = 0;
  std::uint64_t serial = 0;  ///< Tells apart the uses of a recycled parcel.
  MonoTime due{};            ///< End of lingering, or time of the retry.
  std::uint32_t attempts = 0;
  Priority priority = Priority::normal;
  State state = State::free;
  bool submitted = false;   ///< The peer may know this message, whatever became of the attempt.
  bool joinable = false;    ///< Listed as the open parcel of its recipient.
  Parcel* older = nullptr;  ///< Links of the lingering list.
  Parcel* newer = nullptr;
};

struct BatchLimits {
  std::size_t count = 1;
  std::size_t size_bytes = 256 * 1024;
  Duration linger{};
};

/// Picks the priority to serve: strictly the highest, except that one which was passed over
/// `quantum` times in a row goes first, so that none starves.
class PriorityPicker {
 public:
  explicit PriorityPicker(std::uint32_t quantum) noexcept : quantum_(quantum) {}
  /// Index of the priority to serve, or priority_count when none has work.
  [[nodiscard]] std::size_t pick(const std::array<bool, priority_count>& has_work) noexcept;

 private:
  std::uint32_t quantum_;
  std::array<std::uint32_t, priority_count> passed_over_{};
};

class LaneQueue {
 public:
  LaneQueue(const BatchLimits& limits, std::uint32_t priority_quantum);

  /// Applies to what is added from now on.
  void set_limits(const BatchLimits& limits, std::uint32_t priority_quantum);

  /// Takes the notification into its recipient's open parcel, or a new one.
  void add(flow::Notification& notification, MonoTime now);
  /// Makes ready what has lingered or waited long enough. `flush` ends lingering at once; `retries`
  /// false leaves the retries waiting.
  void promote(MonoTime now, bool flush, bool retries);
  /// The next parcel to send, now in flight; null when none is ready.
  [[nodiscard]] Parcel* take() noexcept;
  /// The parcel goes back to where take() found it: nothing was started.
  void untake(Parcel& parcel);
  /// Leaves `count` notifications in the parcel in flight; the others are ready next, in order.
  void split(Parcel& parcel, std::size_t count);
  /// The parcel in flight will be ready again at `due`.
  void retry_at(Parcel& parcel, MonoTime due);
  /// The parcel in flight is finished; its notifications have new owners.
  void finish(Parcel& parcel);

  /// Calls visit(Parcel&) for each parcel that is not in flight, after taking it out of the queue;
  /// visit disposes of its notifications.
  template <class Visit>
  void clear(Visit&& visit) {
    for (const auto& parcel : all_) {
      if (parcel->state == Parcel::State::free || parcel->state == Parcel::State::inflight)
        continue;
      visit(*parcel);
    }
    forget_queued();
  }

  /// When promote() will next have something to do; MonoTime::max() when nothing waits.
  [[nodiscard]] MonoTime next_due(bool retries) const noexcept;
  [[nodiscard]] bool has_ready() const noexcept;
  [[nodiscard]] bool has_lingering() const noexcept { return oldest_ != nullptr; }

 private:
  struct Waiting {
    MonoTime due;
    std::uint64_t serial;
    Parcel* parcel;
  };
  // Orders the heap so that the earliest stands first; the serial makes equal times FIFO.
  static bool later(const Waiting& a, const Waiting& b) noexcept {
    return a.due != b.due ? a.due > b.due : a.serial > b.serial;
  }
  [[nodiscard]] Parcel& acquire();
  void recycle(Parcel& parcel);
  void make_ready(Parcel& parcel);
  void link(Parcel& parcel) noexcept;
  void unlink(Parcel& parcel) noexcept;
  void seal(Parcel& parcel);
  void forget_queued();

  BatchLimits limits_;
  PriorityPicker picker_;
  std::uint64_t next_serial_ = 1;
  std::vector<std::unique_ptr<Parcel>> all_;
  std::vector<Parcel*> free_;
  // Keys are views of the first notification's recipient.
  std::array<std::unordered_map<std::string_view, Parcel*>, priority_count> open_;
  Parcel* oldest_ = nullptr;  // Lingering parcels in order of `due`.
  Parcel* newest_ = nullptr;
  std::array<std::deque<Parcel*>, priority_count> ready_;
  std::vector<Waiting> waiting_;  // Heap.
};

}  // namespace tocsin::deliver
