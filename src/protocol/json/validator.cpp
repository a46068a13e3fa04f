#include "protocol/json/validator.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <new>

#include "protocol/json/grammar.hpp"

namespace tocsin::json {

Validator::Validator(std::size_t capacity, std::size_t capacity_max, std::size_t depth_max)
    : scanner_(capacity), capacity_max_(std::max(capacity, capacity_max)), depth_max_(depth_max) {
  assert(depth_max <= grammar_depth_max);
}

bool Validator::grow(std::size_t size) noexcept {
  if (size > capacity_max_) return false;
  try {
    scanner_ = StructuralScanner(std::min(std::bit_ceil(size), capacity_max_));
  } catch (const std::bad_alloc&) {
    return false;
  }
  return true;
}

Result<Document, JsonError> Validator::validate(std::string_view text) noexcept {
  if (text.empty()) return Unexpected{JsonError::empty};
  if (text.size() > capacity() && !grow(text.size())) return Unexpected{JsonError::too_large};
  const auto indexes = scanner_.scan(text);
  if (!indexes) return Unexpected{indexes.error()};
  if (const auto error = check_grammar(text, *indexes, depth_max_)) return Unexpected{*error};
  return Document{.text = text, .indexes = *indexes};
}

}  // namespace tocsin::json
