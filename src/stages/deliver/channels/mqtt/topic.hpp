#pragma once
// The topic and payload that the mqtt channel publishes.

#include <span>
#include <string>
#include <string_view>

#include <tocsin/channel.hpp>

namespace tocsin::deliver {

/// Replaces {rule}, {recipient} and {type} in a topic template.
[[nodiscard]] std::string make_topic(std::string_view pattern, std::string_view recipient,
                                     const OutgoingNotification& notification);

/// Whether the result may be published: a valid topic name, UTF-8 size within MQTT's 65,535 bytes,
/// no control characters, not below "$", and below "notifications/" when it goes to our own
/// listener.
[[nodiscard]] bool topic_allowed(std::string_view topic, bool own_listener) noexcept;

/// The body of a single notification as it is; several as a JSON array of objects {id, event_id,
/// rule, type, subject, body}.
[[nodiscard]] std::string make_payload(std::span<const OutgoingNotification> notifications);

}  // namespace tocsin::deliver
