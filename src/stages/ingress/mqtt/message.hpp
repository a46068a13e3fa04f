#pragma once
// A message on its way to subscribers: as a view into where it came from, and as a copy that
// sessions hold while they cannot send it.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <tocsin/time.hpp>

#include "base/shared_bytes.hpp"
#include "flow/settlement.hpp"

namespace tocsin::ingress {

/// Views are valid during the call that gets it.
struct RoutedMessage {
  std::string_view topic{};
  std::string_view payload{};
  std::string_view properties{};  ///< A block of mqtt::forwardable_block().
  std::string_view publisher{};
  std::uint8_t qos = 0;
  bool retain = false;
  bool old = false;  ///< From before this process: only for sessions that outlived it.
  MonoTime expires = MonoTime::max();
  std::uint64_t sequence = 0;              ///< In the journal; 0: not from there.
  flow::SettlementRange* range = nullptr;  ///< Retained by the caller during the call, or null.
};

/// A copy, immutable, shared by the sessions of all reactors.
class KeptMessage {
 public:
  /// Null when the budget has no room.
  [[nodiscard]] static std::shared_ptr<const KeptMessage> make(const RoutedMessage& message,
                                                               SharedBytes& budget);
  KeptMessage(const RoutedMessage& message, SharedBytes& budget);
  KeptMessage(const KeptMessage&) = delete;
  KeptMessage& operator=(const KeptMessage&) = delete;
  ~KeptMessage() { budget_.refund(cost()); }

  [[nodiscard]] RoutedMessage view() const noexcept;
  [[nodiscard]] MonoTime expires() const noexcept { return expires_; }
  [[nodiscard]] std::uint64_t sequence() const noexcept { return sequence_; }
  /// What it is charged with.
  [[nodiscard]] std::size_t cost() const noexcept { return cost_of(bytes_.size()); }

 private:
  // The object, its control block and the allocator's overhead.
  [[nodiscard]] static std::size_t cost_of(std::size_t bytes) noexcept { return bytes + 160; }

  SharedBytes& budget_;
  std::string bytes_;  // Topic, properties, payload.
  std::uint32_t topic_size_;
  std::uint32_t properties_size_;
  MonoTime expires_;
  std::uint64_t sequence_;
  std::uint8_t qos_;
  bool retain_;
};
using MessageRef = std::shared_ptr<const KeptMessage>;

/// For the session store and the retained table; `wall_offset` is wall time minus monotonic time.
[[nodiscard]] std::string encode_message(const RoutedMessage& message, Duration wall_offset);
/// A view into `bytes`; nothing when they are damaged.
[[nodiscard]] std::optional<RoutedMessage> decode_message(std::string_view bytes,
                                                          Duration wall_offset) noexcept;

}  // namespace tocsin::ingress
