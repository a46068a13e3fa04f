#pragma once
// Turns raw events into records: one per reactor, on its thread. Rules and limits are in README.md.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/log.hpp"
#include "base/metrics.hpp"
#include "base/uuid.hpp"
#include "flow/batch.hpp"
#include "flow/intake.hpp"
#include "flow/loop.hpp"
#include "flow/quota.hpp"
#include "flow/sources.hpp"
#include "protocol/json/validator.hpp"
#include "stages/decode/event_draft.hpp"
#include "stages/decode/known_topics.hpp"
#include "stages/decode/open_batches.hpp"
#include "stages/decode/run_validator.hpp"
#include "stages/decode/source_index.hpp"

namespace tocsin::decode {

struct Settings {
  std::uint32_t reactor = 0;                    ///< Batch::owner of the batches filled here.
  std::size_t event_size_max = 256 * 1024;      ///< Bytes of one event as it comes in.
  std::size_t body_size_max = 4 * 1024 * 1024;  ///< Bytes of one batch body.
  std::uint32_t inflight_max = 2;               ///< See OpenBatches.
  flow::Quotas* quotas = nullptr;               ///< What sources with a rate are charged to.
};

/// Everything on the loop's thread, but for describe() and batches().on_batch_available().
class DecodeStage final : public flow::Intake, public MetricSource, private RunChecker {
 public:
  using Outcome = Result<flow::Accepted, flow::Rejection>;

  DecodeStage(flow::Loop& loop, flow::BatchPool& pool, flow::BatchSink& sink,
              std::shared_ptr<const flow::SourceTable> sources, const Settings& settings, Log log);

  [[nodiscard]] bool ready() noexcept override { return batches_.ready(); }
  Outcome add(const flow::RawEvent& event, const flow::AckToken& ack) noexcept override;
  flow::Taken take(const flow::PlainEvent& event, const flow::AckToken& ack,
                   flow::RefusalSink& refusals) noexcept override;
  Result<std::uint32_t, flow::Rejection> add_all(const flow::RawEvent& event, flow::BatchForm form,
                                                 flow::EntryVerdicts& verdicts) noexcept override;
  void add_ready_listener(ReadyListener& listener) override {
    batches_.add_ready_listener(listener);
  }

  /// For a reload. Views given out before end with the next add().
  void set_sources(std::shared_ptr<const flow::SourceTable> sources);
  /// Refuses events from now on and seals what there is.
  void drain() noexcept;
  [[nodiscard]] bool idle() const noexcept { return batches_.idle(); }

  /// Receiver of flow::message_batch_committed, and waiter on the pool.
  [[nodiscard]] OpenBatches& batches() noexcept { return batches_; }
  void describe(MetricSink& sink) const override;

 private:
  void check_run(flow::Batch& batch, std::uint32_t first,
                 flow::RefusalSink& refusals) noexcept override;
  Outcome decode(const flow::RawEvent& event, const json::Value* root,
                 const flow::AckToken& ack) noexcept;
  Outcome add_known(const KnownTopics::Entry& known, const flow::RawEvent& event,
                    const flow::AckToken& ack) noexcept;
  [[nodiscard]] Check check_size(const flow::RawEvent& event) const noexcept;
  [[nodiscard]] Check read(const flow::RawEvent& event, const json::Value* root) noexcept;
  [[nodiscard]] Check read_document(const flow::RawEvent& event, const json::Value* root) noexcept;
  [[nodiscard]] Check read_binary(const flow::RawEvent& event) noexcept;
  [[nodiscard]] Check find_source() noexcept;
  [[nodiscard]] Check read_opaque(const flow::RawEvent& event) noexcept;
  [[nodiscard]] Check admit(const flow::RawEvent& event, const flow::SourceConfig& source) noexcept;
  [[nodiscard]] Check apply_transport(const flow::RawEvent& event) noexcept;
  Outcome append(const flow::RawEvent& event, const flow::AckToken& ack) noexcept;
  [[nodiscard]] Result<std::size_t, flow::Rejection> write_payload(flow::Batch& batch) noexcept;
  [[nodiscard]] std::uint32_t partition_hash() const noexcept;
  [[nodiscard]] RecordHeader make_header(const flow::SourceConfig& source,
                                         std::size_t payload_size) noexcept;
  [[nodiscard]] RecordHeader header_of_draft(std::size_t payload_size) noexcept;
  void read_wall_clock() noexcept;
  Outcome account(Outcome outcome) noexcept;
  Result<std::uint32_t, flow::Rejection> refuse_body(const flow::Rejection& rejection) noexcept;
  Result<std::uint32_t, flow::Rejection> add_array(flow::RawEvent event,
                                                   flow::EntryVerdicts& verdicts) noexcept;
  Result<std::uint32_t, flow::Rejection> add_lines(flow::RawEvent event,
                                                   flow::EntryVerdicts& verdicts) noexcept;
  /// False when the batch ends here for now.
  [[nodiscard]] bool add_entry(const flow::RawEvent& event, const json::Value* root,
                               std::uint32_t index, flow::EntryVerdicts& verdicts) noexcept;

  flow::Loop& loop_;
  const std::size_t event_size_max_;
  const std::size_t body_size_max_;
  const std::size_t payload_max_;
  const std::size_t unseen_size_max_;
  flow::Quotas* const quotas_;
  OpenBatches batches_;
  SourceIndex sources_;
  KnownTopics known_topics_;
  json::Validator validator_;
  RunValidator run_validator_;  // Not the same: a body may be half read when a run is checked.
  Uuid7Generator ids_;
  EventDraft draft_;
  std::array<char, record_attrs_max> attrs_;
  MonoTime wall_read_at_ = MonoTime::min();
  WallTime wall_{};
  bool wall_trusted_ = false;
  bool draining_ = false;
  Log log_;
  Counter received_;
  Counter decoded_;
  Counter turned_away_;
  std::array<Counter, flow::refusal_count> refused_;
};

}  // namespace tocsin::decode
