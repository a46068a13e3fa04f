#pragma once
// A scripted channel and its surroundings, for tests.

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "stages/deliver/stage.hpp"
#include "tests/support/fake_io.hpp"

namespace tocsin::deliver::testing {

/// What one submit asked for; the test answers when it likes.
struct Submitted {
  std::string channel_tag;
  std::string recipient;
  std::vector<NotificationId> ids;
  DeliveryCompletion* done;
};

/// Shared by all fake channels of a test; found through a global because a factory is a plain
/// function. Reset by the fixture.
struct FakeWorld {
  std::deque<Submitted> submitted;
  int made = 0;
  int destroyed = 0;
  int opened = 0;
  int closed = 0;
  bool busy = false;
  bool refuse_make = false;
  bool answers_close = true;  ///< What closed() says.
};
inline FakeWorld fake_world;

class FakeChannel final : public Channel {
 public:
  explicit FakeChannel(std::string tag) : tag_(std::move(tag)) { ++fake_world.made; }
  ~FakeChannel() override { ++fake_world.destroyed; }
  void open() noexcept override { ++fake_world.opened; }
  Result<void, SubmitError> submit(std::string_view recipient,
                                   std::span<const OutgoingNotification> notifications,
                                   DeliveryCompletion& done) noexcept override {
    if (fake_world.busy) return Unexpected{SubmitError::busy};
    Submitted entry{tag_, std::string(recipient), {}, &done};
    for (const auto& n : notifications) entry.ids.push_back(n.id);
    fake_world.submitted.push_back(std::move(entry));
    return {};
  }
  void close() noexcept override { ++fake_world.closed; }
  bool closed() const noexcept override { return fake_world.answers_close; }

 private:
  std::string tag_;
};

inline Result<std::unique_ptr<Channel>, std::string> make_fake(const ChannelContext&,
                                                               const OptionValues& options) {
  if (fake_world.refuse_make) return Unexpected{std::string("refused")};
  return std::unique_ptr<Channel>(std::make_unique<FakeChannel>(options.text("tag")));
}
inline const ChannelType fake_type{.name = "fake", .help = {}, .options = {}, .make = make_fake};
inline const ChannelType* const fake_types[] = {&fake_type};

/// Answers the oldest open submit.
inline void answer(Attempt attempt = {}) {
  const Submitted entry = fake_world.submitted.front();
  fake_world.submitted.pop_front();
  entry.done->on_attempt(std::move(attempt));
}
inline Attempt transient_failure() {
  return {.verdict = Verdict::transient, .error = DeliveryError::reset};
}

class CountingOutcomes final : public flow::OutcomeSink {
 public:
  void on_outcome(const flow::Notification& n, flow::Outcome outcome,
                  DeliveryError error) noexcept override {
    ends.push_back({n.id, outcome, error, n.attempts});
  }
  struct End {
    NotificationId id;
    flow::Outcome outcome;
    DeliveryError error;
    std::uint32_t attempts;
  };
  std::vector<End> ends;
};

class NullLedger final : public flow::Receiver {
 public:
  void on_message(const flow::Message&) noexcept override { ++settled; }
  int settled = 0;
};

/// Delivery options at their defaults but for batching and jitter, so that tests see plain times.
inline OptionValues delivery(std::int64_t batch_count = 1, std::int64_t inflight_max = 16) {
  OptionValues values;
  values.set_number("batch_count", batch_count);
  values.set_number("batch_bytes", 256 * 1024);
  values.set_number("linger_ms", 0);
  values.set_number("inflight_max", inflight_max);
  values.set_number("queue_max", 100);
  values.set_number("queue_bytes_max", 1 << 20);
  values.set_number("attempts_max", 3);
  values.set_text("retry_schedule", "60s,300s,900s");
  values.set_number("retry_jitter", 0);
  values.set_number("expiry", 0);
  values.set_number("priority_quantum", 16);
  values.set_number("stuck_timeout_ms", 180'000);
  return values;
}

inline flow::ChannelConfig config(std::string name, OptionValues values = delivery(),
                                  std::string tag = "1") {
  flow::ChannelConfig made;
  made.name = std::move(name);
  made.type = "fake";
  made.delivery = std::move(values);
  made.options.set_text("tag", std::move(tag));
  return made;
}

}  // namespace tocsin::deliver::testing
