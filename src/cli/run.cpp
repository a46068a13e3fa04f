#include <malloc.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include <fmt/format.h>

#include "app/engine.hpp"
#include "app/printer.hpp"
#include "base/errno_text.hpp"
#include "cli/command.hpp"
#include "control/config/units.hpp"
#include "io/backends.hpp"
#include "io/posix/sockets.hpp"

namespace tocsin::cli {
namespace {

constexpr std::size_t print_buffer_bytes = std::size_t{1} << 20U;

struct RunArguments {
  std::string config_path;
  std::string data;
  std::string io;
};

void apply_overrides(const RunArguments& arguments, config::EngineConfig& config) {
  if (!arguments.data.empty()) config.server.set_text("data", arguments.data);
  if (!arguments.io.empty()) config.server.set_text("io", arguments.io);
}

Result<config::EngineConfig, int> load_config(const RunArguments& arguments) {
  auto config = arguments.config_path.empty()
                    ? config::parse(config::embedded_defaults(), "embedded defaults")
                    : config::load(arguments.config_path);
  if (!config) {
    for (const auto& problem : config.error()) {
      fmt::print(stderr, "{}\n", config::to_string(problem));
    }
    return Unexpected{static_cast<int>(exit_usage)};
  }
  apply_overrides(arguments, *config);
  return std::move(*config);
}

sigset_t block_signals() {
  // Blocked before any thread exists, so that all inherit it and only this one receives them.
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  return set;
}

// Distributions start processes with 1024 descriptors and allow far more on request.
std::uint64_t raise_file_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

// Buffers of connections that have to wait come and go with every turn. Handing their pages back to
// the kernel each time, and faulting them in again, took a sixth of a flood's processor time. What
// is kept was planned for those buffers.
void keep_freed_memory(std::size_t planned_bytes) {
#ifdef M_TRIM_THRESHOLD
  constexpr std::size_t kept_bytes_max = std::size_t{4} << 20U;
  // In this order: setting any of them ends the allocator's own adapting. Half a mebibyte is the
  // most that some 32-bit ones take.
  if (mallopt(M_MMAP_THRESHOLD, 512 * 1024) != 1) return;
  mallopt(M_TRIM_THRESHOLD, static_cast<int>(std::min(planned_bytes, kept_bytes_max)));
#endif
}

Result<void, std::string> probe_port(const io::Endpoint& endpoint) {
  if (endpoint.port == 0) return {};
  if (const auto socket = io::posix::open_listener(endpoint, false); !socket) {
    return Unexpected{fmt::format("cannot listen on {}: {}", io::to_string(endpoint),
                                  errno_text(socket.error()))};
  }
  return {};
}

std::string endpoints_text(const std::vector<io::Endpoint>& endpoints) {
  std::string text;
  for (const io::Endpoint& endpoint : endpoints) {
    if (!text.empty()) text += ", ";
    text += io::to_string(endpoint);
  }
  return text.empty() ? "off" : text;
}

std::string tls_line(std::string_view name, const std::vector<io::Endpoint>& endpoints) {
  return endpoints.empty() ? std::string()
                           : fmt::format("  {:<8}{}\n", name, endpoints_text(endpoints));
}

std::string first_lines(const app::Engine& engine, const app::Listening& listening,
                        const config::EngineConfig& config) {
  std::string text = fmt::format(
      "tocsin {}\n  HTTP    {}\n  MQTT    {}\n{}{}  data    {}\n  memory  at most {}, {} "
      "thread{}\n",
      TOCSIN_VERSION, endpoints_text(listening.http), endpoints_text(listening.mqtt),
      tls_line("HTTPS", listening.http_tls), tls_line("MQTTS", listening.mqtt_tls),
      config.server.text("data"),
      config::format_bytes(static_cast<std::int64_t>(engine.memory().total_bytes >> 20U << 20U)),
      engine.threads().threads(), engine.threads().threads() == 1 ? "" : "s");
  if (!listening.mqtt.empty()) {
    text += fmt::format(
        "Try:\n  mosquitto_pub -h 127.0.0.1 -p {} -q 1 -t devices/boiler-7/telemetry "
        "-m '{{\"temperature\":93.5}}'\n",
        listening.mqtt.front().port);
  }
  if (!listening.http.empty()) {
    text += fmt::format(
        "  curl -s http://127.0.0.1:{}/api/events -H 'Content-Type: application/json' "
        "-d '{{\"event\":\"order_created\",\"payload\":{{\"order_id\":444,\"customer_email\":"
        "\"john@example.com\",\"total\":99.99}}}}'\n",
        listening.http.front().port);
  }
  return text;
}

void reload(app::Engine& engine, const RunArguments& arguments, const Log& log) {
  if (arguments.config_path.empty()) {
    log->info("reload: nothing to do, running on embedded defaults");
    return;
  }
  auto config = config::load(arguments.config_path);
  if (!config) {
    for (const auto& problem : config.error()) log->error("{}", config::to_string(problem));
    log->error("reload refused; the old configuration runs on");
    return;
  }
  apply_overrides(arguments, *config);
  if (auto done = engine.reload(*config); !done) {
    log->error("reload refused: {}; the old configuration runs on", done.error());
    return;
  }
  log->info("reloaded {}", arguments.config_path);
}

/// While it lives, SIGTERM or SIGINT ends the process at once: who sends a second one does not want
/// to wait for the drain. In the first second it is taken for an echo of the first one: terminals
/// and supervisors signal a process and its group.
class ImpatientEnd {
 public:
  ImpatientEnd(const app::Engine& engine, app::Printer& printer, Log log)
      : engine_(engine),
        printer_(printer),
        log_(std::move(log)),
        armed_at_(std::chrono::steady_clock::now() + std::chrono::seconds{1}),
        thread_([this] { watch(); }) {}
  ImpatientEnd(const ImpatientEnd&) = delete;
  ImpatientEnd& operator=(const ImpatientEnd&) = delete;
  ~ImpatientEnd() {
    drained_ = true;
    pthread_kill(thread_.native_handle(), SIGINT);
    thread_.join();
  }

 private:
  void watch() {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGTERM, SIGINT}) sigaddset(&set, signal);
    int signal = 0;
    do {
      sigwait(&set, &signal);
      if (drained_) return;
    } while (std::chrono::steady_clock::now() < armed_at_);
    const auto left = engine_.unfinished();
    log_->error(
        "ended at once by a second {}: {} notifications and {} blocks of events are unfinished; "
        "what is stored begins again at the next start",
        signal == SIGINT ? "SIGINT" : "SIGTERM", left.notifications, left.blocks);
    printer_.stop();  // What it took counts as delivered.
    log_->flush();
    std::_Exit(exit_failed);
  }

  const app::Engine& engine_;
  app::Printer& printer_;
  Log log_;
  std::chrono::steady_clock::time_point armed_at_;
  std::atomic<bool> drained_{false};
  std::thread thread_;  // Last: it uses the others.
};

bool drain(app::Engine& engine, app::Printer& printer, const config::EngineConfig& config,
           const Log& log) {
  const ImpatientEnd impatient_end(engine, printer, log);
  log->info("draining; a second signal ends at once");
  return engine.drain(std::chrono::milliseconds(config.server.number("drain_timeout_ms")));
}

int run(const RunArguments& arguments) {
  const sigset_t signals = block_signals();
  auto config = load_config(arguments);
  if (!config) return config.error();
  const Log log = make_log(config->server.text("log_level"));
  const auto backend = io::choose_backend(config->server.text("io"));
  if (!backend) {
    fmt::print(stderr, "{}\n", backend.error());
    return exit_failed;
  }
  if (backend->backend != io::Backend::uring) {
    log->info("I/O by {}: {}", io::to_string(backend->backend), backend->why);
  }
  auto resolver = io::make_resolver({});
  if (!resolver) {
    fmt::print(stderr, "{}\n", resolver.error());
    return exit_failed;
  }
  auto printer = std::make_unique<app::Printer>(STDOUT_FILENO, print_buffer_bytes);
  app::Environment environment{
      .make_io =
          [&](const io::IoOptions& options) { return io::make_io(backend->backend, options); },
      .resolver = std::move(*resolver),
      .log = log,
      .print = [&](std::string_view t) { return printer->print(t); },
      .processors = std::max(1U, std::thread::hardware_concurrency()),
      .files_max = raise_file_limit(),
      .probe_port = probe_port};
  auto engine = app::Engine::create(*config, std::move(environment));
  if (!engine) {
    fmt::print(stderr, "{}\n", engine.error());
    return exit_failed;
  }
  keep_freed_memory((*engine)->memory().carry_bytes);
  const auto listening = (*engine)->start();
  if (!listening) {
    fmt::print(stderr, "{}\n", listening.error());
    return exit_failed;
  }
  [[maybe_unused]] const bool shown = printer->print(first_lines(**engine, *listening, *config));
  for (;;) {
    int signal = 0;
    sigwait(&signals, &signal);
    if (signal != SIGHUP) break;
    reload(**engine, arguments, log);
  }
  if (!drain(**engine, *printer, *config, log)) {
    log->warn("not everything ended in time; what is unfinished begins again at the next start");
    printer->stop();
    log->flush();
    // The engine is not quiet, so nothing of it may be destroyed.
    std::_Exit(exit_ok);
  }
  return exit_ok;
}

}  // namespace

void add_run(CLI::App& app, int& status) {
  CLI::App* command = app.add_subcommand("run", "Run the engine");
  auto arguments = std::make_shared<RunArguments>();
  command->add_option("--config", arguments->config_path,
                      "Configuration (TOML); embedded defaults when not given");
  command->add_option("--data", arguments->data, "Data directory; overrides the configuration");
  command
      ->add_option("--io", arguments->io,
                   "Kind of I/O: auto, uring, uring-single or epoll; overrides the configuration")
      ->check(CLI::IsMember({"auto", "uring", "uring-single", "epoll"}));
  command->callback([&status, arguments] { status = run(*arguments); });
}

}  // namespace tocsin::cli
