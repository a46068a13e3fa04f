#include "protocol/json/validator.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <new>

#include "protocol/json/grammar.hpp"
#include "protocol/utf8.hpp"

namespace tocsin::json {
namespace {

bool holds_backslash(std::string_view text) noexcept {
  return std::memchr(text.data(), '\\', text.size()) != nullptr;
}

// Which of several errors a scan finds depends on the processor; people get the same one.
JsonError named(JsonError error, std::string_view text) noexcept {
  return utf8_valid(text) ? error : JsonError::utf8;
}

}  // namespace

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
  if (!indexes) return Unexpected{named(indexes.error(), text)};
  const Scanned scanned{
      .text = text, .end = text.size(), .indexes = *indexes, .escapes = holds_backslash(text)};
  if (const auto checked = check_grammar(scanned, depth_max_); !checked) {
    return Unexpected{named(checked.error(), text)};
  }
  return Document{.text = text, .indexes = *indexes};
}

bool Validator::all_valid(std::string_view text, std::span<const std::uint32_t> ends) noexcept {
  if (text.size() > capacity() && !grow(text.size())) return false;
  const auto indexes = scanner_.scan(text);
  if (!indexes) return false;
  std::span<const std::uint32_t> rest = *indexes;
  const bool escapes = holds_backslash(text);
  std::size_t begin = 0;
  for (const std::uint32_t end : ends) {
    if (rest.empty()) return false;
    const Scanned scanned{.text = text,
                          .end = end,
                          .indexes = rest,
                          .escapes = escapes && holds_backslash(text.substr(begin, end - begin))};
    const auto checked = check_grammar(scanned, depth_max_);
    if (!checked) return false;
    rest = rest.subspan(*checked);
    begin = std::size_t{end} + 1;
  }
  return true;
}

bool Validator::validate_joined(std::string_view text, std::span<const std::uint32_t> ends,
                                std::span<std::optional<JsonError>> verdicts) noexcept {
  assert(ends.size() == verdicts.size());
  if (all_valid(text, ends)) return true;
  // A newline ends every string, so that one document cannot reach into the next; but the scan has
  // one verdict for all.
  bool valid = true;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < ends.size(); ++i) {
    const auto document = validate(text.substr(begin, ends[i] - begin));
    verdicts[i] = document ? std::nullopt : std::optional{document.error()};
    valid = valid && document;
    begin = std::size_t{ends[i]} + 1;
  }
  return valid;
}

}  // namespace tocsin::json
