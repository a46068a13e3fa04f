#pragma once
// A connection that sends events, when they are due and as its window allows.

#include <cstdint>
#include <vector>

#include "cli/bench/connection.hpp"
#include "cli/bench/plan.hpp"

namespace tocsin::cli::bench {

class Sender;

/// What the senders of one thread share.
struct Session {
  io::Io& io;
  const Plan& plan;
  Tally& tally;
  std::vector<Sender*> eager{};  ///< Senders that may be able to go on; has room for all.
  std::uint64_t sends_left = 0;  ///< Sends that may still begin (without a rate).
  Stamps stamps{};
  MonoTime start{};
  MonoTime measured_from{};
  MonoTime last_answer{};
  MonoTime last_send{};
  double interval_ns = 0;  ///< Between two sends of this thread; 0 = no rate.
  std::uint32_t senders = 0;

  /// When the k-th send of this thread is due.
  [[nodiscard]] MonoTime due(std::uint64_t k) const noexcept {
    return start + Duration{static_cast<Duration::rep>(interval_ns * static_cast<double>(k))};
  }
};

class Sender : public Connection {
 public:
  /// `index` within its thread.
  Sender(Session& session, std::uint32_t index, std::size_t message_size_max)
      : Connection(session.io, session.tally, message_size_max, session.plan.connections),
        session_(session),
        index_(index) {}

  /// One more send is due.
  void grant() noexcept {
    ++granted_;
    hasten();
  }
  /// Sends what is due and fits.
  void pump(MonoTime now) noexcept;
  /// Puts it on the list of those to be pumped this turn.
  void hasten() noexcept {
    if (eager_) return;
    eager_ = true;
    session_.eager.push_back(this);
  }
  [[nodiscard]] std::uint64_t backlog() const noexcept {
    return granted_ > started_ ? granted_ - started_ : 0;
  }
  /// No event will follow: asks for what proves that all have been read, where acknowledgements do
  /// not.
  virtual void finish() noexcept {}
  /// Every event is answered.
  [[nodiscard]] virtual bool settled() const noexcept = 0;

 protected:
  void on_room() noexcept final { hasten(); }
  /// Writes sends into room() and counts them, until the window or the buffer is full. Returns how
  /// many, at most `sends_max`.
  [[nodiscard]] virtual std::uint64_t write_some(std::uint64_t sends_max,
                                                 MonoTime intended) noexcept = 0;
  /// Everything that could be sent now has been written.
  virtual void on_pumped(MonoTime /*now*/) noexcept {}

  /// `samples` of these events have been due at `due`.
  void acknowledged(MonoTime due, MonoTime now, std::uint64_t events,
                    std::uint64_t samples) noexcept {
    tally_.acknowledged += events;
    if (now >= session_.measured_from) tally_.measured += events;
    // What was due during the warm-up tells about the warm-up.
    if (due >= session_.measured_from) {
      tally_.ack_latency.record(static_cast<std::uint64_t>((now - due).count()), samples);
    }
    session_.last_answer = now;
  }

  Session& session_;
  std::uint32_t index_;

 private:
  std::uint64_t granted_ = 0;
  std::uint64_t started_ = 0;
  bool eager_ = false;
};

}  // namespace tocsin::cli::bench
