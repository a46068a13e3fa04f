#include "stages/ingress/subscription/session.hpp"

#include <algorithm>
#include <array>
#include <cassert>

#include <fmt/format.h>

#include "stages/ingress/subscription/reason_text.hpp"

namespace tocsin::ingress {
namespace {

// Some brokers take no more filters at once.
constexpr std::size_t filters_per_packet = 8;
// Answers that may wait for a broker that does not read; then we do not read either.
constexpr std::size_t output_max = std::size_t{64} * 1024;
constexpr std::uint16_t subscribe_packet_id = 1;

}  // namespace

SubscriberSession::SubscriberSession(SessionOptions options, Handler& handler)
    : options_(std::move(options)),
      handler_(handler),
      version_(options_.version_5 ? mqtt::Version::v5 : mqtt::Version::v3_1_1),
      window_(options_.receive_max) {
  assert(options_.packet_size_max > 0 && !options_.filters.empty());
  if (options_.qos == 2) released_next_ = std::make_unique<std::bitset<65536>>();
}

template <class Write>
void SubscriberSession::put(std::size_t size, const Write& write) {
  const std::size_t before = output_.size();
  output_.resize(before + size);
  const std::size_t written = write(std::span(output_).subspan(before));
  assert(written > 0);
  output_.resize(before + written);
}

void SubscriberSession::begin() {
  state_ = State::connecting;
  window_.clear();
  output_.clear();
  failure_ = {};
  skip_left_ = 0;
  filters_done_ = filters_asked_ = 0;
  granted_qos_ = 2;
  keep_alive_s_ = options_.keep_alive_s;
  broker_packet_max_ = mqtt::remaining_length_max;
  mqtt::PropertyBuilder<32> properties;
  if (options_.version_5) {
    properties.add_u32(mqtt::PropertyId::session_expiry_interval, options_.session_expiry_s);
    properties.add_u16(mqtt::PropertyId::receive_maximum, options_.receive_max);
    properties.add_u32(mqtt::PropertyId::maximum_packet_size,
                       static_cast<std::uint32_t>(options_.packet_size_max));
  }
  mqtt::Connect connect{.version = version_,
                        .clean_start = options_.session_expiry_s == 0,
                        .keep_alive_s = options_.keep_alive_s,
                        .client_id = options_.client_id,
                        .properties = properties.view()};
  if (!options_.username.empty()) connect.user_name = options_.username;
  if (!options_.password.empty()) connect.password = options_.password;
  const std::size_t fixed = 64;
  put(fixed + options_.client_id.size() + options_.username.size() + options_.password.size(),
      [&](std::span<char> out) { return mqtt::write_connect(out, connect); });
}

SubscriberSession::Status SubscriberSession::feed(std::string_view bytes, std::size_t& consumed) {
  std::size_t at = 0;
  Status status = Status::more;
  while (at < bytes.size() && status == Status::more) {
    if (state_ == State::failed) {
      status = Status::failed;
    } else if (skip_left_ > 0) {
      const std::size_t skipped = std::min(skip_left_, bytes.size() - at);
      at += skipped;
      skip_left_ -= skipped;
    } else if (output_.size() > output_max) {
      status = Status::wait;
    } else {
      const std::string_view rest = bytes.substr(at);
      const auto next = mqtt::next_packet(std::as_bytes(std::span(rest)), SIZE_MAX);
      if (next.status == mqtt::NextPacket::Status::error) {
        status = fail(next.error);
      } else if (next.size_min > options_.packet_size_max) {
        status = skip(rest, next.size_min);
        if (status == Status::more && skip_left_ == 0) break;
      } else if (next.status == mqtt::NextPacket::Status::need_more) {
        break;
      } else {
        status = handle(next.frame);
        if (status == Status::more) at += next.frame.size;
      }
    }
  }
  consumed += at;
  return status;
}

SubscriberSession::Status SubscriberSession::handle(const mqtt::Frame& frame) {
  using mqtt::PacketType;
  if (state_ == State::connecting) {
    return frame.type == PacketType::connack ? on_connack(frame) : fail("no CONNACK");
  }
  switch (frame.type) {
    case PacketType::publish:
      return on_publish(frame);
    case PacketType::pubrel:
      return on_pubrel(frame);
    case PacketType::suback:
      return on_suback(frame);
    case PacketType::pingresp:
      return Status::more;
    case PacketType::disconnect:
      return on_disconnect(frame);
    default:
      return fail(fmt::format("unexpected {}", mqtt::to_string(frame.type)));
  }
}

SubscriberSession::Status SubscriberSession::on_connack(const mqtt::Frame& frame) {
  const auto connack = mqtt::parse_connack(frame, version_);
  if (!connack) return fail(connack.error());
  if (connack->code != 0) {
    return fail(options_.version_5 ? reason_text(static_cast<mqtt::ReasonCode>(connack->code))
                                   : return_text(static_cast<mqtt::ReturnCode>(connack->code)));
  }
  using mqtt::PropertyId;
  keep_alive_s_ = static_cast<std::uint16_t>(
      connack->properties.number(PropertyId::server_keep_alive, keep_alive_s_));
  broker_packet_max_ =
      connack->properties.number(PropertyId::maximum_packet_size, mqtt::remaining_length_max);
  // A broker that has forgotten us uses its packet identifiers anew.
  if (!connack->session_present && released_next_) released_next_->reset();
  state_ = State::subscribing;
  return subscribe_next();
}

SubscriberSession::Status SubscriberSession::subscribe_next() {
  if (filters_done_ == options_.filters.size()) {
    state_ = State::up;
    handler_.on_subscribed(std::min(granted_qos_, options_.qos));
    return Status::more;
  }
  std::array<mqtt::Filter, filters_per_packet> filters;
  filters_asked_ = std::min(filters.size(), options_.filters.size() - filters_done_);
  std::size_t size = 16;
  for (std::size_t i = 0; i < filters_asked_; ++i) {
    const std::string& filter = options_.filters[filters_done_ + i];
    // Retained messages once: a subscription that the broker remembers does not get them again.
    filters[i] = {.filter = filter,
                  .qos = options_.qos,
                  .retain_handling = static_cast<std::uint8_t>(options_.version_5 ? 1 : 0)};
    size += 3 + filter.size();
  }
  if (size > broker_packet_max_) return fail("topic filters too long for the broker", true);
  put(size, [&](std::span<char> out) {
    return mqtt::write_subscribe(out, subscribe_packet_id, std::span(filters).first(filters_asked_),
                                 {}, version_);
  });
  return Status::more;
}

SubscriberSession::Status SubscriberSession::on_suback(const mqtt::Frame& frame) {
  const auto suback = mqtt::parse_suback(frame, version_);
  if (!suback) return fail(suback.error());
  if (filters_asked_ == 0 || suback->packet_id != subscribe_packet_id ||
      suback->codes.size() != filters_asked_) {
    return fail("SUBACK does not answer our SUBSCRIBE");
  }
  for (const char byte : suback->codes) {
    const auto code = static_cast<std::uint8_t>(byte);
    if (code >= mqtt::suback_failure) {
      const std::string why = options_.version_5 ? reason_text(static_cast<mqtt::ReasonCode>(code))
                                                 : std::string("not authorized, or not supported");
      return fail("a topic filter was refused: " + why, true);
    }
    granted_qos_ = std::min(granted_qos_, code);
  }
  filters_done_ += std::exchange(filters_asked_, 0);
  return subscribe_next();
}

SubscriberSession::Status SubscriberSession::on_publish(const mqtt::Frame& frame) {
  const auto publish = mqtt::parse_publish(frame, version_);
  if (!publish) return fail(publish.error());
  // We have offered no aliases.
  if (publish->topic.empty()) return fail("topic alias");
  return take(*publish);
}

SubscriberSession::Status SubscriberSession::take(const mqtt::Publish& publish) {
  if (publish.qos == 0) {
    return handler_.on_publish(publish, 0) == Taken::wait ? Status::wait : Status::more;
  }
  if (publish.qos == 2) {
    if (!released_next_) return fail("QoS 2, which we did not ask for");
    if (released_next_->test(publish.packet_id)) {
      put_ack(mqtt::PacketType::pubrec, publish.packet_id, mqtt::ReasonCode::success);
      return Status::more;
    }
  }
  if (window_.full()) return Status::wait;
  const AckWindow::Number number = window_.push(publish.packet_id, publish.qos);
  switch (handler_.on_publish(publish, number)) {
    case Taken::wait:
      window_.undo();
      return Status::wait;
    case Taken::done:
      window_.settle(number);
      break;
    case Taken::pending:
      break;
  }
  return Status::more;
}

// The broker offers what nobody can take, and over 3.1.1 it will do so for ever unless it is
// acknowledged.
SubscriberSession::Status SubscriberSession::skip(std::string_view bytes, std::size_t size) {
  const auto first = static_cast<std::uint8_t>(bytes[0]);
  if (static_cast<mqtt::PacketType>(first >> 4U) != mqtt::PacketType::publish) {
    return fail("packet too large");
  }
  const std::uint8_t qos = first >> 1U & 3U;
  // What stands behind the packet is none of it.
  mqtt::Reader reader(bytes.substr(1, size - 1));
  while (reader.u8() >= 0x80) {
  }
  (void)reader.sized();
  const std::uint16_t packet_id = qos > 0 ? reader.u16() : std::uint16_t{0};
  if (reader.bad()) return bytes.size() < size ? Status::more : fail("PUBLISH length");
  if (qos > 0) {
    if (packet_id == 0) return fail("packet identifier 0");
    if (window_.full()) return Status::wait;
    window_.settle(window_.push(packet_id, qos));
  }
  handler_.on_skipped(size);
  skip_left_ = size;
  return Status::more;
}

SubscriberSession::Status SubscriberSession::on_pubrel(const mqtt::Frame& frame) {
  const auto pubrel = mqtt::parse_ack(frame, version_);
  if (!pubrel) return fail(pubrel.error());
  const bool known = released_next_ && released_next_->test(pubrel->packet_id);
  if (known) released_next_->reset(pubrel->packet_id);
  // After a restart we know nothing of it: the answer is needed all the same (section 4.3.3).
  put_ack(mqtt::PacketType::pubcomp, pubrel->packet_id,
          known ? mqtt::ReasonCode::success : mqtt::ReasonCode::packet_identifier_not_found);
  return Status::more;
}

SubscriberSession::Status SubscriberSession::on_disconnect(const mqtt::Frame& frame) {
  if (!options_.version_5) return fail("unexpected disconnect");
  const auto disconnect = mqtt::parse_disconnect(frame, version_);
  if (!disconnect) return fail(disconnect.error());
  return fail("the broker says: " + reason_text(disconnect->reason));
}

void SubscriberSession::write_acks() {
  if (state_ == State::failed) return;
  window_.take_settled([&](std::uint16_t packet_id, std::uint8_t qos) {
    if (qos == 2 && released_next_) released_next_->set(packet_id);
    put_ack(qos == 2 ? mqtt::PacketType::pubrec : mqtt::PacketType::puback, packet_id,
            mqtt::ReasonCode::success);
  });
}

void SubscriberSession::put_ack(mqtt::PacketType type, std::uint16_t packet_id,
                                mqtt::ReasonCode reason) {
  put(8, [&](std::span<char> out) {
    return mqtt::write_ack(
        out, {.type = type, .packet_id = packet_id, .reason = reason, .properties = {}}, version_);
  });
}

void SubscriberSession::write_ping() {
  put(2, [](std::span<char> out) { return mqtt::write_pingreq(out); });
}

void SubscriberSession::write_disconnect(mqtt::ReasonCode reason) {
  put(8, [&](std::span<char> out) {
    return mqtt::write_disconnect(out, {.reason = reason, .properties = {}}, version_);
  });
}

SubscriberSession::Status SubscriberSession::fail(std::string why, bool subscribe) {
  state_ = State::failed;
  failure_ = {subscribe, std::move(why)};
  return Status::failed;
}

SubscriberSession::Status SubscriberSession::fail(const mqtt::Error& error) {
  const std::string why = fmt::format("the broker breaks the protocol: {}", error.detail);
  // Before the state changes: what stands in output() is still sent.
  if (options_.version_5 && state_ != State::connecting) write_disconnect(error.code);
  return fail(why);
}

}  // namespace tocsin::ingress
