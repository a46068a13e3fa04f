// SUBSCRIBE and UNSUBSCRIBE.

#include <algorithm>
#include <array>
#include <cassert>
#include <vector>

#include <tocsin/limits.hpp>

#include "flow/sources.hpp"
#include "stages/ingress/mqtt/connection.hpp"
#include "stages/ingress/mqtt/server.hpp"

namespace tocsin::ingress {
namespace {

using mqtt::PacketType;
using mqtt::ReasonCode;

// Entries of one SUBSCRIBE or UNSUBSCRIBE.
constexpr std::size_t entries_max = 256;

std::size_t count_entries(const mqtt::Subscribe& subscribe) noexcept {
  std::size_t count = 0;
  subscribe.for_each([&](const mqtt::Filter&) { ++count; });
  return count;
}

}  // namespace

void MqttConnection::handle_subscribe(const mqtt::Frame& frame) noexcept {
  const auto subscribe = mqtt::parse_subscribe(frame, version_);
  if (!subscribe) return fail(subscribe.error());
  if (count_entries(*subscribe) > entries_max) {
    return end(MqttClose::protocol_error, ReasonCode::quota_exceeded, "too many filters");
  }
  const std::uint32_t identifier =
      subscribe->properties.number(mqtt::PropertyId::subscription_identifier, 0);
  std::array<char, entries_max> codes{};
  std::array<bool, entries_max> send_retained{};
  std::size_t count = 0;
  subscribe->for_each([&](const mqtt::Filter& filter) {
    bool fresh = false;
    const ReasonCode code = grant(filter, identifier, fresh);
    const bool refused = code >= ReasonCode::unspecified_error;
    // Section 3.8.3.1: always, only for a new subscription, never.
    send_retained[count] =
        !refused && (filter.retain_handling == 0 || (filter.retain_handling == 1 && fresh));
    codes[count++] = static_cast<char>(refused && !v5() ? mqtt::suback_failure
                                                        : static_cast<std::uint8_t>(code));
  });
  put_codes(PacketType::suback, subscribe->packet_id, {codes.data(), count});
  count = 0;
  subscribe->for_each([&](const mqtt::Filter& filter) {
    if (!send_retained[count++] || session_ == nullptr) return;
    Subscription* const subscription = session_->subscription(filter.filter);
    if (subscription != nullptr) server_.router().begin_retained(*session_, *subscription);
  });
}

ReasonCode MqttConnection::grant(const mqtt::Filter& filter, std::uint32_t identifier,
                                 bool& fresh) noexcept {
  const bool shared = filter.filter.starts_with(share_prefix);
  const bool valid =
      shared ? shared_filter_valid(filter.filter) : flow::topic_filter_valid(filter.filter);
  if (!valid) return ReasonCode::topic_filter_invalid;
  if (filter.filter.size() > name_size_max) return ReasonCode::quota_exceeded;
  const std::string_view topics = shared ? shared_filter_topic(filter.filter) : filter.filter;
  if (identity_ != nullptr && !identity_->allows(flow::Access::subscribe, topics, client_id_)) {
    return ReasonCode::not_authorized;
  }
  return server_.router().subscribe(*session_, filter.filter,
                                    {.qos = filter.qos,
                                     .no_local = filter.no_local,
                                     .retain_as_published = filter.retain_as_published,
                                     .retain_handling = filter.retain_handling,
                                     .identifier = identifier},
                                    &fresh);
}

void MqttConnection::handle_unsubscribe(const mqtt::Frame& frame) noexcept {
  const auto unsubscribe = mqtt::parse_unsubscribe(frame, version_);
  if (!unsubscribe) return fail(unsubscribe.error());
  if (count_entries(*unsubscribe) > entries_max) {
    return end(MqttClose::protocol_error, ReasonCode::quota_exceeded, "too many filters");
  }
  std::array<char, entries_max> codes{};
  std::size_t count = 0;
  unsubscribe->for_each([&](const mqtt::Filter& filter) {
    const bool removed = server_.router().unsubscribe(*session_, filter.filter);
    codes[count++] =
        static_cast<char>(removed ? ReasonCode::success : ReasonCode::no_subscription_existed);
  });
  put_codes(PacketType::unsuback, unsubscribe->packet_id, {codes.data(), count});
}

void MqttConnection::put_codes(PacketType type, std::uint16_t packet_id,
                               std::string_view codes) noexcept {
  const std::span<char> out = room(8 + codes.size());
  if (out.empty()) return;
  const mqtt::SubAck ack{.packet_id = packet_id, .codes = codes};
  committed(type == PacketType::suback ? mqtt::write_suback(out, ack, version_)
                                       : mqtt::write_unsuback(out, ack, version_));
}

}  // namespace tocsin::ingress
