#include "stages/decode/run_validator.hpp"

#include <algorithm>
#include <cassert>

namespace tocsin::decode {
namespace {

// Unknown payloads of a run beyond which one pass over all is cheaper, and after which no further
// shape is looked for: where every document is new, hardly any time goes into that.
constexpr std::size_t unknown_max = 8;

}  // namespace

std::size_t RunValidator::read_shapes() noexcept {
  std::size_t unknown = 0;
  for (tried_ = 0; tried_ < count_ && unknown <= unknown_max; ++tried_) {
    json::ValueStart* const starts = &starts_[tried_ * json::shape_values_max];
    shapes_[tried_] = cache_.read(payload(tried_), starts);
    if (shapes_[tried_] == json::no_shape) ++unknown;
  }
  std::fill(shapes_.begin() + static_cast<std::ptrdiff_t>(tried_), shapes_.end(), json::no_shape);
  return unknown + (count_ - tried_);
}

bool RunValidator::validate(const flow::Batch& batch, std::uint32_t first,
                            Verdicts verdicts) noexcept {
  const auto records = batch.records_from(first);
  assert(!records.empty() && records.size() <= run_records_max);
  assert(records.size() == verdicts.size());
  // Only here: what is noted of one run is all of one table.
  cache_.renew();
  count_ = records.size();
  payloads_ = batch.payloads_from(first);
  const std::uint32_t begin = records.front().payload_offset;
  for (std::size_t i = 0; i < count_; ++i) {
    ends_[i] = records[i].payload_offset - begin + records[i].payload_size;
  }
  const std::size_t unknown = read_shapes();
  if (unknown == 0) return true;
  return unknown > unknown_max ? validate_all(verdicts) : validate_unknown(verdicts);
}

bool RunValidator::validate_unknown(Verdicts verdicts) noexcept {
  bool valid = true;
  for (std::size_t i = 0; i < count_; ++i) {
    if (shapes_[i] != json::no_shape) continue;
    if (const auto document = validator_.validate(payload(i)); !document) {
      verdicts[i] = document.error();
      valid = false;
    }
  }
  learn_one(verdicts);
  return valid;
}

bool RunValidator::validate_all(Verdicts verdicts) noexcept {
  const bool valid = validator_.validate_joined(payloads_, {ends_.data(), count_}, verdicts);
  learn_one(verdicts);
  return valid;
}

// One a run: what comes often will be known soon, and what does not costs little. Not always the
// first one, which may be one that has no shape.
void RunValidator::learn_one(Verdicts verdicts) noexcept {
  ++runs_;
  for (std::size_t n = 0; n < tried_; ++n) {
    const std::size_t i = (runs_ + n) % tried_;
    if (shapes_[i] != json::no_shape || verdicts[i]) continue;
    if (const auto document = validator_.validate(payload(i))) cache_.learn(*document);
    return;
  }
}

void RunValidator::note_shapes(flow::Batch& batch, std::uint32_t first,
                               Verdicts verdicts) const noexcept {
  for (std::size_t i = 0; i < count_; ++i) {
    if (verdicts[i]) continue;
    if (shapes_[i] != json::no_shape) {
      batch.note_shape(first, cache_.table(), shapes_[i], &starts_[i * json::shape_values_max]);
    }
    ++first;
  }
}

}  // namespace tocsin::decode
