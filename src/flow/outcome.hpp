#pragma once
// How a notification ends, and who is told.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <tocsin/channel.hpp>

#include "flow/notification.hpp"

namespace tocsin::flow {

/// Closed set: it becomes a metric label and a column of the ledger.
enum class Outcome : std::uint8_t {
  sent,
  dead,        ///< Given up; it stands in the dead-letter file with its reason.
  cancelled,   ///< Its channel was removed.
  suppressed,  ///< Policy said that nobody needs to hear it.
  expired,     ///< Too old to be worth sending.
};
inline constexpr std::size_t outcome_count = 5;
[[nodiscard]] std::string_view to_string(Outcome outcome) noexcept;

/// Told about every end, exactly once a notification, on the loop that owned it and before its
/// range is settled.
class OutcomeSink {
 public:
  /// `notification` is valid during the call. `error` is `none` unless the outcome is `dead`.
  virtual void on_outcome(const Notification& notification, Outcome outcome,
                          DeliveryError error) noexcept = 0;

 protected:
  ~OutcomeSink() = default;
};

}  // namespace tocsin::flow
