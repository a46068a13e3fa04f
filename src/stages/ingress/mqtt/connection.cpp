#include "stages/ingress/mqtt/connection.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include "stages/ingress/mqtt/server.hpp"

namespace tocsin::ingress {
namespace {

// What the I/O layer may still hand over after receiving was stopped.
constexpr std::size_t late_bytes_max = std::size_t{1024} * 1024;
// The same before anybody is known to whom it could be granted.
constexpr std::size_t early_bytes_max = std::size_t{128} * 1024;

}  // namespace

MqttConnection::MqttConnection(MqttServer& server, std::uint32_t slot)
    : server_(server),
      slot_(slot),
      carry_(&server.budget(), mqtt_kept_max),
      pending_(&server.budget(), mqtt_kept_max),
      sending_(&server.budget(), mqtt_kept_max) {}

MqttConnection::~MqttConnection() { server_.loop().disarm(*this); }

void MqttConnection::open(io::StreamControl& control, io::StreamId stream, const io::Endpoint& peer,
                          std::string_view certificate_name) noexcept {
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

// --- input
// ----------------------------------------------------------------------------------------

void MqttConnection::on_data(std::span<const std::byte> bytes) noexcept {
  if (!receiving()) return;
  last_received_ = server_.loop().now();
  busy_ = true;
  std::span<const std::byte> rest = bytes;
  if (!carry_.empty() && stops_ == 0) rest = process_carried(rest);
  if (carry_.empty()) rest = rest.subspan(process(rest));
  keep(rest);
  carry_.shrink();
  count_carried();
  if (server_.holding()) hold_receiving();
}

void MqttConnection::count_carried() noexcept {
  // Only what we work off by ourselves: who does not read its answers, or sends too much, or has
  // sent half a packet, may stay so, and the others must not wait for that.
  const int ours = stops_ & ~(stop_output | stop_quota);
  const bool waits = state_ == State::connected && (ours != 0 || resuming_);
  const std::size_t before = std::exchange(counted_carry_, waits ? carry_.size() : 0);
  server_.carried(before, counted_carry_);
  const bool early = state_ == State::await_connect;
  const std::size_t early_before = std::exchange(counted_early_, early ? carry_.size() : 0);
  server_.carried_early(early_before, counted_early_);
}

void MqttConnection::hold_receiving() noexcept {
  if (state_ != State::connected || held_ || stops_ != 0 || resuming_) return;
  held_ = true;
  control_->receive_stop(stream_);
}

void MqttConnection::end_hold() noexcept {
  if (!std::exchange(held_, false) || !receiving() || stops_ != 0 || resuming_) return;
  last_received_ = server_.loop().now();
  control_->receive_start(stream_);
}

void MqttConnection::keep(std::span<const std::byte> bytes) noexcept {
  if (bytes.empty() || !receiving()) return;
  // One client must not take the budget of all.
  const std::size_t limit = state_ == State::await_connect
                                ? mqtt_first_packet_size_max + early_bytes_max
                                : server_.options().packet_size_max + late_bytes_max;
  if (state_ == State::await_connect &&
      !server_.has_early_room(counted_early_, carry_.size() + bytes.size())) {
    return abort(MqttClose::memory);
  }
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
    if (frame.type != PacketType::connect) {
      // [MQTT-3.1.0-1]; there is no version yet in which to say so.
      abort(MqttClose::protocol_error);
    } else if (!handle_connect(frame)) {
      return false;
    }
  } else if (frame.type == PacketType::publish) {
    if (!handle_publish(frame)) return false;
  } else {
    handle_other(frame);
  }
  server_.stats().packets.add();
  return true;
}

void MqttConnection::handle_other(const mqtt::Frame& frame) noexcept {
  using mqtt::PacketType;
  switch (frame.type) {
    case PacketType::puback:
      return handle_puback(frame);
    case PacketType::pubrec:
      return handle_pubrec(frame);
    case PacketType::pubrel:
      return handle_pubrel(frame);
    case PacketType::pubcomp:
      return handle_pubcomp(frame);
    case PacketType::pingreq:
      return handle_ping(frame);
    case PacketType::subscribe:
      return handle_subscribe(frame);
    case PacketType::unsubscribe:
      return handle_unsubscribe(frame);
    case PacketType::disconnect:
      return handle_disconnect(frame);
    case PacketType::connect:
      return fail({mqtt::ReasonCode::protocol_error, "second CONNECT"});
    // Authentication is never begun; the rest only a server sends.
    default:
      return fail({mqtt::ReasonCode::protocol_error, "unexpected packet"});
  }
}

void MqttConnection::handle_ping(const mqtt::Frame& frame) noexcept {
  const auto ping = mqtt::parse_ping(frame, version_);
  if (!ping) return fail(ping.error());
  const std::span<char> out = room(2);
  if (!out.empty()) committed(mqtt::write_pingresp(out));
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
  count_carried();
}

void MqttConnection::on_capacity() noexcept {
  // The server has moved us to its list of those that resume.
  waiting_ = false;
  resuming_ = true;
  stops_ = static_cast<std::uint8_t>(stops_ & ~stop_capacity);
}

void MqttConnection::resume() noexcept {
  resuming_ = false;
  if (!receiving() || stops_ != 0) return count_carried();
  process_carried({});
  carry_.shrink();
  count_carried();
  if (!receiving() || stops_ != 0) return;
  if (ended_) return finish(MqttClose::end_of_stream, mqtt::ReasonCode::success);
  last_received_ = server_.loop().now();
  if (server_.holding()) hold_receiving();
  if (!held_) control_->receive_start(stream_);
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
  busy_ = true;
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
  if (output_size() <= server_.options().output_bytes_max / 2) {
    go_on(stop_output);
    pump();
  }
}

bool MqttConnection::half_empty(std::size_t size) const noexcept {
  return output_size() == 0 || output_size() + size <= server_.options().output_bytes_max / 2;
}

void MqttConnection::trim() noexcept {
  // What waited for memory, which nobody announces.
  if (session_ != nullptr) server_.router().continue_retained(*session_);
  if (std::exchange(busy_, false)) return;
  for (ByteBuffer* buffer : {&carry_, &pending_}) {
    if (buffer->empty()) buffer->release();
  }
  if (!sending_now_) sending_.release();
}

}  // namespace tocsin::ingress
