#include "stages/match/matcher.hpp"

#include <algorithm>
#include <utility>

namespace tocsin::match {

Matcher::Matcher(std::shared_ptr<const RuleSet> rules, std::size_t payload_max)
    : scanner_(payload_max) {
  adopt(std::move(rules));
}

void Matcher::adopt(std::shared_ptr<const RuleSet> rules) {
  leaves_.reset();
  rules_ = std::move(rules);
  leaves_.emplace(rules_->trie());
  considered_.assign(rules_->conjunctions().size(), 0);
  found_.assign(rules_->rule_count(), 0);
  epoch_ = 0;
}

void Matcher::next_epoch() {
  if (++epoch_ != 0) return;
  std::ranges::fill(considered_, 0U);
  std::ranges::fill(found_, 0U);
  epoch_ = 1;
}

void Matcher::begin(const flow::BlockView& block) noexcept {
  scanned_ = {};
  scanned_rest_ = {};
  const flow::BlockHeader& header = block.header();
  const std::string_view payloads{
      reinterpret_cast<const char*>(block.bytes().data()) + header.payload_offset,
      header.payload_size};
  if (payloads.size() > scanner_.capacity()) return;
  // A payload that is no JSON would spoil the scan for all.
  for (std::uint32_t i = 0; i < block.size(); ++i) {
    if ((block.record(i).header().flags & record_flag::binary_payload) != 0) return;
  }
  const auto indexes = scanner_.scan(payloads);
  if (!indexes) return;
  scanned_ = payloads;
  scanned_rest_ = *indexes;
}

std::optional<json::Value> Matcher::document_of(const RecordView& record) noexcept {
  const std::string_view payload = record.payload();
  if (scanned_.empty() || payload.data() < scanned_.data() ||
      payload.data() >= scanned_.data() + scanned_.size()) {
    scanned_ = {};
    const auto indexes = scanner_.scan(payload);
    if (!indexes) return {};
    return json::Value(payload.data(), *indexes);
  }
  const auto begin = static_cast<std::size_t>(payload.data() - scanned_.data());
  static_cast<void>(json::take_document(scanned_rest_, begin));
  if (scanned_rest_.empty()) return {};
  return json::Value(scanned_.data(), scanned_rest_);
}

void Matcher::match(const RecordView& record, std::vector<RuleIndex>& out) {
  out.clear();
  next_epoch();
  leaves_->clear();
  document_.reset();
  const bool binary = (record.header().flags & record_flag::binary_payload) != 0;
  if (!binary) document_ = document_of(record);
  const std::string_view source = record.attribute(AttributeTag::event_source);
  if (!source.empty()) leaves_->add(source_field, {ScalarKind::string, source, {}});
  if (document_) {
    const std::uint32_t* const after = leaves_->collect(*document_, record.payload());
    if (!scanned_.empty()) {
      scanned_rest_ = scanned_rest_.subspan(static_cast<std::size_t>(after - document_->at()));
    }
  }
  leaves_->link();
  const std::span<const Leaf> leaves = leaves_->leaves();
  for (LeafIndex i = 0; i < leaves.size(); ++i) {
    if (!rules_->index().may_find(leaves[i].field, leaves[i].value)) continue;
    rules_->index().probe(leaves[i].field, leaves_->value(i),
                          [&](ConjunctionIndex index) { consider(index, out); });
  }
  for (const ConjunctionIndex index : rules_->always()) consider(index, out);
  std::ranges::sort(out);
  events_.add();
  if (!out.empty()) {
    events_matched_.add();
    matches_.add(out.size());
  }
}

void Matcher::consider(ConjunctionIndex index, std::vector<RuleIndex>& out) {
  if (std::exchange(considered_[index], epoch_) == epoch_) return;
  const Conjunction& conjunction = rules_->conjunctions()[index];
  if (found_[conjunction.rule] == epoch_) return;
  if (conjunction.reads_payload && !document_) return;
  verifications_.add();
  if (!verifier_.holds(*rules_, conjunction, *leaves_)) return;
  found_[conjunction.rule] = epoch_;
  out.push_back(conjunction.rule);
}

void Matcher::describe(MetricSink& sink) const {
  sink.counter("tocsin_events_evaluated_total", "Events that were matched against the rules.", {},
               events_.get());
  sink.counter("tocsin_events_matched_total", "Events that matched at least one rule.", {},
               events_matched_.get());
  sink.counter("tocsin_matches_total", "Pairs of an event and a rule that it matched.", {},
               matches_.get());
  sink.counter("tocsin_match_verifications_total",
               "Rules that the index proposed and whose fields were then compared.", {},
               verifications_.get());
}

}  // namespace tocsin::match
