#pragma once
// Topic aliases of one connection (MQTT 5.0 section 3.3.2.3.4), one table for each direction.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/byte_buffer.hpp"

namespace tocsin::ingress {

/// Topics that the client has given numbers to. Charged to the budget.
class InboundAliases {
 public:
  explicit InboundAliases(ByteBudget& budget) noexcept : budget_(budget) {}
  InboundAliases(const InboundAliases&) = delete;
  InboundAliases& operator=(const InboundAliases&) = delete;
  ~InboundAliases() {
    for (const std::string& topic : topics_) budget_.refund(cost(topic));
  }

  /// False when the budget has no room. `alias` is not 0; the caller has checked its maximum.
  [[nodiscard]] bool set(std::uint16_t alias, std::string_view topic);
  /// Empty when it was never set.
  [[nodiscard]] std::string_view find(std::uint16_t alias) const noexcept {
    return alias <= topics_.size() ? std::string_view(topics_[alias - 1U]) : std::string_view{};
  }

 private:
  [[nodiscard]] static std::size_t cost(std::string_view topic) noexcept {
    return sizeof(std::string) + topic.size();
  }
  ByteBudget& budget_;
  std::vector<std::string> topics_;
};

/// Topics that we have given numbers to: the first ones that are long enough to pay.
class OutboundAliases {
 public:
  OutboundAliases(ByteBudget& budget, std::uint16_t max) noexcept : budget_(budget), max_(max) {}
  OutboundAliases(const OutboundAliases&) = delete;
  OutboundAliases& operator=(const OutboundAliases&) = delete;
  ~OutboundAliases() {
    for (const std::string& topic : topics_) budget_.refund(topic.size());
  }

  /// The alias of a topic that has one, else 0.
  [[nodiscard]] std::uint16_t find(std::string_view topic) const noexcept;
  /// Whether it is to have one.
  [[nodiscard]] bool wants(std::string_view topic) const noexcept {
    // An alias costs three bytes, in the packet that introduces it as well.
    constexpr std::size_t topic_size_min = 8;
    return topics_.size() < max_ && topic.size() >= topic_size_min;
  }
  /// The number that the next topic gets; add() makes it so.
  [[nodiscard]] std::uint16_t next() const noexcept {
    return static_cast<std::uint16_t>(topics_.size() + 1);
  }
  /// False, and nothing changed, when the budget has no room.
  [[nodiscard]] bool add(std::string_view topic);

 private:
  ByteBudget& budget_;
  std::uint16_t max_;
  std::vector<std::string> topics_;
};

}  // namespace tocsin::ingress
