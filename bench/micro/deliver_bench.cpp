// What one notification costs between the worker and its channel.

#include <vector>

#include <benchmark/benchmark.h>

#include "stages/deliver/channels/log/format.hpp"
#include "stages/deliver/fake_channel.hpp"

namespace tocsin::deliver {
namespace {

class NoOutcomes final : public flow::OutcomeSink {
 public:
  void on_outcome(const flow::Notification&, flow::Outcome, DeliveryError) noexcept override {}
};

// Post, queue, submit, deliver, settle, back to the pool; `range(0)` notifications a message.
void deliver_through_a_lane(benchmark::State& state) {
  constexpr std::size_t burst = 256;
  testing::fake_world = {};
  tocsin::testing::FakeIo io;
  flow::Loop loop(io, "bench");
  flow::NotificationPool pool(burst);
  flow::Pacing pacing;
  NoOutcomes outcomes;
  DeliverStage stage({.loop = loop,
                      .log = make_null_log(),
                      .pool = pool,
                      .pacing = pacing,
                      .outcomes = outcomes,
                      .hub = nullptr,
                      .print = {},
                      .dead_letters_path = {},
                      .types = testing::fake_types});
  OptionValues values = testing::delivery(state.range(0), burst);
  values.set_number("queue_max", burst);
  if (!stage.set_channels({testing::config("c", values)})) return state.SkipWithError("refused");
  for (auto _ : state) {
    for (std::size_t i = 0; i < burst; ++i) {
      flow::Notification* const n = pool.acquire();
      n->channel = "c";
      n->recipient = "operations";
      n->body.assign(200, 'x');
      n->received = io.now();
      (void)pool.charge(n->body.size());
      loop.post({.to = &stage, .kind = DeliverStage::message_notification, .arg = 0, .object = n});
    }
    loop.turn();
    while (!testing::fake_world.submitted.empty()) testing::answer();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(burst) * state.iterations());
}
BENCHMARK(deliver_through_a_lane)->Arg(1)->Arg(64);

void format_log_line(benchmark::State& state) {
  const OutgoingNotification notification{.id = {},
                                          .event_id = {.hi = 1, .lo = 2},
                                          .rule = "hot",
                                          .event_type = "telemetry",
                                          .subject = "Boiler 7 is too hot",
                                          .body = "temperature 93.5 °C in hall 4, since 10:42",
                                          .traceparent = {}};
  for (auto _ : state) benchmark::DoNotOptimize(log_line("operations", notification, 4096));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(format_log_line);

}  // namespace
}  // namespace tocsin::deliver
