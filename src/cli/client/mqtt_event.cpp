#include <array>

#include <fmt/format.h>

#include "cli/client/blocking_stream.hpp"
#include "cli/client/one_event.hpp"
#include "flow/sources.hpp"
#include "protocol/mqtt/packets.hpp"

namespace tocsin::cli {
namespace {

constexpr auto version = mqtt::Version::v5;
constexpr std::size_t packet_size_max = std::size_t{1} << 20U;

/// Waits for the next packet; its views are valid until the next call.
class PacketReader {
 public:
  explicit PacketReader(BlockingStream& stream) : stream_(stream) {}

  Result<mqtt::Frame, std::string> next() {
    stream_.consume(consumed_);
    consumed_ = 0;
    for (;;) {
      const auto found = mqtt::next_packet(stream_.received(), packet_size_max);
      if (found.status == mqtt::NextPacket::Status::packet) {
        consumed_ = found.frame.size;
        return found.frame;
      }
      if (found.status == mqtt::NextPacket::Status::error) {
        return Unexpected{fmt::format("the broker's answer is not MQTT: {}", found.error.detail)};
      }
      const auto more = stream_.receive();
      if (!more) return Unexpected{more.error()};
      if (!*more) return Unexpected{std::string("the broker closed the connection")};
    }
  }

 private:
  BlockingStream& stream_;
  std::size_t consumed_ = 0;
};

std::string refusal(std::string_view what, unsigned code, const mqtt::Properties& properties) {
  const std::string_view reason = properties.text(mqtt::PropertyId::reason_string);
  return fmt::format("the broker refused the {} (0x{:02X}){}{}", what, code,
                     reason.empty() ? "" : ": ", reason);
}

Result<mqtt::Frame, std::string> expect(PacketReader& reader, mqtt::PacketType type) {
  auto frame = reader.next();
  if (!frame || frame->type == type) return frame;
  if (frame->type == mqtt::PacketType::disconnect) {
    if (const auto bye = mqtt::parse_disconnect(*frame, version)) {
      return Unexpected{refusal("message", static_cast<unsigned>(bye->reason), bye->properties)};
    }
  }
  return Unexpected{fmt::format("the broker answered with {} instead of {}",
                                mqtt::to_string(frame->type), mqtt::to_string(type))};
}

Result<void, std::string> log_in(BlockingStream& stream, PacketReader& reader) {
  std::array<char, 64> hello;
  const std::size_t size = mqtt::write_connect(hello, {.version = version});
  if (auto sent = stream.send({hello.data(), size}); !sent) return sent;
  const auto frame = expect(reader, mqtt::PacketType::connack);
  if (!frame) return Unexpected{frame.error()};
  const auto connack = mqtt::parse_connack(*frame, version);
  if (!connack) return Unexpected{std::string("the broker's CONNACK is malformed")};
  if (connack->code != 0) {
    return Unexpected{refusal("connection", connack->code, connack->properties)};
  }
  return {};
}

Result<std::string, std::string> await_answer(PacketReader& reader, std::uint8_t qos) {
  if (qos == 0) {
    const auto pong = expect(reader, mqtt::PacketType::pingresp);
    if (!pong) return Unexpected{pong.error()};
    return std::string("sent (QoS 0 has no acknowledgement; the broker has read it)");
  }
  const auto frame = expect(reader, mqtt::PacketType::puback);
  if (!frame) return Unexpected{frame.error()};
  const auto ack = mqtt::parse_ack(*frame, version);
  if (!ack) return Unexpected{std::string("the broker's PUBACK is malformed")};
  const auto code = static_cast<unsigned>(ack->reason);
  if (code >= 0x80) return Unexpected{refusal("message", code, ack->properties)};
  return fmt::format("acknowledged (PUBACK 0x{:02X})", code);
}

}  // namespace

Result<std::string, std::string> send_mqtt(const Target& target, const MqttEvent& event,
                                           std::chrono::milliseconds timeout) {
  if (!flow::topic_name_valid(event.topic) || event.topic.size() > UINT16_MAX) {
    return Unexpected{fmt::format("\"{}\" is not a topic to publish on", event.topic)};
  }
  const mqtt::Publish publish{.topic = event.topic,
                              .payload = event.data,
                              .packet_id = static_cast<std::uint16_t>(event.qos == 0 ? 0 : 1),
                              .qos = event.qos};
  std::string packet(mqtt::publish_size(publish, version), '\0');
  if (packet.size() > packet_size_max) return Unexpected{std::string("the data is too large")};
  packet.resize(mqtt::write_publish(packet, publish, version));
  if (event.qos == 0) {
    std::array<char, 2> ping;
    packet.append(ping.data(), mqtt::write_pingreq(ping));
  }

  auto stream = BlockingStream::connect(target, timeout);
  if (!stream) return Unexpected{stream.error()};
  PacketReader reader(*stream);
  if (auto done = log_in(*stream, reader); !done) return Unexpected{done.error()};
  if (auto sent = stream->send(packet); !sent) return Unexpected{sent.error()};
  auto answer = await_answer(reader, event.qos);
  std::array<char, 8> bye;
  const std::size_t size = mqtt::write_disconnect(bye, {}, version);
  // The event is safe by now: a farewell that fails changes nothing.
  [[maybe_unused]] const auto parted = stream->send({bye.data(), size});
  return answer;
}

}  // namespace tocsin::cli
