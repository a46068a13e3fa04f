#pragma once
// Matches records against a rule set: the stage `match`.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <tocsin/event.hpp>

#include "base/metrics.hpp"
#include "flow/batch.hpp"
#include "flow/block.hpp"
#include "protocol/json/scanner.hpp"
#include "protocol/json/walker.hpp"
#include "stages/match/leaves.hpp"
#include "stages/match/rule_set.hpp"
#include "stages/match/shape_plans.hpp"
#include "stages/match/verifier.hpp"

namespace tocsin::match {

/// One worker's matcher; one thread. After a short warm-up it allocates nothing per event.
class Matcher final : public MetricSource {
 public:
  /// `payload_max`: longest payload that can come; memory is about 5 bytes for each byte of it.
  Matcher(std::shared_ptr<const RuleSet> rules, std::size_t payload_max);

  /// Changes to another snapshot, between two records.
  void adopt(std::shared_ptr<const RuleSet> rules);
  [[nodiscard]] const RuleSet& rules() const noexcept { return *rules_; }

  /// Says that the records of this block come next, in order, perhaps not all of them: their
  /// documents can then be scanned `together`, which takes half the time. The block stays until the
  /// next begin(). `shapes`: what is known of their forms; those documents are not scanned at all.
  void begin(const flow::BlockView& block, const flow::KnownShapes& shapes = {},
             bool together = true);

  /// Replaces `out` by the rules that match, in rule order. The payload is a document that decode
  /// validated, or binary: then only rules without a pattern match. json_padding readable bytes
  /// follow the payload.
  void match(const RecordView& record, std::vector<RuleIndex>& out);

  /// The payload of the record that match() saw last, for the stages that follow; nothing when it
  /// is binary. Valid until the next match(), as long as the record is.
  [[nodiscard]] const std::optional<json::Value>& document() noexcept;

  void describe(MetricSink& sink) const override;

 private:
  [[nodiscard]] std::size_t index_of(const RecordView& record) const noexcept;
  [[nodiscard]] const flow::RecordShape* shape_of(const RecordView& record) const noexcept;
  [[nodiscard]] std::optional<json::Value> document_of(const RecordView& record) noexcept;
  void scan_together(const flow::BlockView& block) noexcept;
  void prefetch(const RecordView& record) const noexcept;
  void collect(const RecordView& record);
  void next_epoch();
  void consider(ConjunctionIndex index, std::vector<RuleIndex>& out);

  std::shared_ptr<const RuleSet> rules_;
  // The block that is being matched, as far as its forms are known.
  const RecordHeader* records_ = nullptr;
  flow::KnownShapes shapes_;
  ShapePlans plans_;
  json::StructuralScanner scanner_;
  json::StructuralScanner shaped_scanner_;  // For a document of a known shape that a rule matches.
  // The payloads that were scanned together, and the indexes that no record has taken yet.
  std::string_view scanned_;
  std::span<const std::uint32_t> scanned_rest_;
  bool is_json_ = false;
  std::string_view unscanned_;  // The document, if it has been matched by its shape alone.
  std::optional<json::Value> document_;
  std::optional<LeafSet> leaves_;
  Verifier verifier_;
  // The epoch in which a conjunction was considered, a rule found: cheaper than clearing.
  std::vector<std::uint32_t> considered_;
  std::vector<std::uint32_t> found_;
  std::uint32_t epoch_ = 0;
  Counter events_;
  Counter events_matched_;
  Counter matches_;
  Counter verifications_;
};

}  // namespace tocsin::match
