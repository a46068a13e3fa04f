#include "stages/deliver/counters.hpp"

namespace tocsin::deliver {

std::uint64_t LaneCounters::dead_total() const noexcept {
  std::uint64_t total = 0;
  for (const Counter& reason : dead) total += reason.get();
  return total;
}

void LaneCounters::describe(std::string_view channel, MetricSink& sink) const {
  const Labels labels = {{"channel", channel}};
  sink.counter("tocsin_notifications_created_total", "Notifications handed to a channel's lane.",
               labels, created.get());
  sink.counter("tocsin_notifications_sent_total", "Notifications delivered.", labels, sent.get());
  for (std::size_t i = 0; i < dead.size(); ++i) {
    if (dead[i].get() == 0) continue;
    sink.counter("tocsin_notifications_dead_total", "Notifications given up, by reason.",
                 {{"channel", channel}, {"reason", to_string(static_cast<DeliveryError>(i))}},
                 dead[i].get());
  }
  sink.counter("tocsin_notifications_cancelled_total",
               "Notifications whose channel was removed before they were sent.", labels,
               cancelled.get());
  sink.counter("tocsin_notifications_expired_total", "Notifications too old to be sent.", labels,
               expired.get());
  sink.gauge("tocsin_notifications_pending", "Notifications waiting or being sent.", labels,
             static_cast<double>(pending.get()));
  sink.gauge("tocsin_notifications_inflight", "Notifications in an attempt.", labels,
             static_cast<double>(inflight.get()));
  for (std::size_t i = 0; i < attempts.size(); ++i) {
    sink.counter("tocsin_delivery_attempts_total", "Attempts, by what they taught us.",
                 {{"channel", channel}, {"verdict", to_string(static_cast<Verdict>(i))}},
                 attempts[i].get());
  }
  for (std::size_t i = 0; i < errors.size(); ++i) {
    if (errors[i].get() == 0) continue;
    sink.counter("tocsin_delivery_errors_total", "Attempts that failed, by reason.",
                 {{"channel", channel}, {"reason", to_string(static_cast<DeliveryError>(i))}},
                 errors[i].get());
  }
  sink.counter("tocsin_channel_restarts_total", "Restarts of a channel that got stuck.", labels,
               restarts.get());
  sink.histogram("tocsin_delivery_seconds", "From the event's arrival to delivery.", labels,
                 delivery);
  sink.histogram("tocsin_delivery_attempt_seconds", "Duration of one attempt.", labels, attempt);
}

}  // namespace tocsin::deliver
