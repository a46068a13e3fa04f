#include "stages/sessions/changes.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace tocsin::sessions {

Bytes::Bytes(std::string_view text)
    : data_(text.empty() ? nullptr : new char[text.size()]), size_(text.size()) {
  if (!text.empty()) std::memcpy(data_.get(), text.data(), text.size());
}

MessageChange* MessageChanges::find(std::uint64_t ordinal) noexcept {
  const auto at = std::ranges::lower_bound(list_, ordinal, {}, &MessageChange::ordinal);
  const bool found = at != list_.end() && at->ordinal == ordinal && at->kind != ChangeKind::none;
  return found ? &*at : nullptr;
}

MessageChange& MessageChanges::add(std::uint64_t ordinal) {
  if (list_.empty() || list_.back().ordinal < ordinal) {
    list_.push_back({.ordinal = ordinal, .bytes = {}, .range = nullptr, .kind = ChangeKind::none});
    return list_.back();
  }
  const auto at = std::ranges::lower_bound(list_, ordinal, {}, &MessageChange::ordinal);
  if (at != list_.end() && at->ordinal == ordinal) {
    assert(at->kind == ChangeKind::none);
    --cancelled_;
    return *at;
  }
  return *list_.insert(
      at, {.ordinal = ordinal, .bytes = {}, .range = nullptr, .kind = ChangeKind::none});
}

void MessageChanges::cancel(MessageChange& change) noexcept {
  assert(change.kind != ChangeKind::none);
  change.kind = ChangeKind::none;
  change.bytes = {};
  change.range = nullptr;
  ++cancelled_;
  // Mostly everything was cancelled, or the oldest half.
  if (cancelled_ == list_.size()) {
    clear();
  } else if (cancelled_ > 16 && cancelled_ > list_.size() / 2) {
    std::erase_if(list_, [](const MessageChange& m) { return m.kind == ChangeKind::none; });
    cancelled_ = 0;
  }
}

void MessageChanges::clear() noexcept {
  list_.clear();
  cancelled_ = 0;
}

void ChangeBatch::settle() noexcept {
  for (ClientChanges& client : clients) {
    for (MessageChange& message : client.messages.list()) {
      if (message.range != nullptr) message.range->settle();
      message.range = nullptr;
    }
  }
  for (auto& [topic, change] : retained) {
    if (change.range != nullptr) change.range->settle();
    change.range = nullptr;
  }
}

}  // namespace tocsin::sessions
