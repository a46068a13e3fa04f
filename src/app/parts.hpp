#pragma once
// What an engine is made of. The order of members is the order of construction; the stages are
// destroyed before the loops and Ios that they use.

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "app/engine.hpp"
#include "app/rules.hpp"
#include "app/thread_pool.hpp"
#include "app/tls_listeners.hpp"
#include "app/worker.hpp"
#include "control/api/status_router.hpp"
#include "control/auth/auth_service.hpp"
#include "control/auth/connection_limits.hpp"
#include "flow/batch.hpp"
#include "flow/notification.hpp"
#include "flow/quota_table.hpp"
#include "flow/sources.hpp"
#include "io/egress/policy.hpp"
#include "stages/decode/decode_stage.hpp"
#include "stages/deliver/stage.hpp"
#include "stages/ingress/http/server.hpp"
#include "stages/ingress/mqtt/server.hpp"
#include "stages/ingress/subscription/subscription.hpp"
#include "stages/journal/journal_stage.hpp"
#include "stages/ledger/ledger_stage.hpp"
#include "stages/sessions/sqlite_session_store.hpp"

namespace tocsin::app {

/// Hands sealed batches from any reactor to the journal's loop.
class JournalGate final : public flow::BatchSink {
 public:
  void connect(flow::Loop& loop, flow::Receiver& journal) noexcept {
    loop_ = &loop;
    journal_ = &journal;
  }
  void on_batch(flow::Batch* batch) noexcept override {
    loop_->post(
        {.to = journal_, .kind = journal::JournalStage::message_append, .arg = 0, .object = batch});
  }

 private:
  flow::Loop* loop_ = nullptr;
  flow::Receiver* journal_ = nullptr;
};

/// One thread that owns connections.
struct Reactor {
  flow::Loop* loop = nullptr;
  std::unique_ptr<decode::DecodeStage> decode;
  std::unique_ptr<ingress::HttpServer> http;
  std::unique_ptr<ingress::MqttServer> mqtt;
  std::unique_ptr<TlsListeners> tls;  // Null without TLS listeners.
  std::unique_ptr<deliver::DeliverStage> deliver;
  std::vector<std::unique_ptr<ingress::BrokerSubscription>> subscriptions;
};

struct Engine::Parts {
  Environment environment;
  config::EngineConfig config;
  flow::ThreadPlan thread_plan;
  flow::MemoryPlan memory;
  io::EgressPolicy egress;
  std::unique_ptr<flow::BatchPool> batches;
  std::unique_ptr<flow::NotificationPool> notifications;
  flow::Pacing pacing;
  Threads threads;
  std::shared_ptr<const flow::SourceTable> sources;
  Worker::Snapshot snapshot;
  std::uint64_t seed = 0;
  std::unique_ptr<flow::QuotaTable> quotas;
  JournalGate gate;
  std::unique_ptr<api::StatusRouter> router;
  std::unique_ptr<auth::AuthService> auth;
  std::unique_ptr<auth::ConnectionLimits> connection_limits;  // Null without limits.
  std::atomic<std::int64_t> certificate_expires_s{0};         // 0: there is none.
  std::unique_ptr<ingress::BrokerShared> broker;
  std::unique_ptr<ingress::MqttHub> hub;
  std::unique_ptr<ledger::LedgerStage> ledger;
  std::unique_ptr<journal::JournalStage> journal;
  // Its thread settles the ledger's ranges, so it ends before the ledger; reactors use it.
  std::unique_ptr<sessions::SqliteSessionStore> database;
  flow::SessionStore* session_store = nullptr;
  std::vector<Reactor> reactors;
  std::vector<std::unique_ptr<Worker>> workers;
  std::vector<flow::Loop*> worker_loops;
  flow::Loop* journal_loop = nullptr;
  std::vector<const MetricSource*> metric_sources;
  std::atomic<bool> started{false};
  std::atomic<bool> draining{false};
  bool quiet = true;  // Nothing is under way: the parts may be destroyed.

  [[nodiscard]] Result<void, std::string> build();
  [[nodiscard]] Result<Listening, std::string> listen();
  /// Certificates as the files are now, one for each reactor; none without TLS listeners.
  using TlsContexts = std::vector<std::shared_ptr<const io::TlsServerContext>>;
  [[nodiscard]] Result<TlsContexts, std::string> load_tls(const config::EngineConfig& from) const;
  void apply_tls(const TlsContexts& contexts);
  [[nodiscard]] Result<std::shared_ptr<const auth::UserTable>, std::string> compile_users(
      const config::EngineConfig& from) const;
  void pace(const std::vector<flow::ChannelConfig>& channels);
  [[nodiscard]] Result<void, std::string> apply_channels(
      const std::vector<flow::ChannelConfig>& channels);
  [[nodiscard]] std::vector<flow::ChannelConfig> channels_of(
      const std::vector<flow::ChannelConfig>& channels, std::size_t reactor) const;
  void describe(MetricSink& sink) const;
  [[nodiscard]] std::vector<api::ComponentState> readiness() const;
  bool drain(Duration timeout);

 private:
  [[nodiscard]] Result<void, std::string> plan();
  [[nodiscard]] Result<void, std::string> make_loops();
  [[nodiscard]] Result<void, std::string> prepare_data();
  [[nodiscard]] Result<void, std::string> compile();
  [[nodiscard]] Result<void, std::string> open_session_store();
  void make_journal();
  void make_workers();
  [[nodiscard]] Result<void, std::string> make_reactor(std::uint32_t index);
  [[nodiscard]] Result<void, std::string> make_subscriptions();
  [[nodiscard]] Result<void, std::string> make_auth();
  [[nodiscard]] Result<void, std::string> make_tls();
  [[nodiscard]] Result<void, std::string> listen_tls(Listening& listening, bool shared);
  void collect_metric_sources();
  bool drain_ingress(MonoTime deadline);
  bool drain_rest(MonoTime deadline);
};

}  // namespace tocsin::app
