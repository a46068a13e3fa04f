#include "tests/sim/engine_rig.hpp"

#include <algorithm>
#include <charconv>
#include <sstream>

#include <gtest/gtest.h>

#include "flow/intake.hpp"
#include "tests/sim/engine_io.hpp"
#include "tests/support/bury.hpp"

namespace tocsin::sim_test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::string_view configuration = R"(
[server]
data = "data"
threads = 1
memory_max = "64MiB"
egress_allow = ["10.9.0.0/16"]

[http]
listen = "127.0.0.1:8080"

[mqtt]
listen = "127.0.0.1:1883"

[journal]
segment_size = "1MiB"
cursor_interval_ms = 200

[[source]]
name = "telemetry"
topic = "devices/{device}/telemetry"

[[source]]
name = "order_created"

[[channel]]
name = "hook"
type = "webhook"
url = "http://hooks.test/in"
plain_http = true
format = "raw"
attempt_timeout_ms = "1s"
attempts_max = 100
retry_schedule = "200ms,500ms,1s"
connections_max = 4

[[channel]]
name = "note"
type = "mqtt"
attempts_max = 100
retry_schedule = "200ms,500ms,1s"

[[rule]]
name = "alarm"
source = "telemetry"
pattern = { alarm = [true] }
channel = "hook"
body = "{{n}}"

[[rule]]
name = "order"
source = "order_created"
channel = "hook"
body = "{{n}}"

[[rule]]
name = "tell"
source = "telemetry"
pattern = { alarm = [true] }
channel = "note"
body = "{{n}}"
)";

class FakeResolver final : public io::Resolver {
 public:
  void resolve(const std::string& host, std::uint16_t port, io::ResolveCallback callback) override {
    if (host != "hooks.test") return callback(Unexpected{io::ResolveError::not_found});
    io::Endpoint endpoint = EngineRig::hook_endpoint();
    endpoint.port = port;
    callback(std::vector{endpoint});
  }
  void stop() noexcept override {}
};

config::EngineConfig engine_config(bool single_commits, bool forgets) {
  static const config::EngineConfig parsed_once = [] {
    auto parsed = config::parse(configuration, "sim.toml");
    for (std::size_t i = 0; !parsed && i < parsed.error().size(); ++i) {
      ADD_FAILURE() << config::to_string(parsed.error()[i]);
    }
    return std::move(*parsed);
  }();
  config::EngineConfig config = parsed_once;
  if (single_commits) config.journal.set_number("commit_inflight_max", 1);
  if (forgets) {
    config.journal.set_number("segment_size", 16 * 1024);
    config.journal.set_number("retention_bytes", 64 * 1024);
  }
  return config;
}

}  // namespace

// --- metrics

MetricsNow::MetricsNow(const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t space = line.rfind(' ');
    if (line.starts_with('#') || space == std::string::npos) continue;
    series_[line.substr(0, space)] = std::stod(line.substr(space + 1));
  }
}

double MetricsNow::sum(std::string_view name, std::string_view part) const {
  double sum = 0;
  for (auto it = series_.lower_bound(name); it != series_.end(); ++it) {
    const std::string_view key = it->first;
    if (!key.starts_with(name)) break;
    const std::string_view labels = key.substr(name.size());
    if (!labels.empty() && labels.front() != '{') continue;
    if (labels.find(part) != std::string_view::npos) sum += it->second;
  }
  return sum;
}

// --- the world

io::Endpoint EngineRig::mqtt_endpoint() { return *io::parse_endpoint("127.0.0.1:1883"); }
io::Endpoint EngineRig::http_endpoint() { return *io::parse_endpoint("127.0.0.1:8080"); }
io::Endpoint EngineRig::hook_endpoint() { return *io::parse_endpoint("10.9.0.1:80"); }

EngineRig::EngineRig(std::uint64_t seed, const io::SimFaults& faults)
    : world(seed, faults), random(seed ^ 0x7157), single_commits_(seed % 2 == 1) {
  producers_ = make_peer("producers");
  receivers_ = make_peer("receivers");
  subscribers_ = make_peer("subscribers");
  receiver =
      std::make_unique<WebhookReceiver>(*receivers_.loop, hook_endpoint(), truth, random.next());
  subscriber =
      std::make_unique<NoteSubscriber>(*subscribers_.loop, mqtt_endpoint(), truth, random.next());
  subscriber->start();
}

EngineRig::~EngineRig() {
  if (engine_ != nullptr) {
    world.kill_process();
    bury_engine();
  }
}

EngineRig::Peer EngineRig::make_peer(std::string name) {
  Peer peer{world.make_remote_io(), nullptr};
  peer.loop = std::make_unique<flow::Loop>(*peer.io, std::move(name));
  world.set_turn(*peer.io, [loop = peer.loop.get()] { loop->turn(); });
  return peer;
}

void EngineRig::turn_peers() {
  for (Peer* peer : {&producers_, &receivers_, &subscribers_}) peer->loop->turn(MonoTime::min());
}

void EngineRig::add_device(const MqttDevice::Plan& plan) {
  devices_.push_back(
      std::make_unique<MqttDevice>(*producers_.loop, mqtt_endpoint(), plan, truth, random.next()));
  devices_.back()->start();
}

void EngineRig::add_client(const HttpProducer::Plan& plan) {
  clients_.push_back(std::make_unique<HttpProducer>(*producers_.loop, http_endpoint(), plan, truth,
                                                    random.next()));
  clients_.back()->start();
}

// --- the engine

app::Environment EngineRig::environment() {
  app::Environment environment;
  environment.make_io =
      [this](const io::IoOptions& options) -> Result<std::unique_ptr<io::Io>, std::string> {
    EXPECT_EQ(engine_io_, nullptr) << "threads = 1 needs one Io";
    engine_io_ = world.make_io(options);
    return std::unique_ptr<io::Io>(std::make_unique<BorrowedIo>(*engine_io_, [this] {
      if (draining_) turn_peers();
    }));
  };
  environment.resolver = std::make_shared<FakeResolver>();
  environment.log = make_null_log();
  environment.print = [](std::string_view) { return true; };
  environment.session_store = &sessions;
  return environment;
}

bool EngineRig::start_engine() {
  if (alive()) return true;
  bury_engine();
  auto created = app::Engine::create(engine_config(single_commits_, forgets), environment());
  if (!created) {
    last_error_ = created.error();
    engine_io_.reset();
    return false;
  }
  engine_ = std::move(*created);
  if (const auto listening = engine_->start_on_caller(); !listening) {
    last_error_ = listening.error();
    world.kill_process();
    bury_engine();
    return false;
  }
  world.set_turn(*engine_io_, [this] { engine_->turn(MonoTime::max()); });
  return true;
}

bool EngineRig::stop_engine() {
  if (!alive()) return false;
  draining_ = true;
  const bool drained = engine_->drain(seconds{20});
  draining_ = false;
  if (!alive()) return false;
  if (!drained) {
    // What could not end may be in the middle of a write: the process exits all the same.
    world.kill_process();
    bury_engine();
    return false;
  }
  check_accounting(false);
  engine_.reset();
  engine_io_.reset();
  return true;
}

void EngineRig::bury_engine() {
  test::bury(std::move(engine_));
  engine_io_.reset();
}

void EngineRig::heal() {
  world.faults() = io::SimFaults{};
  world.clear_file_faults();
  world.power_cut_after_bytes(UINT64_MAX);
  world.heal_all();
  world.set_wall_trusted(true);
  receiver->weights = {1};
}

bool EngineRig::producers_done() const {
  const auto done = [](const auto& producer) { return producer->done(); };
  return std::all_of(devices_.begin(), devices_.end(), done) &&
         std::all_of(clients_.begin(), clients_.end(), done);
}

bool EngineRig::quiet() const {
  if (!alive() || !producers_done()) return false;
  const MetricsNow now = metrics();
  return now.sum("tocsin_notifications_pending") == 0 &&
         now.sum("tocsin_ledger_unsettled_blocks") == 0 &&
         now.sum("tocsin_ledger_cursor") == now.sum("tocsin_journal_last_sequence");
}

bool EngineRig::run_until_quiet(Duration limit) {
  const MonoTime end = world.now() + limit;
  while (world.now() < end) {
    world.run_for(milliseconds{250});
    if (quiet()) return true;
  }
  return false;
}

// --- the accounting

void EngineRig::check_accounting(bool quiet) const {
  const MetricsNow now = metrics();
  const double refused = now.sum("tocsin_events_refused_total");
  const double not_stored = now.sum("tocsin_events_refused_total", "reason=\"commit_failed\"");
  const double decoded = now.sum("tocsin_events_decoded_total");
  const double acknowledged = now.sum("tocsin_events_acknowledged_total");
  EXPECT_EQ(now.sum("tocsin_events_received_total"), decoded + refused - not_stored);
  EXPECT_GE(decoded, acknowledged + not_stored);
  const double routed = now.sum("tocsin_notifications_routed_total");
  EXPECT_EQ(now.sum("tocsin_notification_targets_total"),
            routed + now.sum("tocsin_notifications_suppressed_total") +
                now.sum("tocsin_notifications_merged_total"));
  const double created = now.sum("tocsin_notifications_created_total");
  EXPECT_GE(routed, created);
  EXPECT_EQ(created, now.sum("tocsin_notifications_sent_total") +
                         now.sum("tocsin_notifications_dead_total") +
                         now.sum("tocsin_notifications_cancelled_total") +
                         now.sum("tocsin_notifications_expired_total") +
                         now.sum("tocsin_notifications_pending"));
  if (!quiet) return;
  EXPECT_EQ(decoded, acknowledged + not_stored);
  EXPECT_EQ(now.sum("tocsin_journal_appended_events_total"), acknowledged);
  EXPECT_EQ(routed, created);
  EXPECT_EQ(now.sum("tocsin_notifications_pending"), 0);
  EXPECT_EQ(now.sum("tocsin_notifications_pooled", "used"), 0);
}

}  // namespace tocsin::sim_test
