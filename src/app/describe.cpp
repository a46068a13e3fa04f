// What the engine shows of itself: metrics and readiness.

#include <unistd.h>

#include <cstdio>
#include <fstream>

#include <fmt/format.h>

#include "app/parts.hpp"

namespace tocsin::app {
namespace {

double resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t size = 0;
  std::uint64_t resident = 0;
  statm >> size >> resident;
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

}  // namespace

void Engine::Parts::collect_metric_sources() {
  for (const Reactor& reactor : reactors) {
    metric_sources.push_back(reactor.decode.get());
    metric_sources.push_back(reactor.http.get());
    metric_sources.push_back(reactor.mqtt.get());
    metric_sources.push_back(reactor.deliver.get());
    if (reactor.tls != nullptr) metric_sources.push_back(reactor.tls.get());
    for (const auto& subscription : reactor.subscriptions) {
      metric_sources.push_back(subscription.get());
    }
  }
  for (const auto& worker : workers) metric_sources.push_back(worker.get());
  metric_sources.push_back(hub.get());
  metric_sources.push_back(auth.get());
  if (connection_limits != nullptr) metric_sources.push_back(connection_limits.get());
  metric_sources.push_back(quotas.get());
  metric_sources.push_back(journal.get());
  metric_sources.push_back(ledger.get());
  if (database != nullptr) metric_sources.push_back(database.get());
}

void Engine::Parts::describe(MetricSink& sink) const {
  for (const MetricSource* source : metric_sources) source->describe(sink);
  sink.gauge("tocsin_info", "Version, as a label.", {{"version", TOCSIN_VERSION}}, 1);
  sink.gauge("tocsin_batches", "Batches in the pool.", {{"state", "all"}},
             static_cast<double>(batches->count()));
  sink.gauge("tocsin_batches", "Batches in the pool.", {{"state", "free"}},
             static_cast<double>(batches->available()));
  sink.gauge("tocsin_notifications_pooled", "Notifications in the pool.", {{"state", "all"}},
             static_cast<double>(notifications->count()));
  sink.gauge("tocsin_notifications_pooled", "Notifications in the pool.", {{"state", "used"}},
             static_cast<double>(notifications->in_use()));
  if (const std::int64_t expires_s = certificate_expires_s; expires_s != 0) {
    sink.gauge("tocsin_tls_certificate_expiry_timestamp_seconds",
               "When the server's certificate expires, in seconds since 1970.", {},
               static_cast<double>(expires_s));
  }
  sink.gauge("tocsin_memory_ceiling_bytes", "The most that the process may use.", {},
             static_cast<double>(memory.total_bytes));
  sink.gauge("process_resident_memory_bytes", "Resident memory.", {}, resident_bytes());
}

std::vector<api::ComponentState> Engine::Parts::readiness() const {
  const bool serving = started && !draining;
  const std::size_t free = batches->available();
  std::vector<api::ComponentState> components{
      {.name = "engine",
       .ready = serving,
       .detail = draining ? "draining" : (started ? "running" : "starting")},
      {.name = "journal",
       .ready = journal->writable(),
       .detail = journal->writable() ? "writing" : "the last commit failed"},
      {.name = "batches",
       .ready = free > 0,
       .detail = fmt::format("{} of {} free", free, batches->count())},
  };
  if (database != nullptr) {
    // Events are stored by the journal: they go on without it.
    components.push_back({.name = "sessions",
                          .ready = database->writable(),
                          .detail = database->writable() ? "writing" : "the last commit failed",
                          .required = false});
  }
  for (const Reactor& reactor : reactors) {
    for (const auto& subscription : reactor.subscriptions) {
      // A broker that is away is no reason to turn away those who reach our own listeners.
      components.push_back({.name = "subscription " + subscription->name(),
                            .ready = subscription->subscribed(),
                            .detail = subscription->subscribed() ? "subscribed" : "not subscribed",
                            .required = false});
    }
  }
  return components;
}

}  // namespace tocsin::app
