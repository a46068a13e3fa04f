#pragma once
// The bounded queue between Paho's thread and the reactor.

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include <tocsin/limits.hpp>

namespace tocsin::ingress {

/// A message from the broker, copied.
struct QueuedMessage {
  std::string topic;
  std::string content_type;
  std::string padded_payload;  ///< Payload, then json_padding bytes.
  [[nodiscard]] std::string_view payload() const noexcept {
    return {padded_payload.data(), padded_payload.size() - json_padding};
  }
};

class MessageQueue {
 public:
  MessageQueue(std::size_t count_max, std::size_t size_max) noexcept
      : count_max_(count_max), size_max_(size_max) {}

  enum class Pushed : std::uint8_t { first, queued, closed };
  /// Waits while the queue is full. `first`: it was empty, so the consumer must be told. Producer.
  [[nodiscard]] Pushed push(std::string_view topic, std::string_view content_type,
                            std::string_view payload);
  /// Producers return `closed` from now on. Any thread.
  void close();
  /// The oldest message; stays in the queue (and counts) until pop(). Consumer.
  [[nodiscard]] const QueuedMessage* front();
  void pop();
  [[nodiscard]] std::size_t size() const;
  /// Producers that wait at this moment.
  [[nodiscard]] std::size_t blocked() const;

 private:
  const std::size_t count_max_;
  const std::size_t size_max_;
  mutable std::mutex mutex_;
  std::condition_variable room_;
  std::deque<QueuedMessage> messages_;  // References stay valid while others are added at the end.
  std::size_t size_bytes_ = 0;
  std::size_t blocked_ = 0;
  bool closed_ = false;
};

}  // namespace tocsin::ingress
