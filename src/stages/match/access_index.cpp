#include "stages/match/access_index.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace tocsin::match {
namespace {
std::size_t prefix_class(std::string_view prefix) noexcept {
  std::size_t i = 0;
  while (i + 1 < prefix_classes.size() && prefix_classes[i + 1] <= prefix.size()) ++i;
  return i;
}
}  // namespace

void IntervalTree::freeze() {
  std::ranges::sort(intervals_, [](const Interval& a, const Interval& b) {
    return compare_leading(a.low, b.low) < 0;
  });
  highest_.resize(intervals_.size());
  if (!intervals_.empty()) compute_highest(0, intervals_.size());
}

Decimal IntervalTree::compute_highest(std::size_t begin, std::size_t end) {
  if (begin == end) return Decimal::infinity(true);
  const std::size_t middle = begin + (end - begin) / 2;
  const auto larger = [](const Decimal& a, const Decimal& b) {
    return compare_leading(a, b) < 0 ? b : a;
  };
  highest_[middle] = larger(intervals_[middle].high, larger(compute_highest(begin, middle),
                                                            compute_highest(middle + 1, end)));
  return highest_[middle];
}

void AccessIndex::file(FieldIndex field, const Predicate& predicate, ConjunctionIndex owner) {
  if (field >= fields_.size()) fields_.resize(field + 1);
  Field& slot = fields_[field];
  switch (predicate.type->access) {
    case AccessKind::exact:
      slot.exact.add(predicate.operand);
      break;
    case AccessKind::any:
      slot.any = true;
      break;
    case AccessKind::prefix:
      slot.prefix_classes |= static_cast<std::uint16_t>(1U << prefix_class(predicate.operand.text));
      break;
    case AccessKind::range:
      slot.ranges.add({predicate.low, predicate.high, owner});
      return;
  }
  filed_.emplace_back(hash_of(field, predicate), owner);
}

void AccessIndex::freeze() {
  for (Field& field : fields_) field.ranges.freeze();
  std::ranges::sort(filed_);
  const auto repeated = std::ranges::unique(filed_);
  filed_.erase(repeated.begin(), repeated.end());
  slots_.assign(std::bit_ceil(filed_.size() * 2 + 2), {});
  postings_.reserve(filed_.size());
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t i = 0; i < filed_.size();) {
    const std::uint64_t hash = filed_[i].first;
    std::size_t at = static_cast<std::size_t>(hash) & mask;
    while (slots_[at].size != 0) at = (at + 1) & mask;
    slots_[at] = {hash, static_cast<std::uint32_t>(postings_.size()), 0};
    for (; i < filed_.size() && filed_[i].first == hash; ++i) {
      postings_.push_back(filed_[i].second);
      ++slots_[at].size;
    }
  }
  filed_.clear();
  filed_.shrink_to_fit();
}

std::uint64_t AccessIndex::exact_hash(FieldIndex field, const Scalar& value) const noexcept {
  const std::uint64_t seed = key_seed(field, static_cast<std::uint32_t>(value.kind));
  if (value.kind == ScalarKind::string) return hash64(value.text, seed);
  if (value.kind != ScalarKind::number) return seed;
  const std::uint64_t shape = static_cast<std::uint32_t>(value.number.exponent) |
                              (value.number.negative ? std::uint64_t{1} << 32U : 0);
  return detail::mix(detail::mix(seed ^ value.number.mantissa, 0xD1B54A32D192ED03) ^ shape,
                     0x9E3779B97F4A7C15);
}

std::uint64_t AccessIndex::hash_of(FieldIndex field, const Predicate& predicate) const noexcept {
  switch (predicate.type->access) {
    case AccessKind::exact:
      return exact_hash(field, predicate.operand);
    case AccessKind::prefix:
      return prefix_hash(field, predicate.operand.text, prefix_class(predicate.operand.text));
    case AccessKind::any:
    case AccessKind::range:
      break;
  }
  return any_hash(field);
}

}  // namespace tocsin::match
