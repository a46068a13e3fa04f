#include "flow/notification.hpp"

namespace tocsin::flow {
namespace {
// A recycled string keeps its buffer up to here; a rare larger one is freed at once.
constexpr std::size_t kept_capacity_max = 2048;

void recycle(std::string& text) noexcept {
  if (text.capacity() > kept_capacity_max) {
    std::string().swap(text);
  } else {
    text.clear();
  }
}
}  // namespace

NotificationPool::NotificationPool(std::size_t count) : free_(count) {
  all_.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    all_.push_back(std::make_unique<Notification>());
    free_.enqueue(all_.back().get());
  }
}

Notification* NotificationPool::acquire() noexcept {
  Notification* notification = nullptr;
  return free_.try_dequeue(notification) ? notification : nullptr;
}

void NotificationPool::release(Notification* n) noexcept {
  for (std::string* text : {&n->channel, &n->rule, &n->event_type, &n->recipient, &n->subject,
                            &n->body, &n->traceparent}) {
    recycle(*text);
  }
  n->attempts = 0;
  n->range = nullptr;
  n->next = nullptr;
  free_.enqueue(n);
}

}  // namespace tocsin::flow
