#pragma once
// When workers wait for a lane.

#include <optional>

#include <tocsin/time.hpp>

#include "flow/notification.hpp"

namespace tocsin::deliver {

/// Asks the workers to wait while a lane fills up although its receiver answers: a burst is then
/// delivered late instead of becoming dead letters. A receiver that stopped answering is not waited
/// for, and one that answers but cannot keep up only for a moment, because every other channel
/// waits with it. One lane's; on its thread.
class Patience {
 public:
  Patience(flow::NotificationPool& pool, MonoTime now) noexcept : pool_(pool), answered_(now) {}
  ~Patience() { ask(false); }
  Patience(const Patience&) = delete;
  Patience& operator=(const Patience&) = delete;

  /// The receiver took a message.
  void on_answer(MonoTime now) noexcept { answered_ = now; }
  /// `filling`: the lane holds more than half of what it may.
  void update(bool filling, MonoTime now) noexcept;
  /// When update() must be called at the latest.
  [[nodiscard]] MonoTime due() const noexcept;

 private:
  void ask(bool wait) noexcept;

  flow::NotificationPool& pool_;
  MonoTime answered_;
  std::optional<MonoTime> filling_since_;
  bool asking_ = false;
};

}  // namespace tocsin::deliver
