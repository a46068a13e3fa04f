#pragma once
// How a notification ended (DESIGN decision 11), and where that is reported.

#include <cstdint>
#include <string_view>

#include <tocsin/event.hpp>

namespace tocsin::flow {

enum class Outcome : std::uint8_t { sent, dead, cancelled, suppressed, expired };
inline constexpr std::size_t outcome_count = 5;

[[nodiscard]] constexpr std::string_view to_string(Outcome outcome) noexcept {
  switch (outcome) {
    case Outcome::sent:
      return "sent";
    case Outcome::dead:
      return "dead";
    case Outcome::cancelled:
      return "cancelled";
    case Outcome::suppressed:
      return "suppressed";
    case Outcome::expired:
      return "expired";
  }
  return "unknown";
}

/// Views are valid during the call.
struct OutcomeReport {
  NotificationId id;
  std::string_view rule;
  std::string_view channel;
  std::string_view recipient;  ///< In full; the record keeps a redacted form.
  Outcome outcome = Outcome::sent;
  std::string_view error;  ///< to_string(DeliveryError), or empty.
  std::uint32_t attempts = 0;
};

class OutcomeSink {
 public:
  /// Any thread.
  virtual void outcome(const OutcomeReport& report) noexcept = 0;

 protected:
  ~OutcomeSink() = default;
};

}  // namespace tocsin::flow
