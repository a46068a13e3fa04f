#pragma once
// One thread's event loop: its Io, a mailbox that other threads post to, tickers that run once a
// turn, and timers. With threads = 1 every stage lives on the same Loop.

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <tocsin/time.hpp>

#include "base/shared_queue.hpp"
#include "io/io.hpp"

namespace tocsin::flow {

struct Message;

/// Gets messages on the thread of the loop that they were posted to.
class Receiver {
 public:
  virtual void on_message(const Message& message) noexcept = 0;

 protected:
  ~Receiver() = default;
};

/// What crosses threads. Whoever owns `object` hands it over with the message.
struct Message {
  Receiver* to = nullptr;
  std::uint32_t kind = 0;  ///< Private to the receiver.
  std::uint32_t arg = 0;
  void* object = nullptr;
};

/// Called at least once a turn, after completions and messages and before the loop waits.
class Ticker {
 public:
  /// Returns when it wants to run again at the latest (MonoTime::max() = only after new input).
  virtual MonoTime on_tick(MonoTime now) noexcept = 0;

 protected:
  ~Ticker() = default;
};

/// A one-shot timer that lives inside its owner. Arm through Loop. Destroying or disarming an
/// armed timer is allowed on the loop's thread.
class Timer {
 public:
  virtual void on_timer(MonoTime now) noexcept = 0;
  [[nodiscard]] bool armed() const noexcept { return heap_index_ != not_armed; }

 protected:
  Timer() = default;
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() = default;

 private:
  friend class Loop;
  static constexpr std::size_t not_armed = SIZE_MAX;
  MonoTime due_{};
  std::size_t heap_index_ = not_armed;
};

class Loop {
 public:
  Loop(io::Io& io, std::string name);
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // --- any thread
  // ---------------------------------------------------------------------------------
  /// Delivers `message` later, in this turn or the next. Bounded by the pools that the messages'
  /// objects come from.
  void post(const Message& message) noexcept;
  void stop() noexcept;

  // --- the loop's thread
  // --------------------------------------------------------------------------
  [[nodiscard]] io::Io& io() noexcept { return io_; }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// Time of this turn: read once a turn, so that handlers of one turn agree and pay nothing.
  [[nodiscard]] MonoTime now() const noexcept { return now_; }
  void add_ticker(Ticker& ticker) { tickers_.push_back(&ticker); }
  /// For the one that passes on what the other tickers of the same turn have made: runs after them.
  void add_last_ticker(Ticker& ticker) { last_tickers_.push_back(&ticker); }
  void remove_ticker(Ticker& ticker);
  void arm(Timer& timer, MonoTime due);
  void disarm(Timer& timer) noexcept;
  /// One turn: poll, messages, timers, tickers. Waits in poll until `latest` at most.
  void turn(MonoTime latest = MonoTime::max());
  /// Turns until stop().
  void run();
  [[nodiscard]] bool stopping() const noexcept { return stop_.load(std::memory_order_acquire); }

 private:
  void drain_messages() noexcept;
  void tick();
  void fire_timers() noexcept;
  void sift_up(std::size_t index) noexcept;
  void sift_down(std::size_t index) noexcept;

  io::Io& io_;
  std::string name_;
  SharedQueue<Message> mailbox_;
  // Messages ever posted, to be compared with those drained; the queue itself offers no ordered
  // look.
  std::atomic<std::uint64_t> posted_{0};
  std::uint64_t drained_ = 0;
  // Set while the loop is in, or about to enter, a wait: only then a sender pays for a wake-up.
  std::atomic<bool> sleeping_{false};
  std::atomic<bool> stop_{false};
  std::vector<Ticker*> tickers_;
  std::vector<Ticker*> last_tickers_;
  std::vector<Timer*> timers_;  // Binary heap by due time.
  MonoTime now_{};
  MonoTime next_tick_ = MonoTime::min();
};

}  // namespace tocsin::flow
