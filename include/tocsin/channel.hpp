#pragma once
// The channel contract. A channel classifies what one attempt taught us; only deliver's policy
// decides on retries (DESIGN decision 11).

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <tocsin/event.hpp>
#include <tocsin/result.hpp>
#include <tocsin/time.hpp>

namespace tocsin {

/// One rendered message to one recipient, as a channel sees it. Views are valid until the
/// completion of the submit that got them.
struct OutgoingNotification {
  NotificationId id;
  EventId event_id;
  std::string_view rule;
  std::string_view event_type;
  std::string_view subject;
  std::string_view body;
  std::string_view traceparent;
  Priority priority = Priority::normal;
  Severity severity = Severity::info;
};

enum class Verdict : std::uint8_t {
  delivered,
  transient,  ///< May succeed later.
  throttled,  ///< Peer said when to come back (`retry_after`), or just "too fast".
  permanent,  ///< Never will.
  auth,       ///< Our credentials are refused: a human must act.
};

/// Closed set: it becomes a metric label and the reason in the dead-letter queue.
enum class DeliveryError : std::uint8_t {
  none,
  dns,
  refused_address,  ///< The egress address check said no.
  connect,
  tls,
  timeout,
  reset,
  protocol,
  status_client,  ///< 4xx and its like.
  status_server,  ///< 5xx and its like.
  throttled,
  auth,
  too_large,
  overflow,   ///< The target's queue was full.
  exhausted,  ///< Attempts used up.
  shutdown,
};
[[nodiscard]] std::string_view to_string(DeliveryError error) noexcept;
[[nodiscard]] std::string_view to_string(Verdict verdict) noexcept;

/// What one attempt taught us.
struct Attempt {
  Verdict verdict = Verdict::delivered;
  DeliveryError error = DeliveryError::none;
  std::chrono::milliseconds retry_after{0};  ///< 0 when the peer gave no hint. A floor.
  std::string detail{};                      ///< For people; no secrets. Bounded by the channel.
};

/// Receives the outcome of one submit. Lives on the channel's loop.
class DeliveryCompletion {
 public:
  virtual void on_attempt(Attempt attempt) noexcept = 0;

 protected:
  ~DeliveryCompletion() = default;
};

enum class SubmitError : std::uint8_t { busy };

/// One configured channel on one loop. All calls come from that loop's thread.
class Channel {
 public:
  virtual ~Channel() = default;

  /// Called once, when no earlier channel of the same configuration is left (or it does not end):
  /// only now may it open what two must not have at a time, such as a connection under one client
  /// id. submit() may come before.
  virtual void open() noexcept {}
  /// Whether what is submitted before open() waits for it.
  [[nodiscard]] virtual bool waits_for_open() const noexcept { return false; }

  /// Starts one send of one or many notifications to one recipient (the channel merges them into
  /// one message where it can). `done` fires exactly once, on a later turn of the loop, never
  /// inside this call; the notifications are borrowed until then. On `busy` nothing was started and
  /// `done` will not fire.
  [[nodiscard]] virtual Result<void, SubmitError> submit(
      std::string_view recipient, std::span<const OutgoingNotification> notifications,
      DeliveryCompletion& done) noexcept = 0;

  /// Stops: every outstanding `done` fires with `shutdown` on a later turn.
  virtual void close() noexcept = 0;

  /// After close(): whether nothing (socket, thread, message) refers to the channel any more, so
  /// that it may be destroyed. It is not destroyed before.
  [[nodiscard]] virtual bool closed() const noexcept { return true; }
};

}  // namespace tocsin
