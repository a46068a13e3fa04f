#pragma once
// What the tests of the session store share.

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "stages/sessions/sqlite_session_store.hpp"
#include "tests/support/fake_io.hpp"
#include "tests/support/temporary_directory.hpp"

namespace tocsin::sessions {

inline constexpr std::chrono::seconds patience{60};

/// Ranges of one test, and which of them were settled.
class Ranges final : public flow::Receiver {
 public:
  flow::SettlementRange* make() {
    auto& range = ranges_.emplace_back(std::make_unique<flow::SettlementRange>());
    range->outstanding = 1;
    range->ledger = this;
    range->ledger_loop = &loop_;
    return range.get();
  }
  void on_message(const flow::Message& message) noexcept override {
    EXPECT_EQ(message.kind, flow::SettlementRange::message_settled);
    ++settled_[static_cast<const flow::SettlementRange*>(message.object)];
  }
  [[nodiscard]] bool settled(const flow::SettlementRange* range) {
    loop_.turn(MonoTime::min());
    EXPECT_LE(settled_[range], 1);
    return settled_[range] == 1;
  }
  flow::Loop& loop() { return loop_; }

 private:
  testing::FakeIo io_{testing::FakeIo::Time::real};
  flow::Loop loop_{io_, "ledger"};
  std::vector<std::unique_ptr<flow::SettlementRange>> ranges_;
  std::map<const flow::SettlementRange*, int> settled_;
};

struct Loaded {
  std::map<std::string, flow::StoredSession, std::less<>> sessions;
  std::vector<std::string> order;
  std::map<std::string, std::string, std::less<>> retained;
  std::string error;

  [[nodiscard]] std::vector<std::uint64_t> ordinals(const std::string& client_id) const {
    std::vector<std::uint64_t> found;
    const auto at = sessions.find(client_id);
    if (at == sessions.end()) return found;
    for (const auto& message : at->second.messages) found.push_back(message.ordinal);
    return found;
  }
};

inline flow::StoredSession make_session(std::string client_id, std::string state = "state") {
  flow::StoredSession session;
  session.client_id = std::move(client_id);
  session.expiry_s = 3600;
  session.state = std::move(state);
  return session;
}

class StoreFixture : public ::testing::Test {
 protected:
  [[nodiscard]] std::string path() const { return directory_ / "tocsin.db"; }

  StoreSettings settings() {
    return {.path = path(),
            .commit_interval = std::chrono::milliseconds{5},
            .retry_delay = std::chrono::milliseconds{5},
            .retry_delay_max = std::chrono::milliseconds{50},
            .hash_seed = 42,
            .wall_now = [this] { return wall.load(); },
            .wall_trusted = true};
  }
  std::unique_ptr<SqliteSessionStore> make(const StoreSettings& settings) {
    return std::make_unique<SqliteSessionStore>(settings, log);
  }
  /// As the next process would begin.
  Loaded start(std::optional<StoreSettings> with = {}) {
    store = make(with ? *with : settings());
    Loaded loaded;
    const auto done = store->load(
        [&](flow::StoredSession&& session) {
          loaded.order.push_back(session.client_id);
          loaded.sessions[session.client_id] = std::move(session);
        },
        [&](flow::StoredRetained&& retained) {
          loaded.retained[retained.topic] = std::move(retained.bytes);
        });
    if (done) {
      store->start();
    } else {
      loaded.error = done.error();
    }
    return loaded;
  }
  Loaded restart() {
    EXPECT_TRUE(store->stop(patience));
    return start();
  }
  [[nodiscard]] double metric(std::string_view name, std::string_view label = {}) const {
    class Sum final : public MetricSink {
     public:
      Sum(std::string_view wanted, std::string_view value) : name_(wanted), label_(value) {}
      void counter(std::string_view n, std::string_view, Labels labels,
                   std::uint64_t value) override {
        add(n, labels, static_cast<double>(value));
      }
      void gauge(std::string_view n, std::string_view, Labels labels, double value) override {
        add(n, labels, value);
      }
      void histogram(std::string_view n, std::string_view, Labels labels,
                     const Histogram& value) override {
        add(n, labels, static_cast<double>(value.count()));
      }
      double total = 0;

     private:
      void add(std::string_view n, Labels labels, double value) {
        if (n != name_) return;
        for (const auto& [key, text] : labels) {
          if (!label_.empty() && text != label_) return;
        }
        total += value;
      }
      std::string_view name_;
      std::string_view label_;
    };
    Sum sum(name, label);
    store->describe(sum);
    return sum.total;
  }

  Log log = make_null_log();
  std::atomic<WallTime> wall{WallTime{std::chrono::seconds(1'700'000'000)}};
  testing::TemporaryDirectory directory_;
  Ranges ranges;  // Outlives the store.
  std::unique_ptr<SqliteSessionStore> store;
};

}  // namespace tocsin::sessions
