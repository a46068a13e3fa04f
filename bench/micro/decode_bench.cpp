// Decode per envelope, with a flat JSON payload of about 200 bytes.
#include <benchmark/benchmark.h>

#include <chrono>
#include <string>
#include <vector>

#include "cli/bench/workload.hpp"
#include "protocol/json/scanner.hpp"
#include "protocol/json/validator.hpp"
#include "stages/decode/test_rig.hpp"

namespace {

using namespace tocsin;
using decode::test::Padded;
using decode::test::Rig;

const std::string& payload() {
  static const std::string text =
      R"({"device":"sensor-0042","temperature":21.53,"humidity":48.2,"pressure":1013.25,"battery":87,)"
      R"("status":"ok","firmware":"2.14.3","location":"hall 7, rack 12","uptime":864213,"alarm":false})";
  return text;
}

void recycle(Rig& rig) {
  rig.loop.turn();
  while (!rig.sink.batches.empty()) {
    rig.commit();
    rig.loop.turn();
  }
}

void run(benchmark::State& state, const flow::RawEvent& event) {
  Rig rig(8);
  std::int64_t n = 0;
  for (auto _ : state) {
    const auto outcome = rig.stage.add(event, {});
    if (!outcome) return state.SkipWithError("refused");
    if (++n % 256 == 0) recycle(rig);
  }
  state.SetItemsProcessed(n);
}

void decode_device(benchmark::State& state) {
  const Padded text(payload());
  flow::RawEvent event;
  event.envelope = flow::Envelope::device;
  event.payload = text.view();
  event.topic = "devices/sensor-0042/telemetry/room";
  run(state, event);
}
BENCHMARK(decode_device);

struct Refusals final : flow::RefusalSink {
  bool any = false;
  void on_refused(const flow::AckToken&, const flow::Rejection&) noexcept override { any = true; }
};

// What a flood of plain publishes costs: reports of eight shapes, looked into a run at a time, in
// batches that came back from the journal a moment ago (2) or long ago (128).
void decode_runs(benchmark::State& state) {
  const auto shapes = cli::bench::make_shapes(8, 200);
  std::vector<std::string> payloads;
  cli::bench::Stamps stamps;
  for (std::size_t i = 0; i < 1024; ++i) {
    const auto& shape = shapes[i % shapes.size()];
    stamps.fill(payloads.emplace_back(shape.text), shape, MonoTime{std::chrono::seconds{i + 1}});
  }
  Rig rig(static_cast<std::size_t>(state.range(0)));
  // Names the topic as one that is known.
  flow::RawEvent first;
  first.envelope = flow::Envelope::device;
  const Padded text(payload());
  first.payload = text.view();
  first.topic = "devices/sensor-0042/telemetry/room";
  if (!rig.stage.add(first, {})) return state.SkipWithError("refused");
  Refusals refusals;
  std::int64_t n = 0;
  for (auto _ : state) {
    flow::PlainEvent event;
    event.topic = first.topic;
    event.payload = payloads[static_cast<std::size_t>(n) % payloads.size()];
    const auto taken = rig.stage.take(event, {}, refusals);
    if (taken != flow::Taken::yes) return state.SkipWithError("not taken");
    if (++n % 256 != 0) continue;
    rig.loop.turn();
    while (rig.sink.batches.size() + 4 > static_cast<std::size_t>(state.range(0))) {
      rig.commit();
      rig.loop.turn();
    }
  }
  if (refusals.any) state.SkipWithError("refused");
  state.SetItemsProcessed(n);
}
BENCHMARK(decode_runs)->Arg(8)->Arg(128);

void decode_api(benchmark::State& state) {
  const Padded text(R"({"event":"order_created","payload":)" + payload() + '}');
  flow::RawEvent event;
  event.envelope = flow::Envelope::api;
  event.payload = text.view();
  run(state, event);
}
BENCHMARK(decode_api);

void decode_cloudevents_structured(benchmark::State& state) {
  const Padded text(
      R"({"specversion":"1.0","id":"A234-1234-1234","source":"/shop/7","type":"order_created",)"
      R"("time":"2024-04-05T17:31:00Z","subject":"order/7","data":)" +
      payload() + '}');
  flow::RawEvent event;
  event.envelope = flow::Envelope::cloudevents;
  event.payload = text.view();
  run(state, event);
}
BENCHMARK(decode_cloudevents_structured);

void decode_cloudevents_binary(benchmark::State& state) {
  const Padded text(payload());
  const std::array<flow::Field, 6> fields{{{"specversion", "1.0"},
                                           {"id", "A234-1234-1234"},
                                           {"source", "/shop/7"},
                                           {"type", "order_created"},
                                           {"time", "2024-04-05T17:31:00Z"},
                                           {"subject", "order/7"}}};
  flow::RawEvent event;
  event.envelope = flow::Envelope::cloudevents_binary;
  event.payload = text.view();
  event.content_type = "application/json";
  event.attributes = fields;
  run(state, event);
}
BENCHMARK(decode_cloudevents_binary);

struct NoVerdicts final : flow::EntryVerdicts {
  flow::AckToken token(std::uint32_t) noexcept override { return {}; }
  void on_entry(std::uint32_t, const Result<flow::Accepted, flow::Rejection>&) noexcept override {}
};

void decode_array_of_100(benchmark::State& state) {
  constexpr int entries = 100;
  std::string body = "[";
  for (int i = 0; i < entries; ++i) {
    body += i == 0 ? "" : ",";
    body += R"({"event":"order_created","payload":)" + payload() + '}';
  }
  const Padded text(body + ']');
  flow::RawEvent event;
  event.payload = text.view();
  Rig rig(8);
  NoVerdicts verdicts;
  std::int64_t n = 0;
  for (auto _ : state) {
    const auto count = rig.stage.add_all(event, flow::BatchForm::array, verdicts);
    if (!count) return state.SkipWithError("refused");
    n += entries;
    recycle(rig);
  }
  state.SetItemsProcessed(n);
}
BENCHMARK(decode_array_of_100);

void json_validate(benchmark::State& state) {
  const Padded text(payload());
  json::Validator validator(4096);
  for (auto _ : state) benchmark::DoNotOptimize(validator.validate(text.view()));
}
BENCHMARK(json_validate);

void json_scan_batch(benchmark::State& state) {
  constexpr std::int64_t documents = 256;
  std::string joined;
  for (std::int64_t i = 0; i < documents; ++i) joined += payload() + '\n';
  const Padded text(joined);
  json::StructuralScanner scanner(joined.size());
  for (auto _ : state) benchmark::DoNotOptimize(scanner.scan(text.view()));
  state.SetItemsProcessed(state.iterations() * documents);
}
BENCHMARK(json_scan_batch);

void json_walk_members(benchmark::State& state) {
  const Padded text(payload());
  json::Validator validator(4096);
  const auto document = validator.validate(text.view());
  for (auto _ : state) benchmark::DoNotOptimize(document->root().find("alarm"));
}
BENCHMARK(json_walk_members);

}  // namespace
