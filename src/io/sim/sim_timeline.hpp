#pragma once
// Virtual time: the world's clock, the events that the simulated kernel still has to run, and the
// trace that tells two runs apart.

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include <tocsin/time.hpp>

#include "base/hash.hpp"

namespace tocsin::io {

/// Events run at their time, those of the same time in the order in which they were scheduled.
class SimTimeline {
 public:
  using Event = std::function<void()>;

  /// Never zero, so that a default-made MonoTime is in the past.
  static constexpr MonoTime start{std::chrono::seconds{1}};

  [[nodiscard]] MonoTime now() const noexcept { return now_; }
  /// MonoTime::max() when nothing is scheduled.
  [[nodiscard]] MonoTime next_due() const noexcept {
    return events_.empty() ? MonoTime::max() : events_.begin()->first.first;
  }
  void at(MonoTime due, Event event) {
    events_.emplace(std::pair{std::max(due, now_), sequence_++}, std::move(event));
  }
  void after(Duration delay, Event event) { at(now_ + delay, std::move(event)); }

  /// Moves time forward, running each event at its own time.
  void advance_to(MonoTime target) {
    while (next_due() <= target) {
      auto node = events_.extract(events_.begin());
      now_ = std::max(now_, node.key().first);
      node.mapped()();
    }
    now_ = std::max(now_, target);
  }
  /// Time passes inside a blocking call: what falls due runs afterwards, late.
  void block_for(Duration time) noexcept { now_ += time; }

 private:
  MonoTime now_ = start;
  std::uint64_t sequence_ = 0;
  std::map<std::pair<MonoTime, std::uint64_t>, Event> events_;
};

/// What the simulator tells a program; the order, times and contents make the trace.
enum class SimNotice : std::uint8_t {
  connected,
  accepted,
  accept_error,
  data,
  end,
  sent,
  closed,
  file_done,
  process_end,
  power_cut,
};

class SimTrace {
 public:
  void add(SimNotice notice, MonoTime when, std::uint64_t who, std::uint64_t what,
           std::uint64_t value) noexcept {
    const std::array<std::uint64_t, 5> words{
        static_cast<std::uint64_t>(notice),
        static_cast<std::uint64_t>(when.time_since_epoch().count()), who, what, value};
    hash_ = hash64({reinterpret_cast<const char*>(words.data()), sizeof words}, hash_);
    ++count_;
  }
  [[nodiscard]] std::uint64_t hash() const noexcept { return hash_; }
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }

 private:
  std::uint64_t hash_ = 0;
  std::uint64_t count_ = 0;
};

}  // namespace tocsin::io
