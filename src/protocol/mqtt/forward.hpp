#pragma once
// A message on its way from its publisher to subscribers: which properties go along (section
// 3.3.2.3), and a PUBLISH with what differs between subscribers. What is the same for all of them
// is looked at once.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <tocsin/result.hpp>

#include "protocol/mqtt/packets.hpp"

namespace tocsin::mqtt {

/// Whether the server hands the property on with the message: payload format, expiry, content type,
/// response topic, correlation data, user properties. A will's delay, a topic alias and
/// subscription identifiers belong to one hop.
[[nodiscard]] bool forwardable(PropertyId id) noexcept;

/// The forwardable properties of a PUBLISH or a will, in their order: the block itself when all of
/// them are, else a copy in `scratch`, which holds as many bytes as the block.
[[nodiscard]] std::string_view forwardable_block(const Properties& properties,
                                                 std::span<char> scratch) noexcept;

/// A block of forwardable_block(), taken apart for writing. Views into the block.
class ForwardProperties {
 public:
  ForwardProperties() = default;
  /// Checks the block: it may have been stored in between.
  [[nodiscard]] static Result<ForwardProperties, Error> read(std::string_view block) noexcept;

  /// Message Expiry Interval as published, in seconds.
  [[nodiscard]] std::optional<std::uint32_t> expiry_s() const noexcept { return expiry_s_; }

 private:
  friend class ForwardWriter;
  std::string_view before_;  // Around the expiry interval, which is different in every copy.
  std::string_view after_;
  std::optional<std::uint32_t> expiry_s_;
};

/// What one subscriber's copy has of its own.
struct ForwardExtras {
  std::optional<std::uint32_t> expiry_s{};            ///< What is left of the interval.
  std::span<const std::uint32_t> subscription_ids{};  ///< Of the matching subscriptions.
  std::uint16_t topic_alias = 0;                      ///< 0: none. The topic may be empty then.
};

/// Size of the PUBLISH. `publish.properties` is not used.
[[nodiscard]] std::size_t forward_size(const Publish& publish, const ForwardProperties& properties,
                                       const ForwardExtras& extras, Version version) noexcept;
/// Over 3.1.1 without any properties. Returns the size, or 0 when it does not fit into `out` or is
/// more than a packet can hold.
std::size_t write_forward(std::span<char> out, const Publish& publish,
                          const ForwardProperties& properties, const ForwardExtras& extras,
                          Version version) noexcept;

}  // namespace tocsin::mqtt
