#include "stages/ingress/mqtt/connection.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include "stages/ingress/mqtt/server.hpp"

namespace tocsin::ingress {
namespace {

// What the I/O layer may still hand over after receiving was stopped.
constexpr std::size_t late_bytes_max = std::size_t{1024} * 1024;
// How long a connection may take to accept its last bytes.
constexpr Duration linger = std::chrono::seconds(2);
// How long one that has ended its side may wait for its acknowledgements.
constexpr Duration finish_timeout = std::chrono::seconds(30);

MqttClose close_reason(mqtt::ReasonCode code) noexcept {
  switch (code) {
    case mqtt::ReasonCode::malformed_packet:
      return MqttClose::malformed;
    case mqtt::ReasonCode::packet_too_large:
      return MqttClose::packet_too_large;
    case mqtt::ReasonCode::topic_alias_invalid:
      return MqttClose::unsupported;
    default:
      return MqttClose::protocol_error;
  }
}

}  // namespace

MqttConnection::MqttConnection(MqttServer& server, std::uint32_t slot)
    : server_(server),
      slot_(slot),
      carry_(&server.budget(), mqtt_kept_max),
      pending_(&server.budget(), mqtt_kept_max),
      sending_(&server.budget(), mqtt_kept_max),
      will_(&server.budget(), mqtt_kept_max) {}

MqttConnection::~MqttConnection() { server_.loop().disarm(*this); }

SessionDirectory::Owner MqttConnection::owner() noexcept { return {&server_, slot_, generation_}; }

void MqttConnection::open(io::StreamControl& control, io::StreamId stream,
                          const io::Endpoint& peer, std::string_view certificate_name) noexcept {
  assert(state_ == State::free);
  control_ = &control;
  stream_ = stream;
  peer_ = peer;
  certificate_name_.assign(certificate_name);
  state_ = State::await_connect;
  last_received_ = server_.loop().now();
  arm_after(server_.options().connect_timeout);
  control_->receive_start(stream);
}

void MqttConnection::on_connected(io::Errno) noexcept { assert(false && "only accepted streams"); }

void MqttConnection::arm_after(Duration delay) noexcept {
  server_.loop().arm(*this, server_.loop().now() + delay);
}

// --- input
// ----------------------------------------------------------------------------------------

void MqttConnection::on_data(std::span<const std::byte> bytes) noexcept {
  if (!receiving()) return;
  last_received_ = server_.loop().now();
  std::span<const std::byte> rest = bytes;
  if (!carry_.empty()) {
    if (stops_ == 0) rest = process_carried(rest);
    if (!carry_.empty()) {
      keep(rest);
      return count_carried();
    }
  }
  keep(rest.subspan(process(rest)));
  count_carried();
}

void MqttConnection::count_carried() noexcept {
  const std::size_t before = std::exchange(counted_carry_, carry_.size());
  server_.carried(before, counted_carry_);
}

void MqttConnection::hold_receiving() noexcept {
  if (!receiving() || held_) return;
  held_ = true;
  server_.hold(slot_);
  control_->receive_stop(stream_);
}

void MqttConnection::end_hold() noexcept {
  if (!std::exchange(held_, false) || !receiving() || stops_ != 0 || resuming_) return;
  control_->receive_start(stream_);
}

void MqttConnection::keep(std::span<const std::byte> bytes) noexcept {
  if (bytes.empty() || !receiving()) return;
  // One client must not take the budget of all.
  const std::size_t limit = server_.options().packet_size_max + late_bytes_max;
  const std::string_view text{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  if (carry_.size() + bytes.size() > limit || !carry_.append(text)) abort(MqttClose::memory);
}

std::size_t MqttConnection::process(std::span<const std::byte> bytes) noexcept {
  std::size_t used = 0;
  while (receiving() && stops_ == 0 && used < bytes.size()) {
    const std::size_t size_max = state_ == State::await_connect ? mqtt_first_packet_size_max
                                                                : server_.options().packet_size_max;
    const mqtt::NextPacket next = mqtt::next_packet(bytes.subspan(used), size_max);
    if (next.status == mqtt::NextPacket::Status::need_more) break;
    if (next.status == mqtt::NextPacket::Status::error) {
      fail(next.error);
      break;
    }
    if (!handle(next.frame)) break;
    used += next.frame.size;
  }
  return used;
}

// Processes what is carried; a partial frame at its end is completed from `rest`, byte for byte
// what it needs, so that the frames behind it are processed in place. Returns what is left of
// `rest`.
std::span<const std::byte> MqttConnection::process_carried(
    std::span<const std::byte> rest) noexcept {
  for (;;) {
    carry_.consume(process(carry_.bytes()));
    if (carry_.empty() || stops_ != 0 || !receiving() || rest.empty()) return rest;
    const mqtt::NextPacket next =
        mqtt::next_packet(carry_.bytes(), server_.options().packet_size_max);
    assert(next.status == mqtt::NextPacket::Status::need_more);
    const std::size_t missing = std::min(next.size_min - carry_.size(), rest.size());
    keep(rest.first(missing));
    rest = rest.subspan(missing);
  }
}

bool MqttConnection::handle(const mqtt::Frame& frame) noexcept {
  using mqtt::PacketType;
  if (state_ == State::await_connect) {
    server_.stats().packets.add();
    if (frame.type == PacketType::connect) {
      handle_connect(frame);
    } else {
      // [MQTT-3.1.0-1]; there is no version yet in which to say so.
      abort(MqttClose::protocol_error);
    }
    return true;
  }
  if (frame.type == PacketType::publish && !handle_publish(frame)) return false;
  server_.stats().packets.add();
  switch (frame.type) {
    case PacketType::publish:
      break;
    case PacketType::puback:
      handle_puback(frame);
      break;
    case PacketType::pingreq:
      handle_ping(frame);
      break;
    case PacketType::subscribe:
      handle_subscribe(frame);
      break;
    case PacketType::unsubscribe:
      handle_unsubscribe(frame);
      break;
    case PacketType::disconnect:
      handle_disconnect(frame);
      break;
    case PacketType::connect:
      fail({mqtt::ReasonCode::protocol_error, "second CONNECT"});
      break;
    // QoS 2 is never agreed, authentication never begun; the rest only a server sends.
    default:
      fail({mqtt::ReasonCode::protocol_error, "unexpected packet"});
      break;
  }
  return true;
}

void MqttConnection::handle_ping(const mqtt::Frame& frame) noexcept {
  const auto ping = mqtt::parse_ping(frame, version_);
  if (!ping) return fail(ping.error());
  const std::span<char> out = room(2);
  if (!out.empty()) committed(mqtt::write_pingresp(out));
}

void MqttConnection::handle_disconnect(const mqtt::Frame& frame) noexcept {
  const auto disconnect = mqtt::parse_disconnect(frame, version_);
  if (!disconnect) return fail(disconnect.error());
  // Section 3.14.2.2.2.
  if (session_expires_ &&
      disconnect->properties.number(mqtt::PropertyId::session_expiry_interval, 0) != 0) {
    return fail({mqtt::ReasonCode::protocol_error, "session expiry after none"});
  }
  // Section 3.14.4: only an orderly farewell revokes the will.
  if (disconnect->reason == mqtt::ReasonCode::success) will_due_ = false;
  abort(MqttClose::client);
}

void MqttConnection::stop(Stop reason) noexcept {
  if (stops_ == 0) control_->receive_stop(stream_);
  stops_ |= reason;
  if (reason == stop_capacity && !std::exchange(waiting_, true)) server_.wait_for_capacity(slot_);
}

void MqttConnection::go_on(Stop reason) noexcept {
  if ((stops_ & reason) == 0) return;
  stops_ = static_cast<std::uint8_t>(stops_ & ~reason);
  if (stops_ == 0 && !std::exchange(resuming_, true)) server_.resume_later(slot_);
}

void MqttConnection::on_capacity() noexcept {
  // The server has moved us to its list of those that resume.
  waiting_ = false;
  stops_ = static_cast<std::uint8_t>(stops_ & ~stop_capacity);
}

void MqttConnection::resume() noexcept {
  resuming_ = false;
  if (state_ == State::will_waiting) {
    if (publish_will()) recycle();
    return;
  }
  if (!receiving() || stops_ != 0) return;
  process_carried({});
  count_carried();
  if (!receiving() || stops_ != 0) return;
  if (ended_) return finish(MqttClose::end_of_stream, mqtt::ReasonCode::success);
  last_received_ = server_.loop().now();
  if (server_.holding()) return hold_receiving();
  control_->receive_start(stream_);
}

void MqttConnection::on_end(io::Errno error) noexcept {
  if (error != 0) return abort(MqttClose::reset);
  if (!receiving()) return;
  ended_ = true;
  // What is held may end with a DISCONNECT; it is processed first.
  if (stops_ == 0) finish(MqttClose::end_of_stream, mqtt::ReasonCode::success);
}

// --- output
// ---------------------------------------------------------------------------------------

std::span<char> MqttConnection::room(std::size_t size) noexcept {
  const std::span<char> out = pending_.tail(size);
  if (out.empty()) abort(MqttClose::memory);
  return out;
}

void MqttConnection::committed(std::size_t size) noexcept {
  assert(size > 0);
  pending_.commit(size);
  if (!std::exchange(dirty_, true)) server_.flush_later(slot_);
  if (receiving() && output_size() > server_.options().output_bytes_max) stop(stop_output);
}

void MqttConnection::flush() noexcept {
  dirty_ = false;
  if (state_ == State::free || state_ >= State::closing) return;
  if (sending_now_) return;
  if (pending_.empty()) {
    if (state_ == State::flushing) close_stream();
    return;
  }
  assert(sending_.empty());
  sending_.swap(pending_);
  sending_now_ = true;
  control_->send(stream_, sending_.bytes());
}

void MqttConnection::on_sent(io::Errno error) noexcept {
  sending_now_ = false;
  sending_.clear();
  if (state_ >= State::closing) return;
  if (error != 0) return abort(MqttClose::reset);
  if ((!pending_.empty() || state_ == State::flushing) && !std::exchange(dirty_, true)) {
    server_.flush_later(slot_);
  }
  if (output_size() <= server_.options().output_bytes_max / 2) go_on(stop_output);
}

// --- the end
// --------------------------------------------------------------------------------------

void MqttConnection::fail(const mqtt::Error& error) noexcept {
  end(close_reason(error.code), error.code);
}

void MqttConnection::end(MqttClose reason, mqtt::ReasonCode code) noexcept {
  if (state_ >= State::flushing || state_ == State::free) return;
  if (state_ == State::await_connect) return abort(reason);
  if (v5() && code != mqtt::ReasonCode::success) {
    const std::span<char> out = room(4);
    if (out.empty()) return;
    const std::size_t size = mqtt::write_disconnect(out, {.reason = code}, version_);
    assert(size <= 4);
    committed(size);
  }
  flush_and_close(reason);
}

void MqttConnection::flush_and_close(MqttClose reason) noexcept {
  close_reason_ = reason;
  state_ = State::flushing;
  control_->receive_stop(stream_);
  if (output_size() == 0) return close_stream();
  arm_after(linger);
}

void MqttConnection::finish(MqttClose reason, mqtt::ReasonCode goodbye) noexcept {
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
  end(MqttClose::taken_over, mqtt::ReasonCode::session_taken_over);
}

void MqttConnection::drain() noexcept {
  will_due_ = false;
  if (state_ == State::will_waiting) {
    server_.stats().wills_lost.add();
    recycle();
    return;
  }
  finish(MqttClose::shutdown, mqtt::ReasonCode::server_shutting_down);
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
}

void MqttConnection::on_closed() noexcept {
  assert(state_ == State::closing);
  // From here on acknowledgements and messages for this connection find nobody.
  if (!client_id_.empty()) server_.directory().release(client_id_, owner());
  client_id_.clear();
  ++generation_;
  if (subscriber_ && !subscriber_->subscriptions.empty()) server_.subscriber_removed(slot_);
  subscriber_.reset();
  for (ByteBuffer* buffer : {&carry_, &pending_, &sending_}) buffer->release();
  count_carried();
  held_ = false;
  if (will_due_ && !publish_will()) {
    state_ = State::will_waiting;
    return;
  }
  recycle();
}

void MqttConnection::recycle() noexcept {
  will_.release();
  will_due_ = false;
  state_ = State::free;
  stops_ = 0;
  inflight_ = 0;
  sending_now_ = false;
  ended_ = false;
  session_expires_ = true;
  goodbye_ = mqtt::ReasonCode::success;
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
  // While we have no room for its events, silence is ours, not the client's.
  const bool ours = (stops_ & (stop_capacity | stop_inflight)) != 0;
  const MonoTime due = (ours ? now : last_received_) + keep_alive_;
  if (due > now) return server_.loop().arm(*this, due);
  end(MqttClose::keep_alive, mqtt::ReasonCode::keep_alive_timeout);
}

}  // namespace tocsin::ingress
