#pragma once
// What keeps those who create notifications from running ahead of those who deliver them.

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace tocsin::flow {

/// Bounds what is on its way to deliver, so that a lane sees itself filling up while it still has
/// room, and carries its request to wait. Any thread. Its numbers order nothing else, hence
/// relaxed.
class Pacing {
 public:
  struct Amount {
    std::size_t notifications = 0;
    std::size_t body_bytes = 0;
  };

  /// What may be on its way at a time; a larger body travels alone.
  void set_burst(Amount burst) noexcept {
    burst_notifications_.store(burst.notifications, std::memory_order_relaxed);
    burst_bytes_.store(burst.body_bytes, std::memory_order_relaxed);
  }
  /// What may be created now. Several workers can be told the same.
  [[nodiscard]] Amount room() const noexcept {
    return {.notifications = left(burst_notifications_, notifications_),
            .body_bytes = left(burst_bytes_, bytes_)};
  }
  void on_posted(Amount amount) noexcept {
    notifications_.fetch_add(amount.notifications, std::memory_order_relaxed);
    bytes_.fetch_add(amount.body_bytes, std::memory_order_relaxed);
  }
  /// Their lanes have them.
  void on_arrived(Amount amount) noexcept {
    notifications_.fetch_sub(amount.notifications, std::memory_order_relaxed);
    bytes_.fetch_sub(amount.body_bytes, std::memory_order_relaxed);
  }

  /// Each ask ends with one stop_asking().
  void ask_to_wait() noexcept { asking_.fetch_add(1, std::memory_order_relaxed); }
  void stop_asking() noexcept { asking_.fetch_sub(1, std::memory_order_relaxed); }
  [[nodiscard]] bool asked_to_wait() const noexcept {
    return asking_.load(std::memory_order_relaxed) != 0;
  }

 private:
  static std::size_t left(const std::atomic<std::size_t>& max,
                          const std::atomic<std::size_t>& used) noexcept {
    const std::size_t limit = max.load(std::memory_order_relaxed);
    const std::size_t now = used.load(std::memory_order_relaxed);
    return limit > now ? limit - now : 0;
  }

  std::atomic<std::size_t> burst_notifications_{SIZE_MAX};
  std::atomic<std::size_t> burst_bytes_{SIZE_MAX};
  std::atomic<std::size_t> notifications_{0};
  std::atomic<std::size_t> bytes_{0};
  std::atomic<std::uint32_t> asking_{0};
};

}  // namespace tocsin::flow
