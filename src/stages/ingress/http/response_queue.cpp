#include "stages/ingress/http/response_queue.hpp"

#include <algorithm>
#include <bit>
#include <cassert>

namespace tocsin::ingress {

ResponseQueue::ResponseQueue(std::uint32_t capacity, ByteBudget& budget)
    : entries_(std::bit_ceil(capacity)), text_(&budget) {
  assert(capacity > 0);
}

ResponseQueue::Entry& ResponseQueue::at(std::uint32_t ordinal) noexcept {
  assert(ordinal - front_ < count_);
  return entries_[ordinal % entries_.size()];
}

std::uint32_t ResponseQueue::begin() noexcept {
  assert(!full());
  const std::uint32_t ordinal = front_ + count_++;
  at(ordinal) = {.composing = true};
  composed_ = text_.size();
  return ordinal;
}

void ResponseQueue::expect_ack() noexcept {
  Entry& entry = at(front_ + count_ - 1);
  assert(entry.composing);
  ++entry.outstanding;
}

void ResponseQueue::unexpect_ack() noexcept {
  Entry& entry = at(front_ + count_ - 1);
  assert(entry.composing && entry.outstanding > 0);
  --entry.outstanding;
}

void ResponseQueue::expect_no_ack() noexcept {
  Entry& entry = at(front_ + count_ - 1);
  assert(entry.composing);
  entry.outstanding = 0;
}

void ResponseQueue::end(AnswerKind kind, http::Persistence persistence) noexcept {
  Entry& entry = at(front_ + count_ - 1);
  assert(entry.composing && text_.size() >= composed_);
  entry.size = static_cast<std::uint32_t>(text_.size() - composed_);
  entry.kind = kind;
  entry.persistence = persistence;
  entry.composing = false;
}

void ResponseQueue::settle(std::uint32_t ordinal, std::uint32_t index, bool stored) noexcept {
  if (ordinal - front_ >= count_) return;
  Entry& entry = at(ordinal);
  if (entry.outstanding == 0) return;
  --entry.outstanding;
  if (stored) return;
  entry.failed = true;
  failures_.push_back({.ordinal = ordinal, .index = index});
}

bool ResponseQueue::front_ready() const noexcept {
  if (count_ == 0) return false;
  const Entry& entry = entries_[front_ % entries_.size()];
  return !entry.composing && entry.outstanding == 0;
}

bool ResponseQueue::take_ready(ByteBuffer& out, Substitute& substitute) noexcept {
  std::size_t good = 0;
  while (front_ready()) {
    const Entry& entry = at(front_);
    if (entry.failed) {
      if (!move(good, out) || !move_failed(entry, out, substitute)) return false;
      good = 0;
    } else {
      good += entry.size;
    }
    ++front_;
    --count_;
  }
  return move(good, out);
}

// A response that is being composed may wait for capacity while those before it leave.
bool ResponseQueue::move(std::size_t size, ByteBuffer& out) noexcept {
  if (size == 0) return true;
  if (size == text_.size() && out.empty()) {
    text_.swap(out);
    composed_ = 0;
    return true;
  }
  if (!out.append(text_.view().substr(0, size))) return false;
  text_.consume(size);
  composed_ -= std::min(composed_, size);
  return true;
}

bool ResponseQueue::move_failed(const Entry& entry, ByteBuffer& out,
                                Substitute& substitute) noexcept {
  std::vector<std::uint32_t> failed;
  std::erase_if(failures_, [&](const Failure& failure) {
    if (failure.ordinal != front_) return false;
    failed.push_back(failure.index);
    return true;
  });
  if (!substitute.substitute(text_.view().substr(0, entry.size), entry.kind, entry.persistence,
                             failed, out)) {
    return false;
  }
  text_.consume(entry.size);
  composed_ -= std::min<std::size_t>(composed_, entry.size);
  return true;
}

void ResponseQueue::clear() noexcept {
  front_ += count_;
  count_ = 0;
  text_.clear();
  failures_.clear();
}

void ResponseQueue::release() noexcept {
  assert(empty());
  text_.release();
}

}  // namespace tocsin::ingress
