#include "protocol/json/shape_cache.hpp"

#include <algorithm>
#include <atomic>
#include <new>
#include <utility>

#include "protocol/json/digits.hpp"

namespace tocsin::json {
namespace {

// Of shapes that begin alike; more would cost more than they save.
constexpr int tries_max = 16;
// After so many unknown documents a full table is judged; it stays while it knows most.
constexpr std::uint64_t unknown_max = 256;
constexpr std::uint64_t known_share = 16;
constexpr std::uint32_t pause_max = 64;

std::uint64_t next_serial() noexcept {
  static std::atomic<std::uint64_t> serial{0};
  return ++serial;
}

}  // namespace

ShapeTable::ShapeTable() : serial_(next_serial()) {}

ShapeCache::ShapeCache() : table_(std::make_shared<ShapeTable>()), shared_(table_) {}

void ShapeCache::renew() {
  if (!stale_ || !before_.expired()) return;
  before_ = shared_;
  table_ = std::make_shared<ShapeTable>();
  shared_ = table_;
  next_.fill(0);
  last_ = 0;
  known_ = unknown_ = 0;
  stale_ = false;
}

bool ShapeCache::is(std::size_t index, std::string_view text, ValueStart* starts) noexcept {
  const auto shape = static_cast<ShapeIndex>(index);
  auto& expected = starts_[index];
  if (!(*table_)[shape].read(text, expected.data())) return false;
  // All of them: a copy of a fixed size.
  std::ranges::copy(expected, starts);
  next_[last_] = shape;
  last_ = index;
  ++known_;
  return true;
}

ShapeIndex ShapeCache::read(std::string_view text, ValueStart* starts) noexcept {
  const std::size_t size = table_->size();
  if (size == 0) return no_shape;
  const ShapeIndex guess = next_[last_];
  if (is(guess, text, starts)) return guess;
  const std::uint64_t head = load_word(text.data());
  int tries = 0;
  for (std::size_t i = 0; i < size && tries < tries_max; ++i) {
    if (i == guess || !heads_[i].may_begin(head)) continue;
    if (is(i, text, starts)) return static_cast<ShapeIndex>(i);
    ++tries;
  }
  return no_shape;
}

// More shapes that begin alike than read() tries: another copy would not be found either.
bool ShapeCache::known(std::string_view text) noexcept {
  std::array<ValueStart, shape_values_max> starts;
  for (std::size_t i = 0; i < table_->size(); ++i) {
    if (is(i, text, starts.data())) return true;
  }
  return false;
}

void ShapeCache::learn(const Document& document) noexcept {
  if (left_ > 0) {
    --left_;
    return;
  }
  // It is only ever a matter of speed.
  try {
    auto shape = known(document.text) ? std::nullopt : Shape::of(document);
    if (!shape) {
      pause_ = std::min(2 * pause_ + 1, pause_max);
      left_ = pause_;
      return;
    }
    pause_ = 0;
    if (table_->size() < shapes_max) {
      heads_[table_->size()] = shape->head();
      table_->add(std::move(*shape));
      known_ = unknown_ = 0;
    } else if (++unknown_ == unknown_max) {
      stale_ = known_ < unknown_ * known_share;
      known_ = unknown_ = 0;
    }
  } catch (const std::bad_alloc&) {
  }
}

}  // namespace tocsin::json
