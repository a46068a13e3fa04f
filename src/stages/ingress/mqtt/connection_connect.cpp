// CONNECT and CONNACK. A CONNECT may have to wait twice, for the authenticator and for a session
// that another reactor has; its frame is kept meanwhile and handled again from where it stood.

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <utility>

#include "flow/hub.hpp"
#include "protocol/mqtt/bytes.hpp"
#include "stages/ingress/mqtt/connection.hpp"
#include "stages/ingress/mqtt/server.hpp"

namespace tocsin::ingress {
namespace {

using mqtt::PropertyId;
using mqtt::ReasonCode;
using mqtt::ReturnCode;

// Wildcards and control characters in identifiers have been ways around access rules that put the
// identifier into a filter or a log.
bool client_id_allowed(std::string_view id) noexcept {
  if (id.size() > mqtt_client_id_size_max) return false;
  return std::none_of(id.begin(), id.end(), [](char c) {
    return c == '+' || c == '#' || static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
  });
}

std::string make_client_id(io::Io& io) {
  std::array<std::byte, 16> random{};
  io.random(random);
  std::string id = "tocsin-";
  constexpr std::string_view digits = "0123456789abcdef";
  for (const std::byte byte : random) {
    id += digits[static_cast<std::size_t>(byte) >> 4U];
    id += digits[static_cast<std::size_t>(byte) & 0xFU];
  }
  return id;
}

}  // namespace

bool MqttConnection::handle_connect(const mqtt::Frame& frame) noexcept {
  const auto connect = mqtt::parse_connect(frame);
  if (!connect) {
    refuse_malformed(frame, connect.error());
    return true;
  }
  if (step_ == Step::fresh && !begin_connect(frame, *connect)) {
    return step_ != Step::authenticating;
  }
  if (step_ == Step::authenticated && !acquire_session(*connect)) return step_ != Step::acquiring;
  if (step_ == Step::acquired) finish_connect(*connect);
  return true;
}

void MqttConnection::refuse_malformed(const mqtt::Frame& frame, const mqtt::Error& error) noexcept {
  if (error.code == ReasonCode::unsupported_protocol_version) return refuse_version(frame);
  // Section 4.13.1: a malformed CONNECT may be answered; the version may be known to be 5.
  if (mqtt::peek_protocol_level(frame) != static_cast<std::uint8_t>(mqtt::Version::v5)) {
    return abort(MqttClose::malformed);
  }
  version_ = mqtt::Version::v5;
  refuse_connect(error.code, ReturnCode::not_authorized);
}

// Section 3.1.2.2: a client that speaks a later version is answered in 5.0, an earlier one
// in 3.1.1.
void MqttConnection::refuse_version(const mqtt::Frame& frame) noexcept {
  const auto level = mqtt::peek_protocol_level(frame);
  if (!level) return abort(MqttClose::malformed);
  version_ = *level > static_cast<std::uint8_t>(mqtt::Version::v5) ? mqtt::Version::v5
                                                                   : mqtt::Version::v3_1_1;
  refuse_connect(ReasonCode::unsupported_protocol_version,
                 ReturnCode::unacceptable_protocol_version);
}

void MqttConnection::refuse_connect(ReasonCode code, ReturnCode code_3) noexcept {
  const std::span<char> out = room(5);
  if (out.empty()) return;
  const auto number = v5() ? static_cast<std::uint8_t>(code) : static_cast<std::uint8_t>(code_3);
  committed(mqtt::write_connack(out, {.session_present = false, .code = number}, version_));
  flush_and_close(MqttClose::connect_refused);
}

bool MqttConnection::begin_connect(const mqtt::Frame&, const mqtt::Connect& connect) noexcept {
  version_ = connect.version;
  if (!connect_acceptable(connect) || !adopt_client_id(connect)) return false;
  return authenticate(connect);
}

bool MqttConnection::connect_acceptable(const mqtt::Connect& connect) noexcept {
  if (connect.properties.has(PropertyId::authentication_method)) {
    refuse_connect(ReasonCode::bad_authentication_method, ReturnCode::not_authorized);
    return false;
  }
  if (connect.will && server_.reserved_topic(connect.will->topic)) {
    refuse_connect(ReasonCode::not_authorized, ReturnCode::not_authorized);
    return false;
  }
  return true;
}

bool MqttConnection::adopt_client_id(const mqtt::Connect& connect) noexcept {
  if (!connect.client_id.empty()) {
    if (client_id_allowed(connect.client_id)) {
      client_id_.assign(connect.client_id);
      return true;
    }
  } else if (v5() || connect.clean_start) {
    client_id_ = make_client_id(server_.loop().io());
    return true;
  }
  // [MQTT-3.1.3-8] of 3.1.1 for an empty identifier without a clean session.
  refuse_connect(ReasonCode::client_identifier_not_valid, ReturnCode::identifier_rejected);
  return false;
}

bool MqttConnection::authenticate(const mqtt::Connect& connect) noexcept {
  flow::Authenticator* const authenticator = server_.authenticator();
  if (authenticator == nullptr) {
    step_ = Step::authenticated;
    return true;
  }
  const flow::Credentials credentials{.client_id = client_id_,
                                      .has_username = connect.user_name.has_value(),
                                      .username = connect.user_name.value_or(""),
                                      .has_password = connect.password.has_value(),
                                      .password = connect.password.value_or(""),
                                      .token = {},
                                      .certificate_name = certificate_name_,
                                      .peer = peer_};
  const auto answer = authenticator->authenticate(credentials, server_.ticket(slot_, generation_),
                                                  server_.auth_reply());
  if (answer) return take_answer(*answer);
  step_ = Step::authenticating;
  stop(stop_connect);
  return false;
}

bool MqttConnection::take_answer(const flow::AuthAnswer& answer) noexcept {
  switch (answer.verdict()) {
    case flow::AuthResult::accepted:
      identity_ = answer.identity;
      step_ = Step::authenticated;
      return true;
    case flow::AuthResult::bad_credentials:
      refuse_connect(ReasonCode::bad_user_name_or_password, ReturnCode::bad_user_name_or_password);
      break;
    case flow::AuthResult::not_authorized:
      refuse_connect(ReasonCode::not_authorized, ReturnCode::not_authorized);
      break;
    case flow::AuthResult::busy:
      refuse_connect(ReasonCode::server_busy, ReturnCode::server_unavailable);
      break;
  }
  return false;
}

void MqttConnection::on_authenticated(const flow::AuthAnswer& answer) noexcept {
  if (state_ != State::await_connect || step_ != Step::authenticating) return;
  if (take_answer(answer)) go_on(stop_connect);
}

bool MqttConnection::acquire_session(const mqtt::Connect& connect) noexcept {
  if (connect.will && identity_ != nullptr &&
      !identity_->allows(flow::Access::publish, connect.will->topic, client_id_)) {
    refuse_connect(ReasonCode::not_authorized, ReturnCode::not_authorized);
    return false;
  }
  const auto acquired = server_.sessions().acquire(
      {.slot = slot_,
       .generation = generation_,
       .client_id = client_id_,
       .user = std::string(identity_ != nullptr ? identity_->user() : std::string_view{}),
       .clean = connect.clean_start});
  if (!acquired) {
    step_ = Step::acquiring;
    stop(stop_connect);
    return false;
  }
  session_ = acquired->session;
  session_present_ = acquired->present;
  session_->connection = this;
  step_ = Step::acquired;
  return true;
}

void MqttConnection::on_session(Sessions::Acquired acquired) noexcept {
  assert(awaits_session());
  session_ = acquired.session;
  session_present_ = acquired.present;
  session_->connection = this;
  step_ = Step::acquired;
  go_on(stop_connect);
}

std::uint32_t MqttConnection::session_expiry(const mqtt::Connect& connect) const noexcept {
  // 3.1.1: a session that is not clean has no end (section 3.1.2.4 there).
  const std::uint32_t wanted =
      v5() ? connect.properties.number(PropertyId::session_expiry_interval, 0)
           : (connect.clean_start ? 0 : session_never_expires);
  return std::min(wanted, server_.options().session_expiry_max_s);
}

void MqttConnection::take_wishes(const mqtt::Connect& connect) noexcept {
  const mqtt::Properties& wishes = connect.properties;
  client_packet_size_max_ =
      wishes.number(PropertyId::maximum_packet_size, mqtt::remaining_length_max + 5);
  client_receive_maximum_ =
      static_cast<std::uint16_t>(wishes.number(PropertyId::receive_maximum, UINT16_MAX));
  reasons_wanted_ = wishes.number(PropertyId::request_problem_information, 1) != 0;
  const auto aliases_max = static_cast<std::uint16_t>(std::min<std::uint32_t>(
      wishes.number(PropertyId::topic_alias_maximum, 0), server_.options().topic_alias_max));
  if (aliases_max > 0) {
    aliases_out_ = std::make_unique<OutboundAliases>(server_.budget(), aliases_max);
  }
}

void MqttConnection::finish_connect(const mqtt::Connect& connect) noexcept {
  take_wishes(connect);
  const std::uint32_t expiry_s = session_expiry(connect);
  // From now on it ends with its connection: the store forgets it.
  if (expiry_s == 0) server_.sessions().keeper().ended(*session_);
  session_->expiry_s = expiry_s;
  // What it was allowed on an earlier connection it may not be any more.
  if (identity_ != nullptr) server_.router().restrict_to(*session_, *identity_);
  if (connect.will && !keep_will(*connect.will)) return;
  state_ = State::connected;
  send_connack(connect);
  if (state_ != State::connected) return;
  if (keep_alive_ > Duration::zero()) {
    arm_after(keep_alive_);
  } else {
    server_.loop().disarm(*this);
  }
  server_.sessions().keeper().session(*session_);
  server_.router().presence(*session_, true);
  pump();
}

void MqttConnection::send_connack(const mqtt::Connect& connect) noexcept {
  const MqttOptions& options = server_.options();
  const std::uint16_t keep_alive_max_s = options.keep_alive_max_s;
  std::uint16_t keep_alive_s = connect.keep_alive_s;
  mqtt::PropertyBuilder<384> properties;
  if (v5()) {
    if (session_->expiry_s != connect.properties.number(PropertyId::session_expiry_interval, 0)) {
      properties.add_u32(PropertyId::session_expiry_interval, session_->expiry_s);
    }
    properties.add_u16(PropertyId::receive_maximum, options.receive_maximum);
    properties.add_u32(PropertyId::maximum_packet_size,
                       static_cast<std::uint32_t>(options.packet_size_max));
    properties.add_u16(PropertyId::topic_alias_maximum, options.topic_alias_max);
    if (keep_alive_max_s != 0 && (keep_alive_s == 0 || keep_alive_s > keep_alive_max_s)) {
      keep_alive_s = keep_alive_max_s;
      properties.add_u16(PropertyId::server_keep_alive, keep_alive_s);
    }
    if (connect.client_id.empty()) {
      properties.add_text(PropertyId::assigned_client_identifier, client_id_);
    }
  }
  assert(!properties.overflowed());
  // Section 3.1.2.10: one and a half times.
  keep_alive_ = std::chrono::milliseconds(1500) * keep_alive_s;
  std::array<char, 400> packet{};
  const std::size_t size = mqtt::write_connack(
      packet, {.session_present = session_present_, .properties = properties.view()}, version_);
  assert(size > 0);
  // [MQTT-3.1.2-24]: a client that cannot even take this cannot be served.
  if (size > client_packet_size_max_) return abort(MqttClose::packet_too_large);
  const std::span<char> out = room(size);
  if (out.empty()) return;
  std::memcpy(out.data(), packet.data(), size);
  committed(size);
}

bool MqttConnection::keep_will(const mqtt::Will& will) noexcept {
  const std::string_view block = will.properties.block();
  const std::size_t size = mqtt::varint_size(static_cast<std::uint32_t>(block.size())) +
                           block.size() + 2 + will.topic.size() + will.payload.size();
  SharedBytes& budget = server_.shared().wills;
  if (!budget.charge(size)) {
    // What this CONNECT has begun ends with it.
    if (!session_present_) session_->expiry_s = 0;
    refuse_connect(ReasonCode::quota_exceeded, ReturnCode::server_unavailable);
    return false;
  }
  std::string bytes(size, '\0');
  mqtt::Writer writer{std::span<char>(bytes)};
  writer.varint(static_cast<std::uint32_t>(block.size()));
  writer.raw(block);
  writer.sized(will.topic);
  writer.raw(will.payload);
  assert(writer.size() == size);
  auto kept = std::make_unique<Will>(std::move(bytes), budget);
  kept->qos = will.qos;
  kept->retain = will.retain;
  kept->delay_s = will.properties.number(PropertyId::will_delay_interval, 0);
  kept->client_id = client_id_;
  session_->will = std::move(kept);
  return true;
}

}  // namespace tocsin::ingress
