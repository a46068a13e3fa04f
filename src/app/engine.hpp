#pragma once
// The wiring: builds the stages, connects them, starts their threads, reloads, drains.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <tocsin/result.hpp>

#include "base/log.hpp"
#include "control/config/config.hpp"
#include "flow/memory_plan.hpp"
#include "flow/session_store.hpp"
#include "io/dns/resolver.hpp"
#include "io/io.hpp"

namespace tocsin::app {

/// What the engine takes from outside, so that tests can run it on a simulated world.
struct Environment {
  std::function<Result<std::unique_ptr<io::Io>, std::string>(const io::IoOptions&)> make_io;
  std::shared_ptr<io::Resolver> resolver;
  Log log;
  /// Writes to standard output without waiting; false when its buffer is full. Any thread.
  std::function<bool(std::string_view)> print;
  std::uint32_t processors = 1;
  std::uint64_t files_max = UINT64_MAX;  ///< Descriptors that the process may have.
  /// Says whether nobody listens on an endpoint; an error is a sentence. Null: not asked.
  std::function<Result<void, std::string>(const io::Endpoint&)> probe_port{};
  /// Where MQTT sessions are kept; outlives the engine. Null: a database in the data directory.
  flow::SessionStore* session_store = nullptr;
};

/// Where a started engine can be reached.
struct Listening {
  std::vector<io::Endpoint> http;
  std::vector<io::Endpoint> mqtt;
  std::vector<io::Endpoint> http_tls;
  std::vector<io::Endpoint> mqtt_tls;
};

class Engine {
 public:
  /// Builds everything and recovers the data directory. The error is one sentence for people.
  [[nodiscard]] static Result<std::unique_ptr<Engine>, std::string> create(
      const config::EngineConfig& config, Environment environment);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  /// Stops at once what drain() has not ended.
  ~Engine();

  /// Listens, then starts the threads. Once.
  [[nodiscard]] Result<Listening, std::string> start();
  /// The same without threads of its own: the caller turns the single loop (threads = 1 only).
  [[nodiscard]] Result<Listening, std::string> start_on_caller();
  void turn(MonoTime latest);

  /// Publishes new sources, rules and channels; what needs a restart stays and is named in the log.
  /// The configuration was checked. The error leaves everything as it was.
  [[nodiscard]] Result<void, std::string> reload(const config::EngineConfig& config);

  struct Unfinished {
    std::uint64_t notifications = 0;  ///< Created and neither sent nor given up.
    std::uint64_t blocks = 0;         ///< Of events, not processed to their end.
  };
  /// What ending now would leave to the next start. Any thread, also during drain().
  [[nodiscard]] Unfinished unfinished() const;

  /// Stops accepting, finishes what is in flight, stores the rest, and ends the threads. True when
  /// everything ended within `timeout`.
  bool drain(Duration timeout);

  [[nodiscard]] const flow::MemoryPlan& memory() const noexcept;
  [[nodiscard]] const flow::ThreadPlan& threads() const noexcept;
  /// The Prometheus text. Any thread.
  [[nodiscard]] std::string metrics_text() const;
  /// One metric's value, summed over threads. Any thread.
  [[nodiscard]] double metric(std::string_view name, std::string_view labels = {}) const;

 private:
  struct Parts;
  explicit Engine(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace tocsin::app
