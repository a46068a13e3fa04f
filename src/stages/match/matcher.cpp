#include "stages/match/matcher.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace tocsin::match {

Matcher::Matcher(std::shared_ptr<const RuleSet> rules, std::size_t payload_max)
    : scanner_(payload_max), shaped_scanner_(json::shape_size_max) {
  adopt(std::move(rules));
}

void Matcher::adopt(std::shared_ptr<const RuleSet> rules) {
  leaves_.reset();
  rules_ = std::move(rules);
  leaves_.emplace(rules_->trie());
  plans_.forget();
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

void Matcher::begin(const flow::BlockView& block, const flow::KnownShapes& shapes, bool together) {
  scanned_ = {};
  scanned_rest_ = {};
  records_ = &block.record(0).header();
  shapes_ = shapes;
  if (shapes.table != nullptr) plans_.begin(*shapes.table);
  // For a few documents alone, those of all would be too much.
  if (together && shapes.count < block.size() - block.size() / 4) scan_together(block);
}

void Matcher::scan_together(const flow::BlockView& block) noexcept {
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

// Of a record that stands elsewhere: larger than any of this block's.
std::size_t Matcher::index_of(const RecordView& record) const noexcept {
  const auto at = reinterpret_cast<std::uintptr_t>(&record.header());
  return (at - reinterpret_cast<std::uintptr_t>(records_)) / sizeof(RecordHeader);
}

const flow::RecordShape* Matcher::shape_of(const RecordView& record) const noexcept {
  const auto index = index_of(record);
  if (index >= shapes_.records.size()) return nullptr;
  const flow::RecordShape& known = shapes_.records[index];
  return known.shape == json::no_shape ? nullptr : &known;
}

const std::optional<json::Value>& Matcher::document() noexcept {
  if (!unscanned_.empty()) {
    const auto indexes = shaped_scanner_.scan(unscanned_);
    assert(indexes);
    document_.emplace(unscanned_.data(), *indexes);
    unscanned_ = {};
  }
  return document_;
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

// The values of a document are few and far apart: the processor does not guess where the next
// records' are, and a block has left its nearer caches by now.
// Inlined by force: what only prefetches does nothing in the compiler's eyes, and calls of it
// vanish.
[[gnu::always_inline]] inline void Matcher::prefetch(const RecordView& record) const noexcept {
  constexpr std::size_t records_ahead = 4;
  constexpr std::size_t bytes_max = 512;
  constexpr std::size_t line_size = 64;
  const std::size_t index = index_of(record) + records_ahead;
  if (index >= shapes_.records.size()) return;
  const RecordHeader& next = records_[index];
  const char* const payload =
      record.payload().data() + (next.payload_offset - record.header().payload_offset);
  const std::size_t size = std::min<std::size_t>(next.payload_size, bytes_max);
  for (std::size_t i = 0; i < size; i += line_size) __builtin_prefetch(payload + i);
}

void Matcher::collect(const RecordView& record) {
  if (const flow::RecordShape* const known = shape_of(record)) {
    prefetch(record);
    unscanned_ = record.payload();
    const json::Shape& shape = (*shapes_.table)[known->shape];
    return leaves_->collect(unscanned_, shape, &shapes_.starts[known->first],
                            plans_.plan(known->shape, shape, rules_->trie()));
  }
  document_ = document_of(record);
  is_json_ = document_.has_value();
  if (!document_) return;
  const std::uint32_t* const after = leaves_->collect(*document_, record.payload());
  if (!scanned_.empty()) {
    scanned_rest_ = scanned_rest_.subspan(static_cast<std::size_t>(after - document_->at()));
  }
}

void Matcher::match(const RecordView& record, std::vector<RuleIndex>& out) {
  out.clear();
  next_epoch();
  leaves_->clear();
  document_.reset();
  unscanned_ = {};
  const std::string_view source = record.attribute(AttributeTag::event_source);
  if (!source.empty()) leaves_->add(source_field, {ScalarKind::string, source, {}});
  is_json_ = (record.header().flags & record_flag::binary_payload) == 0;
  if (is_json_) collect(record);
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
  if (conjunction.reads_payload && !is_json_) return;
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
