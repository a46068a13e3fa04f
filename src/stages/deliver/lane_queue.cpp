#include "stages/deliver/lane_queue.hpp"

#include <algorithm>
#include <cassert>

namespace tocsin::deliver {
namespace {

std::size_t index_of(Priority priority) noexcept {
  const auto index = static_cast<std::size_t>(priority);
  assert(index < priority_count);
  return index;
}

}  // namespace

std::size_t PriorityPicker::pick(const std::array<bool, priority_count>& has_work) noexcept {
  std::size_t chosen = priority_count;
  for (std::size_t i = 0; i < priority_count; ++i) {
    if (!has_work[i]) {
      passed_over_[i] = 0;
      continue;
    }
    chosen = i;
    if (passed_over_[i] >= quantum_) break;
  }
  if (chosen == priority_count) return chosen;
  passed_over_[chosen] = 0;
  for (std::size_t i = 0; i < chosen; ++i) passed_over_[i] += has_work[i] ? 1 : 0;
  return chosen;
}

LaneQueue::LaneQueue(const BatchLimits& limits, std::uint32_t priority_quantum)
    : limits_(limits), picker_(priority_quantum) {
  assert(limits.count > 0);
}

void LaneQueue::set_limits(const BatchLimits& limits, std::uint32_t priority_quantum) {
  assert(limits.count > 0);
  limits_ = limits;
  picker_ = PriorityPicker(priority_quantum);
}

Parcel& LaneQueue::acquire() {
  if (free_.empty()) {
    all_.push_back(std::make_unique<Parcel>());
    free_.push_back(all_.back().get());
  }
  Parcel& parcel = *free_.back();
  free_.pop_back();
  assert(parcel.items.empty());
  parcel.serial = next_serial_++;
  parcel.size_bytes = 0;
  parcel.attempts = 0;
  parcel.submitted = false;
  return parcel;
}

void LaneQueue::recycle(Parcel& parcel) {
  parcel.items.clear();
  parcel.state = Parcel::State::free;
  parcel.joinable = false;
  parcel.older = parcel.newer = nullptr;
  free_.push_back(&parcel);
}

void LaneQueue::make_ready(Parcel& parcel) {
  if (parcel.state == Parcel::State::lingering) unlink(parcel);
  parcel.state = Parcel::State::ready;
  ready_[index_of(parcel.priority)].push_back(&parcel);
}

void LaneQueue::link(Parcel& parcel) noexcept {
  // The time to linger can have been shortened, so the newest is not always due last.
  Parcel* after = newest_;
  while (after != nullptr && after->due > parcel.due) after = after->older;
  parcel.older = after;
  parcel.newer = after == nullptr ? oldest_ : after->newer;
  (parcel.older == nullptr ? oldest_ : parcel.older->newer) = &parcel;
  (parcel.newer == nullptr ? newest_ : parcel.newer->older) = &parcel;
}

void LaneQueue::unlink(Parcel& parcel) noexcept {
  (parcel.older == nullptr ? oldest_ : parcel.older->newer) = parcel.newer;
  (parcel.newer == nullptr ? newest_ : parcel.newer->older) = parcel.older;
  parcel.older = parcel.newer = nullptr;
}

// Nothing may join any more. The map's key views the first item, so this comes before any change
// of the items.
void LaneQueue::seal(Parcel& parcel) {
  if (!parcel.joinable) return;
  parcel.joinable = false;
  open_[index_of(parcel.priority)].erase(parcel.items.front()->recipient);
}

void LaneQueue::add(flow::Notification& notification, MonoTime now) {
  const std::size_t size_bytes = notification.subject.size() + notification.body.size();
  auto& open = open_[index_of(notification.priority)];
  if (limits_.count > 1) {
    const auto found = open.find(notification.recipient);
    if (found != open.end()) {
      Parcel& parcel = *found->second;
      const bool fits = parcel.size_bytes + size_bytes <= limits_.size_bytes &&
                        parcel.items.size() < limits_.count;
      if (fits) {
        parcel.items.push_back(&notification);
        parcel.size_bytes += size_bytes;
      }
      const bool full =
          parcel.items.size() >= limits_.count || parcel.size_bytes >= limits_.size_bytes;
      if (!fits || full) {
        seal(parcel);
        if (parcel.state == Parcel::State::lingering) make_ready(parcel);
      }
      if (fits) return;
    }
  }
  Parcel& parcel = acquire();
  parcel.priority = notification.priority;
  parcel.items.push_back(&notification);
  parcel.size_bytes = size_bytes;
  if (limits_.count == 1 || size_bytes >= limits_.size_bytes) return make_ready(parcel);
  parcel.joinable = true;
  open.emplace(notification.recipient, &parcel);
  if (limits_.linger == Duration::zero()) return make_ready(parcel);
  parcel.state = Parcel::State::lingering;
  parcel.due = now + limits_.linger;
  link(parcel);
}

void LaneQueue::promote(MonoTime now, bool flush, bool retries) {
  while (oldest_ != nullptr && (flush || oldest_->due <= now)) make_ready(*oldest_);
  while (retries && !waiting_.empty() && waiting_.front().due <= now) {
    std::pop_heap(waiting_.begin(), waiting_.end(), later);
    Parcel& parcel = *waiting_.back().parcel;
    waiting_.pop_back();
    make_ready(parcel);
  }
}

Parcel* LaneQueue::take() noexcept {
  std::array<bool, priority_count> has_work{};
  for (std::size_t i = 0; i < priority_count; ++i) has_work[i] = !ready_[i].empty();
  const std::size_t chosen = picker_.pick(has_work);
  if (chosen == priority_count) return nullptr;
  Parcel& parcel = *ready_[chosen].front();
  ready_[chosen].pop_front();
  seal(parcel);
  parcel.state = Parcel::State::inflight;
  return &parcel;
}

void LaneQueue::untake(Parcel& parcel) {
  assert(parcel.state == Parcel::State::inflight);
  parcel.state = Parcel::State::ready;
  ready_[index_of(parcel.priority)].push_front(&parcel);
}

void LaneQueue::split(Parcel& parcel, std::size_t count) {
  assert(parcel.state == Parcel::State::inflight && count > 0 && count < parcel.items.size());
  Parcel& rest = acquire();
  const auto cut = parcel.items.begin() + static_cast<std::ptrdiff_t>(count);
  rest.items.assign(cut, parcel.items.end());
  parcel.items.erase(cut, parcel.items.end());
  rest.priority = parcel.priority;
  rest.attempts = parcel.attempts;
  rest.submitted = parcel.submitted;
  rest.state = Parcel::State::ready;
  ready_[index_of(rest.priority)].push_front(&rest);
}

void LaneQueue::retry_at(Parcel& parcel, MonoTime due) {
  assert(parcel.state == Parcel::State::inflight);
  parcel.state = Parcel::State::waiting;
  parcel.due = due;
  waiting_.push_back({due, parcel.serial, &parcel});
  std::push_heap(waiting_.begin(), waiting_.end(), later);
}

void LaneQueue::finish(Parcel& parcel) {
  assert(parcel.state == Parcel::State::inflight);
  recycle(parcel);
}

void LaneQueue::forget_queued() {
  for (auto& open : open_) open.clear();
  for (auto& ready : ready_) ready.clear();
  oldest_ = newest_ = nullptr;
  waiting_.clear();
  for (const auto& parcel : all_) {
    const bool queued =
        parcel->state != Parcel::State::free && parcel->state != Parcel::State::inflight;
    if (queued) recycle(*parcel);
  }
}

MonoTime LaneQueue::next_due(bool retries) const noexcept {
  MonoTime due = MonoTime::max();
  if (oldest_ != nullptr) due = oldest_->due;
  if (retries && !waiting_.empty()) due = std::min(due, waiting_.front().due);
  return due;
}

bool LaneQueue::has_ready() const noexcept {
  return std::any_of(ready_.begin(), ready_.end(),
                     [](const auto& queue) { return !queue.empty(); });
}

}  // namespace tocsin::deliver
