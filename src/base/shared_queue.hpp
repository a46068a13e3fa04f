#pragma once
// An unbounded queue that many threads put into and take from.

#include <cstddef>
#ifdef TOCSIN_NO_FENCES
#include <algorithm>
#include <deque>
#include <mutex>
#else
#include <concurrentqueue/concurrentqueue.h>
#endif

namespace tocsin {

#ifndef TOCSIN_NO_FENCES
/// First in, first out for what one thread puts in. Any thread; what a thread wrote before it
/// enqueued is seen by the thread that dequeues.
template <typename T>
using SharedQueue = moodycamel::ConcurrentQueue<T>;
#else
// ThreadSanitizer does not model the fences by which the real queue orders its slots, and would
// report every hand-over as a race.
template <typename T>
class SharedQueue {
 public:
  explicit SharedQueue(std::size_t /*capacity*/ = 0) {}

  bool enqueue(const T& item) {
    const std::scoped_lock lock(mutex_);
    items_.push_back(item);
    return true;
  }
  bool try_dequeue(T& item) { return try_dequeue_bulk(&item, 1) == 1; }
  std::size_t try_dequeue_bulk(T* items, std::size_t count_max) {
    const std::scoped_lock lock(mutex_);
    const std::size_t count = std::min(count_max, items_.size());
    std::copy_n(items_.begin(), count, items);
    items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(count));
    return count;
  }
  [[nodiscard]] std::size_t size_approx() const {
    const std::scoped_lock lock(mutex_);
    return items_.size();
  }

 private:
  mutable std::mutex mutex_;
  std::deque<T> items_;
};
#endif

}  // namespace tocsin
