#include "stages/ingress/mqtt/session.hpp"

#include <utility>

#include <tocsin/limits.hpp>

#include "stages/ingress/mqtt/sessions.hpp"

namespace tocsin::ingress {

std::uint8_t to_byte(const SubscriptionOptions& options) noexcept {
  return static_cast<std::uint8_t>(options.qos | (options.no_local ? 4U : 0U) |
                                   (options.retain_as_published ? 8U : 0U) |
                                   static_cast<unsigned>(options.retain_handling) << 4U);
}

SubscriptionOptions options_of(std::uint8_t byte, std::uint32_t identifier) noexcept {
  return {.qos = static_cast<std::uint8_t>(std::min(byte & 3U, 2U)),
          .no_local = (byte & 4U) != 0,
          .retain_as_published = (byte & 8U) != 0,
          .retain_handling = static_cast<std::uint8_t>(byte >> 4U & 3U),
          .identifier = identifier};
}

std::uint16_t Outbox::take_packet_id() noexcept {
  do {
    last_packet_id = last_packet_id == UINT16_MAX ? std::uint16_t{1}
                                                  : static_cast<std::uint16_t>(last_packet_id + 1);
  } while (find(last_packet_id) != nullptr);
  return last_packet_id;
}

Outgoing* Outbox::find(std::uint16_t packet_id) noexcept {
  const auto it = std::find_if(inflight.begin(), inflight.end(),
                               [&](const Outgoing& o) { return o.packet_id == packet_id; });
  return it == inflight.end() ? nullptr : &*it;
}

void Outbox::erase(Outgoing& outgoing) noexcept {
  const auto at = &outgoing - inflight.data();
  if (static_cast<std::size_t>(at) < resent) --resent;
  inflight.erase(inflight.begin() + at);
}

Will::Will(std::string bytes, SharedBytes& budget)
    : budget_(budget), size_(bytes.size()), padded_(std::move(bytes)) {
  padded_.resize(size_ + json_padding);
}

Incoming* Session::incoming_of(std::uint16_t packet_id) noexcept {
  const auto it = std::find_if(incoming.begin(), incoming.end(),
                               [&](const Incoming& i) { return i.packet_id == packet_id; });
  return it == incoming.end() ? nullptr : &*it;
}

void Session::forget_incoming(std::uint16_t packet_id) noexcept {
  std::erase_if(incoming, [&](const Incoming& i) { return i.packet_id == packet_id; });
  if (incoming.empty()) std::vector<Incoming>().swap(incoming);
}

Subscription* Session::subscription(std::string_view filter) noexcept {
  const auto it = std::find_if(subscriptions.begin(), subscriptions.end(),
                               [&](const auto& s) { return s->filter == filter; });
  return it == subscriptions.end() ? nullptr : it->get();
}

void Session::on_timer(MonoTime now) noexcept { owner->on_session_timer(*this, now); }

}  // namespace tocsin::ingress
