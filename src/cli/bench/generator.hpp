#pragma once
// One thread of the load generator: its connections, the pace, and the end of the run.

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "cli/bench/sender.hpp"
#include "cli/bench/subscriber.hpp"
#include "flow/loop.hpp"

namespace tocsin::cli::bench {

/// What the threads of one run tell each other.
struct Rendezvous {
  std::atomic<std::uint32_t> ready{0};    ///< Threads whose connections are up, or have failed.
  std::atomic<std::uint32_t> settled{0};  ///< Threads all of whose events are answered.
  std::atomic<std::uint64_t> acknowledged{0};
};

class Generator final : private flow::Ticker {
 public:
  /// `thread` of plan.threads; thread 0 has the subscriber. The plan and what else is referred to
  /// outlive it.
  Generator(io::Io& io, const Plan& plan, std::uint32_t thread, Rendezvous& rendezvous);

  /// Returns when everything is answered, or nothing has been for `plan.grace`. Its thread only.
  void run();

  [[nodiscard]] const Tally& tally() const noexcept { return tally_; }
  /// From the end of the warm-up to the last answer.
  [[nodiscard]] Duration elapsed() const noexcept;

 private:
  enum class Phase : std::uint8_t { connecting, running, draining, receiving, closing, done };

  MonoTime on_tick(MonoTime now) noexcept override;
  void enter(Phase phase) noexcept {
    phase_ = phase;
    phase_began_ = now_;
  }
  void tick_connecting();
  void tick_running();
  void tick_draining();
  void tick_receiving();
  void tick_closing();
  void grant_due();
  void pump_eager();
  void begin();
  void end_running();
  [[nodiscard]] MonoTime end() const noexcept;
  void close_all();
  [[nodiscard]] MonoTime last_sign() const noexcept;
  [[nodiscard]] bool silent(MonoTime since) const noexcept;
  [[nodiscard]] bool stuck() const noexcept;
  [[nodiscard]] bool everyone_ready() const;

  const Plan& plan_;
  Rendezvous& rendezvous_;
  flow::Loop loop_;
  Tally tally_;
  Session session_;
  std::vector<Template> requests_;
  std::vector<std::unique_ptr<Sender>> senders_;
  std::unique_ptr<Subscriber> subscriber_;
  Phase phase_ = Phase::connecting;
  MonoTime now_{};
  MonoTime phase_began_{};
  bool reported_ready_ = false;
  Duration busy_before_{};
  bool measuring_ = false;
  std::uint64_t granted_ = 0;
  std::uint64_t grants_max_ = UINT64_MAX;
};

}  // namespace tocsin::cli::bench
