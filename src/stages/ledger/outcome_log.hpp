#pragma once
// The record of recent outcomes, and how many there were of each kind.

#include <array>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <tocsin/event.hpp>
#include <tocsin/time.hpp>

#include "base/metrics.hpp"
#include "flow/outcome.hpp"

namespace tocsin::ledger {

struct OutcomeRecord {
  std::uint64_t number = 0;  ///< Counts all outcomes since the start, from 1.
  NotificationId id;
  std::string rule;
  std::string channel;
  std::string recipient;  ///< Redacted.
  flow::Outcome outcome = flow::Outcome::sent;
  std::string error;
  std::uint32_t attempts = 0;
};

/// How one notification ended. Views are valid during the call.
struct OutcomeReport {
  NotificationId id;
  std::string_view rule;
  std::string_view channel;
  std::string_view recipient;  ///< In full; the record keeps a redacted form.
  flow::Outcome outcome = flow::Outcome::sent;
  std::string_view error;  ///< to_string(DeliveryError), or empty.
  std::uint32_t attempts = 0;
};

/// Enough of a recipient to recognize it, too little to abuse it: "a***@example.com",
/// "***67" for a number, scheme and host of a URL; a topic and other text is cut after 4
/// characters.
[[nodiscard]] std::string redact_recipient(std::string_view recipient);

/// The last `capacity` outcomes. Any thread; an outcome happens once a notification, so a lock that
/// is held for a few copies is cheap enough.
class OutcomeLog {
 public:
  explicit OutcomeLog(std::size_t capacity);
  void add(const OutcomeReport& report) noexcept;
  /// Newest first, at most `count`, only those with number < `before`.
  [[nodiscard]] std::vector<OutcomeRecord> list(std::size_t count,
                                                std::uint64_t before = UINT64_MAX) const;
  [[nodiscard]] std::uint64_t count(flow::Outcome outcome) const noexcept {
    return counts_[static_cast<std::size_t>(outcome)].get();
  }

 private:
  mutable std::mutex mutex_;
  std::vector<OutcomeRecord> ring_;  // Slot of a record: (number - 1) % capacity.
  std::uint64_t last_number_ = 0;
  std::array<SharedCounter, flow::outcome_count> counts_;
};

}  // namespace tocsin::ledger
