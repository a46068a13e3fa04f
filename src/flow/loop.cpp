#include "flow/loop.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <chrono>
#include <utility>

namespace tocsin::flow {
namespace {

// Bounded: who keeps posting to its own loop must not starve its sockets. Under load one pass takes
// longer than that, and more events have come meanwhile.
constexpr int passes_max = 8;
constexpr Duration passes_time_max = std::chrono::microseconds(100);

}  // namespace

Loop::Loop(io::Io& io, std::string name) : io_(io), name_(std::move(name)), now_(io.now()) {}

void Loop::post(const Message& message) noexcept {
  mailbox_.enqueue(message);
  // seq_cst on both sides (see turn): either we see the loop asleep and wake it, or it sees our
  // count before it sleeps.
  posted_.fetch_add(1, std::memory_order_seq_cst);
  if (sleeping_.load(std::memory_order_seq_cst) &&
      sleeping_.exchange(false, std::memory_order_seq_cst)) {
    io_.wake();
  }
}

void Loop::stop() noexcept {
  stop_.store(true, std::memory_order_release);
  io_.wake();
}

void Loop::remove_ticker(Ticker& ticker) {
  std::erase(tickers_, &ticker);
  std::erase(last_tickers_, &ticker);
}

void Loop::arm(Timer& timer, MonoTime due) {
  if (timer.armed()) disarm(timer);
  timer.due_ = due;
  timer.heap_index_ = timers_.size();
  timers_.push_back(&timer);
  sift_up(timer.heap_index_);
}

void Loop::disarm(Timer& timer) noexcept {
  if (!timer.armed()) return;
  const std::size_t index = timer.heap_index_;
  timer.heap_index_ = Timer::not_armed;
  Timer* const last = timers_.back();
  timers_.pop_back();
  if (last == &timer) return;
  timers_[index] = last;
  last->heap_index_ = index;
  sift_up(index);
  sift_down(last->heap_index_);
}

void Loop::sift_up(std::size_t index) noexcept {
  while (index > 0) {
    const std::size_t parent = (index - 1) / 2;
    if (timers_[parent]->due_ <= timers_[index]->due_) return;
    std::swap(timers_[parent], timers_[index]);
    timers_[parent]->heap_index_ = parent;
    timers_[index]->heap_index_ = index;
    index = parent;
  }
}

void Loop::sift_down(std::size_t index) noexcept {
  for (;;) {
    std::size_t least = index;
    for (const std::size_t child : {2 * index + 1, 2 * index + 2}) {
      if (child < timers_.size() && timers_[child]->due_ < timers_[least]->due_) least = child;
    }
    if (least == index) return;
    std::swap(timers_[least], timers_[index]);
    timers_[least]->heap_index_ = least;
    timers_[index]->heap_index_ = index;
    index = least;
  }
}

void Loop::drain_messages() noexcept {
  std::array<Message, 64> messages;
  // Bounded rounds: receivers that keep posting to their own loop must not starve its sockets.
  for (int round = 0; round < 16; ++round) {
    const std::size_t n = mailbox_.try_dequeue_bulk(messages.data(), messages.size());
    drained_ += n;
    for (std::size_t i = 0; i < n; ++i) messages[i].to->on_message(messages[i]);
    if (n == 0) return;
  }
}

void Loop::fire_timers() noexcept {
  // At most those that are armed now: one that arms itself for the past waits for the next turn.
  for (std::size_t left = timers_.size();
       left > 0 && !timers_.empty() && timers_.front()->due_ <= now_; --left) {
    Timer& timer = *timers_.front();
    disarm(timer);
    timer.on_timer(now_);
  }
}

void Loop::turn(MonoTime latest) {
  MonoTime deadline = std::min(latest, next_tick_);
  if (!timers_.empty()) deadline = std::min(deadline, timers_.front()->due_);
  sleeping_.store(true, std::memory_order_seq_cst);  // Pairs with post().
  if (posted_.load(std::memory_order_seq_cst) != drained_ || stopping()) {
    deadline = MonoTime::min();
  }
  io_.poll(deadline);
  sleeping_.store(false, std::memory_order_relaxed);
  now_ = io_.now();
  fire_timers();
  // What stages of this loop post to each other moves on at once: an event that comes alone has
  // passed them all before the next system call.
  for (int pass = 0; pass < passes_max; ++pass) {
    drain_messages();
    tick();
    if (posted_.load(std::memory_order_relaxed) == drained_) return;
    if (io_.now() - now_ > passes_time_max) return;
  }
}

void Loop::tick() {
  next_tick_ = MonoTime::max();
  for (std::size_t i = 0; i < tickers_.size(); ++i) {
    next_tick_ = std::min(next_tick_, tickers_[i]->on_tick(now_));
  }
  for (std::size_t i = 0; i < last_tickers_.size(); ++i) {
    next_tick_ = std::min(next_tick_, last_tickers_[i]->on_tick(now_));
  }
}

void Loop::run() {
  while (!stopping()) turn();
}

}  // namespace tocsin::flow
