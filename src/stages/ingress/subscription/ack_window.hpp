#pragma once
// Messages of a broker that we have taken and not yet acknowledged, in the order in which they
// came: acknowledgements leave in that order, too [MQTT-4.6.0-2, MQTT-4.6.0-3].

#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace tocsin::ingress {

class AckWindow {
 public:
  /// Numbers count messages of one connection; with them storage says what it has stored.
  using Number = std::uint32_t;

  explicit AckWindow(std::size_t max) : max_(max), ring_(std::bit_ceil(max)) { assert(max > 0); }

  [[nodiscard]] bool full() const noexcept { return size_ == max_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  Number push(std::uint16_t packet_id, std::uint8_t qos) noexcept {
    assert(!full());
    const Number number = first_ + static_cast<Number>(size_++);
    at(number) = {packet_id, qos, false};
    return number;
  }
  /// Takes the last push() back.
  void undo() noexcept {
    assert(size_ > 0);
    --size_;
  }
  /// The message may be acknowledged.
  void settle(Number number) noexcept {
    assert(number - first_ < size_);
    at(number).settled = true;
  }
  /// Calls visit(packet_id, qos) for the messages that may be acknowledged now, and forgets them.
  template <class Visit>
  void take_settled(Visit&& visit) {
    while (size_ > 0 && at(first_).settled) {
      visit(at(first_).packet_id, at(first_).qos);
      ++first_;
      --size_;
    }
  }
  void clear() noexcept {
    first_ = 0;
    size_ = 0;
  }

 private:
  struct Entry {
    std::uint16_t packet_id = 0;
    std::uint8_t qos = 0;
    bool settled = false;
  };
  Entry& at(Number number) noexcept { return ring_[number & (ring_.size() - 1)]; }

  std::size_t max_;
  std::vector<Entry> ring_;  // A power of two: a number's place must not jump when numbers wrap.
  Number first_ = 0;
  std::size_t size_ = 0;
};

}  // namespace tocsin::ingress
