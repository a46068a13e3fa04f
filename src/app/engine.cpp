#include "app/engine.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "app/parts.hpp"
#include "control/metrics/exposition.hpp"

namespace tocsin::app {

namespace {

// The options of [auth] without those that a reload applies.
std::pair<OptionValues, OptionValues> started_with(OptionValues before, OptionValues after) {
  for (OptionValues* const values : {&before, &after}) {
    values->set_number("allow_anonymous", 0);
    values->set_list("anonymous_publish", {});
    values->set_list("anonymous_subscribe", {});
  }
  return {std::move(before), std::move(after)};
}

}  // namespace

Engine::Engine(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Engine::~Engine() {
  parts_->threads.stop();
  if (parts_->auth != nullptr) parts_->auth->stop();
  // Its answers are posted to loops, which are about to end.
  if (parts_->environment.resolver != nullptr) parts_->environment.resolver->stop();
  // After a drain that ran out of time operations still refer to the parts. The process is about to
  // end: its memory goes with it, and nothing waits for a peer that does not answer.
  if (!parts_->quiet) static_cast<void>(parts_.release());
}

Result<std::unique_ptr<Engine>, std::string> Engine::create(const config::EngineConfig& config,
                                                            Environment environment) {
  auto parts = std::make_unique<Parts>();
  parts->environment = std::move(environment);
  parts->config = config;
  if (auto built = parts->build(); !built) return Unexpected{built.error()};
  return std::unique_ptr<Engine>(new Engine(std::move(parts)));
}

Result<Listening, std::string> Engine::start_on_caller() {
  auto listening = parts_->listen();
  if (!listening) return listening;
  if (parts_->database != nullptr) parts_->database->start();
  parts_->ledger->start();
  parts_->journal->start();
  parts_->started = true;
  parts_->quiet = false;
  return listening;
}

Result<Listening, std::string> Engine::start() {
  auto listening = start_on_caller();
  if (listening) parts_->threads.start(parts_->config.server.flag("pin_threads"));
  return listening;
}

void Engine::turn(MonoTime latest) { parts_->threads.turn(latest); }

Result<void, std::string> Engine::reload(const config::EngineConfig& config) {
  auto sources = flow::SourceTable::build(config.sources);
  if (!sources) return Unexpected{sources.error()};
  auto snapshot = RuleSnapshot::compile(config.rules, parts_->seed);
  if (!snapshot) return Unexpected{snapshot.error()};
  auto users = parts_->compile_users(config);
  if (!users) return Unexpected{users.error()};
  const auto contexts = parts_->load_tls(config);
  if (!contexts) return Unexpected{contexts.error()};
  // Channels first: the new rules may name new ones.
  if (auto applied = parts_->apply_channels(config.channels); !applied) return applied;
  parts_->auth->set_users(*users);
  parts_->apply_tls(*contexts);
  for (Reactor& reactor : parts_->reactors) {
    parts_->threads.call(*reactor.loop, [&] { reactor.mqtt->end_revoked(); });
  }
  parts_->quotas->set_sources(config.sources);
  for (Reactor& reactor : parts_->reactors) {
    parts_->threads.call(*reactor.loop, [&] { reactor.decode->set_sources(*sources); });
  }
  for (std::size_t i = 0; i < parts_->workers.size(); ++i) {
    parts_->worker_loops[i]->post({.to = parts_->workers[i].get(),
                                   .kind = Worker::message_snapshot,
                                   .arg = 0,
                                   .object = new Worker::Snapshot(*snapshot)});
  }
  const auto needs_restart = [&](std::string_view section, const auto& before, const auto& after) {
    if (!(before == after)) {
      parts_->environment.log->warn("[{}] has changed: that takes a restart", section);
    }
  };
  needs_restart("server", parts_->config.server, config.server);
  needs_restart("http", parts_->config.http, config.http);
  needs_restart("mqtt", parts_->config.mqtt, config.mqtt);
  needs_restart("quota", parts_->config.quota, config.quota);
  const auto [auth_before, auth_after] = started_with(parts_->config.auth, config.auth);
  needs_restart("auth", auth_before, auth_after);
  needs_restart("journal", parts_->config.journal, config.journal);
  needs_restart("subscription", parts_->config.subscriptions, config.subscriptions);
  parts_->config.users = config.users;
  parts_->config.sources = config.sources;
  parts_->config.rules = config.rules;
  parts_->config.channels = config.channels;
  return {};
}

Engine::Unfinished Engine::unfinished() const {
  metrics::Exposition exposition;
  parts_->describe(exposition);
  const auto count = [&](std::string_view name) {
    return static_cast<std::uint64_t>(std::max(0.0, exposition.total(name)));
  };
  return {.notifications = count("tocsin_notifications_pending"),
          .blocks = count("tocsin_ledger_unsettled_blocks")};
}

bool Engine::drain(Duration timeout) { return parts_->drain(timeout); }

const flow::MemoryPlan& Engine::memory() const noexcept { return parts_->memory; }
const flow::ThreadPlan& Engine::threads() const noexcept { return parts_->thread_plan; }

std::string Engine::metrics_text() const {
  metrics::Exposition exposition;
  parts_->describe(exposition);
  return exposition.text();
}

double Engine::metric(std::string_view name, std::string_view labels) const {
  metrics::Exposition exposition;
  parts_->describe(exposition);
  return exposition.value(name, labels);
}

}  // namespace tocsin::app
