#pragma once
// When workers wait for a lane.

#include <cstdint>

#include <tocsin/time.hpp>

#include "flow/pacing.hpp"

namespace tocsin::deliver {

/// Asks the workers to wait while a lane fills up although its receiver answers: a burst is then
/// delivered late instead of becoming dead letters. Every other channel waits with it, so there is
/// a credit of one second, which comes back only when the lane has worked off what it had: a
/// receiver that cannot keep up is not waited for again and again, and one that stopped answering
/// not at all. One lane's; on its thread.
class Patience {
 public:
  /// How much of what it may hold the lane holds.
  enum class Fill : std::uint8_t { low, middle, high };

  explicit Patience(flow::Pacing& pacing) noexcept : pacing_(pacing) {}
  ~Patience() { ask(false); }
  Patience(const Patience&) = delete;
  Patience& operator=(const Patience&) = delete;

  /// The receiver took a message, or gets its first one after it had none to take.
  void on_answer(MonoTime now) noexcept { answered_ = now; }
  void update(Fill fill, MonoTime now) noexcept;
  /// When update() must be called at the latest.
  [[nodiscard]] MonoTime due() const noexcept;

 private:
  static constexpr Duration credit_max = std::chrono::seconds{1};

  void ask(bool wait) noexcept;

  flow::Pacing& pacing_;
  MonoTime answered_{};
  MonoTime charged_to_{};  // The credit is spent up to here.
  Duration credit_ = credit_max;
  bool asking_ = false;
};

}  // namespace tocsin::deliver
