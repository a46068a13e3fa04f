#pragma once
// A whole engine in a simulated world with everybody around it: producers, a webhook's receiver and
// a subscriber. Ends with counting by id (see check()).

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "app/engine.hpp"
#include "flow/loop.hpp"
#include "io/sim/sim_io.hpp"
#include "io/sim/sim_world.hpp"
#include "tests/sim/engine_http_peer.hpp"
#include "tests/sim/engine_mqtt_peer.hpp"
#include "tests/sim/engine_truth.hpp"
#include "tests/support/memory_session_store.hpp"

namespace tocsin::sim_test {

/// Everything that an engine's metrics say at one moment.
class MetricsNow {
 public:
  explicit MetricsNow(const std::string& text);
  /// Sum over the series of this name whose labels contain `part`.
  [[nodiscard]] double sum(std::string_view name, std::string_view part = {}) const;

 private:
  std::map<std::string, double, std::less<>> series_;
};

class EngineRig {
 public:
  /// Odd seeds let the journal have one group commit under way at a time, even ones two.
  explicit EngineRig(std::uint64_t seed, const io::SimFaults& faults = {});
  EngineRig(const EngineRig&) = delete;
  EngineRig& operator=(const EngineRig&) = delete;
  ~EngineRig();

  static io::Endpoint mqtt_endpoint();
  static io::Endpoint http_endpoint();
  static io::Endpoint hook_endpoint();

  void add_device(const MqttDevice::Plan& plan);
  void add_client(const HttpProducer::Plan& plan);

  /// Starts an engine if none is alive. False when it could not be: see last_error().
  bool start_engine();
  [[nodiscard]] bool alive() const noexcept { return engine_ != nullptr && !engine_io_->dead(); }
  [[nodiscard]] const std::string& last_error() const noexcept { return last_error_; }
  /// SIGTERM: drains, while the others go on, and destroys the engine. False when the engine is
  /// dead afterwards or did not end in time.
  bool stop_engine();
  /// After kill or power cut: leaves the dead engine behind.
  void bury_engine();

  /// Lets the world run until all producers are done and nothing is under way. False at the limit.
  [[nodiscard]] bool run_until_quiet(Duration limit = std::chrono::minutes{3});
  /// No more faults of any kind; everybody is well again.
  void heal();
  /// The identities of the accounting. `quiet`: with nothing in flight.
  void check_accounting(bool quiet) const;
  /// Heals, lets everything end, restarts once more, sends a fresh event, and counts.
  void finish();
  [[nodiscard]] MetricsNow metrics() const { return MetricsNow(engine_->metrics_text()); }

  io::SimWorld world;
  io::SimRandom random;
  Truth truth;
  /// The disk refused something: who sends several events at once cannot count on their order.
  bool disk_failed = false;
  /// The power was cut: of two commits under way the second alone may have survived.
  bool power_failed = false;
  /// The journal keeps the last few events only. Set before the first start.
  bool forgets = false;
  /// What engines keep of MQTT sessions, from one to the next.
  testing::MemorySessionStore sessions;
  std::unique_ptr<WebhookReceiver> receiver;
  std::unique_ptr<NoteSubscriber> subscriber;

  struct Stored {
    std::uint64_t sequence;
    std::string name;
    std::string payload;
  };
  /// Reads the journal's files as a restart would. Only without a living engine.
  [[nodiscard]] std::vector<Stored> read_journal();
  [[nodiscard]] std::vector<std::string> read_dead_letters();

 private:
  struct Peer {
    std::unique_ptr<io::SimIo> io;
    std::unique_ptr<flow::Loop> loop;
  };
  Peer make_peer(std::string name);
  void turn_peers();
  [[nodiscard]] bool producers_done() const;
  [[nodiscard]] bool quiet() const;
  void check_order(const std::vector<Stored>& stored) const;
  void check_deliveries(const std::vector<Stored>& stored);
  void check_acknowledged(const std::set<std::string>& stored) const;
  [[nodiscard]] app::Environment environment();

  const bool single_commits_;

  Peer producers_;
  Peer receivers_;
  Peer subscribers_;
  std::vector<std::unique_ptr<MqttDevice>> devices_;
  std::vector<std::unique_ptr<HttpProducer>> clients_;
  std::unique_ptr<io::SimIo> engine_io_;
  std::unique_ptr<app::Engine> engine_;
  bool draining_ = false;
  std::string last_error_;
};

}  // namespace tocsin::sim_test
