// Builds the engine's parts, in the order in which they depend on each other.

#include <bit>
#include <cerrno>

#include <fmt/format.h>

#include "app/parts.hpp"
#include "base/errno_text.hpp"
#include "base/hash.hpp"
#include "control/config/units.hpp"
#include "control/metrics/exposition.hpp"
#include "stages/ingress/subscription/check.hpp"

namespace tocsin::app {
namespace {

std::uint64_t random_seed(io::Io& io) {
  std::uint64_t seed = 0;
  io.random(std::as_writable_bytes(std::span{&seed, 1}));
  return seed;
}

// A new directory survives a power cut only once the one above it was synced. Which of them are new
// nobody knows; those that we may not open or sync were there before us.
Result<void, io::Errno> sync_ancestors(io::Io& io, std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  for (;;) {
    const std::size_t slash = path.rfind('/');
    const bool top = slash == std::string::npos || slash == 0;
    path = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
    const auto synced = io.sync_directory(path);
    const bool foreign = !synced && (synced.error() == EACCES || synced.error() == EPERM ||
                                     synced.error() == EROFS || synced.error() == EINVAL);
    if (!synced && !foreign) return synced;
    if (top) return {};
  }
}

Result<io::EgressPolicy, std::string> egress_policy(const std::vector<std::string>& allowed) {
  std::vector<io::Network> networks;
  for (const std::string& text : allowed) {
    const auto network = io::parse_network(text);
    if (!network) return Unexpected{fmt::format("egress_allow: \"{}\" is not a network", text)};
    networks.push_back(*network);
  }
  return io::EgressPolicy(std::move(networks));
}

}  // namespace

Result<void, std::string> Engine::Parts::build() {
  using Step = Result<void, std::string> (Parts::*)();
  for (const Step step : {&Parts::plan, &Parts::make_loops, &Parts::prepare_data, &Parts::compile,
                          &Parts::open_session_store}) {
    if (auto done = (this->*step)(); !done) return done;
  }
  router = std::make_unique<api::StatusRouter>(
      api::StatusSources{.metrics =
                             [this] {
                               metrics::Exposition exposition;
                               describe(exposition);
                               return exposition.text();
                             },
                         .readiness = [this] { return readiness(); }});
  for (std::uint32_t i = 0; i < thread_plan.reactors; ++i) {
    if (auto made = make_reactor(i); !made) return made;
  }
  if (auto made = make_auth(); !made) return made;
  if (auto made = make_tls(); !made) return made;
  if (auto loaded = ingress::load_sessions(*broker, *session_store); !loaded) return loaded;
  make_workers();
  make_journal();
  if (auto applied = apply_channels(config.channels); !applied) return applied;
  if (auto made = make_subscriptions(); !made) return made;
  std::vector<flow::BatchPool::Waiter*> waiters;
  for (Reactor& reactor : reactors) waiters.push_back(&reactor.decode->batches());
  batches->set_waiters(std::move(waiters));
  collect_metric_sources();

  if (auto recovered = ledger->recover(); !recovered) return recovered;
  if (auto recovered = journal->recover(); !recovered) return Unexpected{recovered.error()};
  return {};
}

Result<void, std::string> Engine::Parts::plan() {
  const auto threads_wanted = static_cast<std::uint32_t>(config.server.number("threads"));
  const auto memory_max = flow::addressable(config.server.number("memory_max"));
  const auto demands = config::memory_demands(config);
  const auto planned =
      flow::plan_resources(memory_max, threads_wanted, environment.processors, demands);
  if (!planned) {
    return Unexpected{fmt::format("memory_max of {} {}",
                                  config::format_bytes(static_cast<std::int64_t>(memory_max)),
                                  flow::memory_shortage(memory_max, threads_wanted, demands))};
  }
  thread_plan = planned->threads;
  memory = planned->memory;
  flow::limit_descriptors(memory, thread_plan, environment.files_max);
  auto policy = egress_policy(config.server.list("egress_allow"));
  if (!policy) return Unexpected{policy.error()};
  egress = std::move(*policy);
  batches = std::make_unique<flow::BatchPool>(memory.batch_count, memory.batch_size);
  notifications = std::make_unique<flow::NotificationPool>(memory.notification_count);
  notifications->set_body_budget(memory.body_bytes);
  return {};
}

Result<void, std::string> Engine::Parts::make_loops() {
  const auto add = [&](const std::string& name,
                       const io::IoOptions& options) -> Result<flow::Loop*, std::string> {
    auto made = environment.make_io(options);
    if (!made) return Unexpected{made.error()};
    return &threads.add(std::move(*made), name);
  };
  // Loops without sockets need no receive buffers to speak of.
  const io::IoOptions plain{.receive_buffers = 2, .receive_buffer_size = 4096, .streams_max = 16};
  for (std::uint32_t i = 0; i < thread_plan.reactors; ++i) {
    const std::string name = fmt::format("reactor-{}", i);
    auto loop = add(thread_plan.threads() == 1 ? "tocsin" : name, memory.io);
    if (!loop) return Unexpected{loop.error()};
    reactors.emplace_back().loop = *loop;
  }
  journal_loop = reactors.front().loop;
  if (thread_plan.journal_thread) {
    auto loop = add("journal", plain);
    if (!loop) return Unexpected{loop.error()};
    journal_loop = *loop;
  }
  if (!thread_plan.worker_threads) {
    worker_loops = {reactors.front().loop};
    return {};
  }
  for (std::uint32_t i = 0; i < thread_plan.workers; ++i) {
    auto worker_loop = add(fmt::format("worker-{}", i), plain);
    if (!worker_loop) return Unexpected{worker_loop.error()};
    worker_loops.push_back(*worker_loop);
  }
  return {};
}

Result<void, std::string> Engine::Parts::prepare_data() {
  const std::string& data = config.server.text("data");
  io::Io& io = journal_loop->io();
  auto made = io.make_directories(data);
  if (made) made = sync_ancestors(io, data);
  if (!made) {
    return Unexpected{
        fmt::format("cannot create the data directory {}: {}", data, errno_text(made.error()))};
  }
  if (auto locked = io.lock(data + "/lock"); !locked) {
    if (locked.error() == EWOULDBLOCK) {
      return Unexpected{
          fmt::format("the data directory {} is in use by another Tocsin process", data)};
    }
    return Unexpected{
        fmt::format("cannot write to the data directory {}: {}", data, errno_text(locked.error()))};
  }
  seed = random_seed(io);
  return {};
}

Result<void, std::string> Engine::Parts::compile() {
  auto table = flow::SourceTable::build(config.sources);
  if (!table) return Unexpected{table.error()};
  sources = *table;
  auto compiled = RuleSnapshot::compile(config.rules, seed);
  if (!compiled) return Unexpected{compiled.error()};
  snapshot = *compiled;
  auto limits = flow::QuotaTable::Settings::from(config.quota);
  limits.buckets_max =
      std::min(limits.buckets_max, memory.quota_bytes / flow::QuotaTable::bucket_size());
  quotas = std::make_unique<flow::QuotaTable>(limits, hash64("quotas", seed));
  quotas->set_sources(config.sources);
  return {};
}

Result<void, std::string> Engine::Parts::open_session_store() {
  session_store = environment.session_store;
  if (session_store == nullptr) {
    const io::Io& io = journal_loop->io();
    database = std::make_unique<sessions::SqliteSessionStore>(
        sessions::StoreSettings{.path = config.server.text("data") + "/tocsin.db",
                                .queue_bytes_max = memory.store_queue_bytes,
                                .hash_seed = seed,
                                .wall_now = [&io] { return io.wall_now(); },
                                .wall_trusted = io.wall_trusted()},
        environment.log);
    session_store = database.get();
  }
  return {};
}

Result<void, std::string> Engine::Parts::make_reactor(std::uint32_t index) {
  Reactor& reactor = reactors[index];
  if (broker == nullptr) {
    const auto options = config::mqtt_options_of(config);
    // Output of clients, notifications on their way, what waits in sessions, what is retained.
    const std::size_t share = std::min(options.notifications_bytes_max, memory.output_bytes / 4);
    broker = std::make_unique<ingress::BrokerShared>(share);
    hub = std::make_unique<ingress::MqttHub>(share);
  }
  auto http = config::http_options_of(config);
  http.connections_max = std::min(http.connections_max, flow::http_share(memory.connections_max));
  http.body_size_max = std::min(http.body_size_max, memory.body_size_max);
  http.carry_bytes_max = std::min(http.carry_bytes_max, memory.carry_bytes);
  auto mqtt = config::mqtt_options_of(config);
  if (const auto problem = mqtt.check(batches->payload_max()); !problem.empty()) {
    return Unexpected{"mqtt: " + problem};
  }
  mqtt = mqtt.share(thread_plan.reactors);
  mqtt.connections_max = std::min(mqtt.connections_max, flow::mqtt_share(memory.connections_max));
  mqtt.carry_bytes_max = std::min(mqtt.carry_bytes_max, memory.carry_bytes);
  mqtt.retained_bytes_max = std::min(mqtt.retained_bytes_max, memory.output_bytes / 4);
  mqtt.subscriptions_bytes_max = memory.output_bytes / 4;
  // The plan has memory for twice as many connections, of this protocol and others.
  mqtt.sessions_max = std::min<std::size_t>(mqtt.sessions_max, 2UL * mqtt.connections_max);

  reactor.decode = std::make_unique<decode::DecodeStage>(
      *reactor.loop, *batches, gate, sources,
      decode::Settings{
          .reactor = index,
          .event_size_max = static_cast<std::size_t>(config.server.number("event_size_max")),
          .body_size_max = http.body_size_max,
          .quotas = quotas.get()},
      environment.log);
  reactor.http = std::make_unique<ingress::HttpServer>(*reactor.loop, *reactor.decode, http,
                                                       environment.log, *router);
  reactor.http->set_quotas(quotas.get());
  reactor.mqtt = std::make_unique<ingress::MqttServer>(*reactor.loop, *reactor.decode, mqtt,
                                                       environment.log, *broker, hub.get());
  reactor.mqtt->set_session_store(session_store);
  reactor.mqtt->set_quotas(quotas.get());
  return {};
}

void Engine::Parts::make_workers() {
  const std::string& data = config.server.text("data");
  ledger = std::make_unique<ledger::LedgerStage>(
      *journal_loop, data, ledger::Options::from(config.journal),
      memory.batch_count + memory.notification_count, environment.log);
  std::vector<DeliverTarget> targets;
  for (std::size_t i = 0; i < reactors.size(); ++i) {
    Reactor& reactor = reactors[i];
    reactor.deliver = std::make_unique<deliver::DeliverStage>(deliver::StageContext{
        .loop = *reactor.loop,
        .log = environment.log,
        .pool = *notifications,
        .pacing = pacing,
        .outcomes = *ledger,
        .hub = hub.get(),
        .resolver = environment.resolver.get(),
        .egress = &egress,
        .print = environment.print,
        .dead_letters_path = i == 0 ? data + "/dead-letters.ndjson"
                                    : fmt::format("{}/dead-letters-{}.ndjson", data, i)});
    targets.push_back({.loop = reactor.loop,
                       .receiver = reactor.deliver.get(),
                       .kind = deliver::DeliverStage::message_notification});
  }
  for (std::uint32_t i = 0; i < worker_loops.size(); ++i) {
    workers.push_back(std::make_unique<Worker>(
        *worker_loops[i],
        Worker::Shard{.index = i, .count = static_cast<std::uint32_t>(worker_loops.size())},
        *notifications, pacing, targets, snapshot, batches->payload_max()));
  }
}

void Engine::Parts::make_journal() {
  journal::Wiring wiring;
  for (Reactor& reactor : reactors) {
    wiring.reactors.push_back({.loop = reactor.loop,
                               .receiver = &reactor.decode->batches(),
                               .kind = flow::message_batch_committed});
    wiring.subscribers.push_back({.target = {.loop = reactor.loop,
                                             .receiver = reactor.mqtt.get(),
                                             .kind = ingress::MqttServer::message_batch},
                                  .wanted = &reactor.mqtt->router().wanted()});
  }
  for (std::size_t i = 0; i < workers.size(); ++i) {
    wiring.workers.push_back(
        {.loop = worker_loops[i], .receiver = workers[i].get(), .kind = Worker::message_batch});
  }
  journal = std::make_unique<journal::JournalStage>(
      *journal_loop, *batches, *ledger, config.server.text("data"),
      journal::Options::from(config.journal), std::move(wiring), environment.log);
  gate.connect(*journal_loop, *journal);
}

std::vector<flow::ChannelConfig> Engine::Parts::channels_of(
    const std::vector<flow::ChannelConfig>& channels, std::size_t reactor) const {
  // All lanes full at once must leave notifications for the others: a stuck receiver costs its own
  // notifications, never somebody else's.
  // In steps, so that one channel more does not change what the others have, which would be a
  // reason to build them anew.
  const std::size_t shares = std::bit_ceil(std::max<std::size_t>(channels.size(), 1));
  const auto lane_share = static_cast<std::int64_t>(memory.notification_count * 3 / 4 / shares);
  const auto byte_share = static_cast<std::int64_t>(memory.body_bytes * 3 / 4 / shares);
  std::vector<flow::ChannelConfig> own;
  for (const flow::ChannelConfig& channel : channels) {
    if (hash64(channel.name) % reactors.size() != reactor) continue;
    own.push_back(channel);
    OptionValues& delivery = own.back().delivery;
    delivery.set_number("queue_max", std::min(delivery.number("queue_max"), lane_share));
    delivery.set_number("queue_bytes_max",
                        std::min(delivery.number("queue_bytes_max"), byte_share));
  }
  return own;
}

Result<void, std::string> Engine::Parts::apply_channels(
    const std::vector<flow::ChannelConfig>& channels) {
  for (std::size_t i = 0; i < reactors.size(); ++i) {
    Result<void, std::string> applied;
    threads.call(*reactors[i].loop,
                 [&] { applied = reactors[i].deliver->set_channels(channels_of(channels, i)); });
    if (applied) continue;
    // Each stage changes everything or nothing; those before this one go back.
    for (std::size_t k = 0; started && k < i; ++k) {
      threads.call(*reactors[k].loop, [&] {
        static_cast<void>(reactors[k].deliver->set_channels(channels_of(config.channels, k)));
      });
    }
    return applied;
  }
  pace(channels);
  return {};
}

// What is on its way must fit into any lane beside the half that the lane may hold before it asks
// the workers to wait.
void Engine::Parts::pace(const std::vector<flow::ChannelConfig>& channels) {
  constexpr std::size_t part_of_lane = 4;
  // A lane that is given less room than this may overflow: every turn pays for a smaller burst.
  constexpr std::size_t burst_min = 16;
  flow::Pacing::Amount smallest{.notifications = notifications->count(),
                                .body_bytes = memory.body_bytes};
  for (std::size_t i = 0; i < reactors.size(); ++i) {
    for (const flow::ChannelConfig& channel : channels_of(channels, i)) {
      const auto size = [&](std::string_view key) {
        return static_cast<std::size_t>(channel.delivery.number(key));
      };
      smallest.notifications = std::min(smallest.notifications, size("queue_max"));
      smallest.body_bytes = std::min(smallest.body_bytes, size("queue_bytes_max"));
    }
  }
  const std::size_t parts = part_of_lane * workers.size();
  pacing.set_burst({.notifications = std::max(smallest.notifications / parts, burst_min),
                    .body_bytes = std::max<std::size_t>(smallest.body_bytes / parts, 1)});
}

Result<void, std::string> Engine::Parts::make_subscriptions() {
  for (std::size_t i = 0; i < config.subscriptions.size(); ++i) {
    const flow::SubscriptionConfig& subscription = config.subscriptions[i];
    if (const auto problem = ingress::check_subscription(subscription); !problem.empty()) {
      return Unexpected{fmt::format("subscription {}: {}", subscription.name, problem)};
    }
    Reactor& reactor = reactors[i % reactors.size()];
    auto made = ingress::BrokerSubscription::make(*reactor.loop, environment.log, *reactor.decode,
                                                  environment.resolver.get(), subscription);
    if (!made)
      return Unexpected{fmt::format("subscription {}: {}", subscription.name, made.error())};
    reactor.subscriptions.push_back(std::move(*made));
  }
  return {};
}

Result<Listening, std::string> Engine::Parts::listen() {
  const bool shared = reactors.size() > 1;
  auto endpoints = ingress::listen_endpoints(config::http_options_of(config));
  if (!endpoints) return Unexpected{"http: " + endpoints.error()};
  Listening listening;
  listening.http = std::move(*endpoints);
  if (shared && environment.probe_port) {
    // Shared listeners would silently join another process's: nobody may have the port yet.
    for (const io::Endpoint& endpoint : listening.http) {
      if (auto free = environment.probe_port(endpoint); !free) return Unexpected{free.error()};
    }
  }
  for (Reactor& reactor : reactors) {
    if (auto started_http = reactor.http->start(listening.http, shared); !started_http) {
      return Unexpected{started_http.error()};
    }
    listening.http = reactor.http->endpoints();  // Port 0 was resolved by the first.
  }
  for (const std::string& text : config::mqtt_options_of(config).listen) {
    auto endpoint = io::parse_endpoint(text);
    if (!endpoint) return Unexpected{fmt::format("mqtt: \"{}\" is not an address", text)};
    if (shared && environment.probe_port) {
      if (auto free = environment.probe_port(*endpoint); !free) return Unexpected{free.error()};
    }
    for (Reactor& reactor : reactors) {
      auto bound = reactor.mqtt->listen(*endpoint, shared);
      if (!bound) return Unexpected{bound.error()};
      endpoint = *bound;
    }
    listening.mqtt.push_back(*endpoint);
  }
  if (auto done = listen_tls(listening, shared); !done) return Unexpected{done.error()};
  return listening;
}

}  // namespace tocsin::app
