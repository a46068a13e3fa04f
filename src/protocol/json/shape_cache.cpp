#include "protocol/json/shape_cache.hpp"

#include <atomic>
#include <new>
#include <utility>

#include "protocol/json/digits.hpp"

namespace tocsin::json {
namespace {

// Of shapes that begin alike; more would cost more than they save.
constexpr int tries_max = 4;
// A full table is replaced when so many came that it does not know, and those are no rarity.
constexpr std::uint64_t unknown_max = 1024;
constexpr std::uint64_t known_share = 16;

std::uint64_t next_serial() noexcept {
  static std::atomic<std::uint64_t> serial{0};
  return ++serial;
}

}  // namespace

ShapeTable::ShapeTable() : serial_(next_serial()) {}

ShapeCache::ShapeCache() { begin_table(); }

void ShapeCache::begin_table() {
  table_ = std::make_shared<ShapeTable>();
  shared_ = table_;
  next_.fill(0);
  last_ = 0;
  known_ = unknown_ = 0;
}

bool ShapeCache::is(ShapeIndex index, std::string_view text, ValueStart* starts) noexcept {
  if (!(*table_)[index].read(text, starts)) return false;
  next_[last_] = index;
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
    const auto index = static_cast<ShapeIndex>(i);
    if (index == guess || !(*table_)[index].may_begin(head)) continue;
    if (is(index, text, starts)) return index;
    ++tries;
  }
  return no_shape;
}

void ShapeCache::learn(const Document& document) noexcept {
  // It is only ever a matter of speed.
  try {
    if (table_->size() == shapes_max) {
      if (++unknown_ < unknown_max || known_ > unknown_ * known_share) return;
      begin_table();
    }
    if (auto shape = Shape::of(document)) {
      table_->add(std::move(*shape));
      if (table_->size() == shapes_max) known_ = unknown_ = 0;
    }
  } catch (const std::bad_alloc&) {
  }
}

}  // namespace tocsin::json
