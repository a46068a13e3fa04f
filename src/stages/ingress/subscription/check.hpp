#pragma once
// What is wrong with a subscription, before anything is opened.

#include <string>
#include <string_view>
#include <vector>

#include "flow/catalogue.hpp"

namespace tocsin::ingress {

/// Checks what the option table cannot say; a message, or empty.
[[nodiscard]] std::string check_subscription(const flow::SubscriptionConfig& config);

/// The topic filter without "$share/group/".
[[nodiscard]] std::string_view plain_filter(std::string_view filter) noexcept;

/// Sentences about mqtt channels whose messages would come back through a subscription on the same
/// broker. Empty: no loop. Topics below "notifications/" cannot loop: they are ignored on arrival.
[[nodiscard]] std::vector<std::string> egress_loops(
    const std::vector<flow::ChannelConfig>& channels,
    const std::vector<flow::SubscriptionConfig>& subscriptions);

}  // namespace tocsin::ingress
