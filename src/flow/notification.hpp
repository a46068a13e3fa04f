#pragma once
// One rendered message to one recipient on its way from a worker to a channel; and the pool.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <tocsin/event.hpp>
#include <tocsin/time.hpp>

#include "base/shared_bytes.hpp"
#include "base/shared_queue.hpp"
#include "flow/settlement.hpp"

namespace tocsin::flow {

struct Notification {
  NotificationId id;
  EventId event_id;
  std::uint64_t sequence = 0;  ///< Journal position of the event that caused it.
  std::string channel;         ///< Name of the channel.
  std::string rule;
  std::string event_type;
  std::string recipient;
  std::string subject;
  std::string body;
  std::string traceparent;
  Priority priority = Priority::normal;
  Severity severity = Severity::info;
  MonoTime received{};  ///< When the event came in.
  MonoTime created{};
  std::uint32_t attempts = 0;
  SettlementRange* range = nullptr;
  Notification* next = nullptr;  ///< For intrusive lists of whoever holds it.
};

/// A fixed number of notifications whose strings keep their capacity up to a bound, so that the
/// steady state does not allocate. acquire/release from any thread.
class NotificationPool {
 public:
  explicit NotificationPool(std::size_t count);
  /// Null when exhausted.
  [[nodiscard]] Notification* acquire() noexcept;
  void release(Notification* notification) noexcept;
  [[nodiscard]] std::size_t count() const noexcept { return all_.size(); }
  [[nodiscard]] std::size_t in_use() const noexcept { return all_.size() - free_.size_approx(); }
  /// Bytes that bodies may take together; a body is charged when it is rendered. False: over it.
  [[nodiscard]] bool charge(std::size_t bytes) noexcept { return bodies_.charge(bytes); }
  void refund(std::size_t bytes) noexcept { bodies_.refund(bytes); }
  void set_body_budget(std::size_t bytes) noexcept { bodies_.set_max(bytes); }

 private:
  std::vector<std::unique_ptr<Notification>> all_;
  SharedQueue<Notification*> free_;
  SharedBytes bodies_;
};

}  // namespace tocsin::flow
