#include "stages/ingress/subscription/message_queue.hpp"

#include <cassert>

namespace tocsin::ingress {

MessageQueue::Pushed MessageQueue::push(std::string_view topic, std::string_view content_type,
                                        std::string_view payload) {
  QueuedMessage message{std::string(topic), std::string(content_type), {}};
  message.padded_payload.reserve(payload.size() + json_padding);
  message.padded_payload.append(payload).append(json_padding, '\0');
  const std::size_t size = message.padded_payload.size();
  std::unique_lock guard(mutex_);
  ++blocked_;
  room_.wait(guard, [&] {
    // An empty queue takes any message: else one above the limit would wait for ever.
    return closed_ || messages_.empty() ||
           (messages_.size() < count_max_ && size_bytes_ + size <= size_max_);
  });
  --blocked_;
  if (closed_) return Pushed::closed;
  size_bytes_ += size;
  messages_.push_back(std::move(message));
  return messages_.size() == 1 ? Pushed::first : Pushed::queued;
}

void MessageQueue::close() {
  const std::lock_guard guard(mutex_);
  closed_ = true;
  room_.notify_all();
}

const QueuedMessage* MessageQueue::front() {
  const std::lock_guard guard(mutex_);
  return messages_.empty() ? nullptr : &messages_.front();
}

void MessageQueue::pop() {
  const std::lock_guard guard(mutex_);
  assert(!messages_.empty());
  size_bytes_ -= messages_.front().padded_payload.size();
  messages_.pop_front();
  room_.notify_one();
}

std::size_t MessageQueue::size() const {
  const std::lock_guard guard(mutex_);
  return messages_.size();
}

std::size_t MessageQueue::blocked() const {
  const std::lock_guard guard(mutex_);
  return blocked_;
}

}  // namespace tocsin::ingress
