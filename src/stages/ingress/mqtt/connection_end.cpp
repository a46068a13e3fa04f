// How a connection ends, and what its peer is told.

#include <array>
#include <cassert>
#include <cstring>
#include <utility>

#include "stages/ingress/mqtt/connection.hpp"
#include "stages/ingress/mqtt/server.hpp"

namespace tocsin::ingress {
namespace {

using mqtt::PropertyId;
using mqtt::ReasonCode;

// How long a connection may take to accept its last bytes.
constexpr Duration linger = std::chrono::seconds(2);
// How long one that has ended its side may wait for its acknowledgements.
constexpr Duration finish_timeout = std::chrono::seconds(30);

MqttClose close_reason(ReasonCode code) noexcept {
  switch (code) {
    case ReasonCode::malformed_packet:
      return MqttClose::malformed;
    case ReasonCode::packet_too_large:
      return MqttClose::packet_too_large;
    default:
      return MqttClose::protocol_error;
  }
}

}  // namespace

void MqttConnection::arm_after(Duration delay) noexcept {
  server_.loop().arm(*this, server_.loop().now() + delay);
}

void MqttConnection::handle_disconnect(const mqtt::Frame& frame) noexcept {
  const auto disconnect = mqtt::parse_disconnect(frame, version_);
  if (!disconnect) return fail(disconnect.error());
  if (const char* const problem = mqtt::sender_problem(*disconnect, mqtt::Role::client)) {
    return fail({ReasonCode::protocol_error, problem});
  }
  if (disconnect->properties.has(PropertyId::session_expiry_interval)) {
    const std::uint32_t wanted =
        disconnect->properties.number(PropertyId::session_expiry_interval, 0);
    // Section 3.14.2.2.2.
    if (session_->expiry_s == 0 && wanted != 0) {
      return fail({ReasonCode::protocol_error, "session expiry after none"});
    }
    // The store forgets a session that ends with this connection.
    if (wanted == 0) server_.sessions().keeper().ended(*session_);
    session_->expiry_s = std::min(wanted, server_.options().session_expiry_max_s);
  }
  // Section 3.14.4: only an orderly farewell revokes the will.
  if (disconnect->reason == ReasonCode::success) will_wanted_ = false;
  abort(MqttClose::client);
}

void MqttConnection::fail(const mqtt::Error& error) noexcept {
  end(close_reason(error.code), error.code, error.detail);
}

void MqttConnection::end(MqttClose reason, ReasonCode code, std::string_view detail) noexcept {
  if (state_ >= State::flushing || state_ == State::free) return;
  if (state_ == State::await_connect) return abort(reason);
  if (v5() && code != ReasonCode::success) {
    mqtt::PropertyBuilder<128> properties;
    if (!detail.empty()) properties.add_text(PropertyId::reason_string, detail);
    mqtt::Disconnect disconnect{.reason = code, .properties = properties.view()};
    std::array<char, 160> packet{};
    std::size_t size = mqtt::write_disconnect(packet, disconnect, version_);
    // [MQTT-3.14.2-3]: the reason string is left out where it would make the packet too large.
    if (size > client_packet_size_max_) {
      disconnect.properties = {};
      size = mqtt::write_disconnect(packet, disconnect, version_);
    }
    if (size <= client_packet_size_max_) {
      const std::span<char> out = room(size);
      if (out.empty()) return;
      std::memcpy(out.data(), packet.data(), size);
      committed(size);
    }
  }
  flush_and_close(reason);
}

void MqttConnection::flush_and_close(MqttClose reason) noexcept {
  close_reason_ = reason;
  state_ = State::flushing;
  control_->receive_stop(stream_);
  count_carried();
  leave_session();
  if (output_size() == 0) return close_stream();
  arm_after(linger);
}

void MqttConnection::finish(MqttClose reason, ReasonCode goodbye) noexcept {
  if (!receiving()) return;
  if (state_ == State::await_connect) return abort(reason);
  close_reason_ = reason;
  goodbye_ = goodbye;
  state_ = State::finishing;
  control_->receive_stop(stream_);
  carry_.release();
  count_carried();
  arm_after(finish_timeout);
  finish_if_idle();
}

void MqttConnection::finish_if_idle() noexcept {
  if (state_ == State::finishing && inflight_ == 0) end(close_reason_, goodbye_);
}

void MqttConnection::taken_over() noexcept {
  if (state_ == State::await_connect) {
    // Its CONNECT was not answered yet, and will not be.
    return abort(MqttClose::taken_over);
  }
  end(MqttClose::taken_over, ReasonCode::session_taken_over);
  // It was ending already.
  leave_session();
}

void MqttConnection::end_if_revoked() noexcept {
  if (identity_ == nullptr || !identity_->revoked()) return;
  // Nor may it publish any more.
  will_wanted_ = false;
  end(MqttClose::not_authorized, ReasonCode::not_authorized);
}

void MqttConnection::drain() noexcept {
  will_wanted_ = false;
  finish(MqttClose::shutdown, ReasonCode::server_shutting_down);
}

void MqttConnection::abort(MqttClose reason) noexcept {
  if (state_ == State::free || state_ >= State::closing) return;
  if (state_ != State::flushing) close_reason_ = reason;
  close_stream();
}

void MqttConnection::close_stream() noexcept {
  assert(state_ != State::free && state_ < State::closing);
  server_.stats().closed[static_cast<std::size_t>(close_reason_)].add();
  state_ = State::closing;
  server_.loop().disarm(*this);
  control_->close(stream_);
  leave_session();
}

void MqttConnection::leave_session() noexcept {
  if (session_ == nullptr) return;
  server_.sessions().detach(*std::exchange(session_, nullptr), will_wanted_);
}

void MqttConnection::on_closed() noexcept {
  assert(state_ == State::closing && session_ == nullptr);
  // From here on acknowledgements and messages for this connection find nobody.
  ++generation_;
  for (ByteBuffer* buffer : {&carry_, &pending_, &sending_}) buffer->release();
  count_carried();
  recycle();
}

void MqttConnection::recycle() noexcept {
  client_id_ = {};
  certificate_name_ = {};
  identity_.reset();
  aliases_in_.reset();
  aliases_out_.reset();
  state_ = State::free;
  step_ = Step::fresh;
  stops_ = 0;
  inflight_ = 0;
  held_ = false;
  sending_now_ = false;
  ended_ = false;
  will_wanted_ = true;
  session_present_ = false;
  reasons_wanted_ = true;
  quota_taken_ = false;
  event_taken_ = false;
  goodbye_ = ReasonCode::success;
  version_ = mqtt::Version::v3_1_1;
  server_.recycle(slot_);
}

void MqttConnection::on_timer(MonoTime now) noexcept {
  switch (state_) {
    case State::await_connect:
      return abort(MqttClose::connect_timeout);
    case State::finishing:
    case State::flushing:
      return abort(close_reason_);
    case State::connected:
      break;
    default:
      return;
  }
  // While we have no room for its events, or for anybody's, silence is ours, not the client's.
  const bool ours = (stops_ & (stop_capacity | stop_inflight | stop_quota)) != 0 ||
                    (held_ && (stops_ & stop_output) == 0);
  const MonoTime due = (ours ? now : last_received_) + keep_alive_;
  if (due > now) return server_.loop().arm(*this, due);
  end(MqttClose::keep_alive, ReasonCode::keep_alive_timeout);
}

}  // namespace tocsin::ingress
