#include "stages/ingress/mqtt/message.hpp"

#include "protocol/mqtt/bytes.hpp"

namespace tocsin::ingress {
namespace {

constexpr std::uint8_t message_version = 1;
constexpr std::uint8_t flag_retain = 1;
constexpr std::uint8_t flag_expires = 2;

}  // namespace

KeptMessage::KeptMessage(const RoutedMessage& message, SharedBytes& budget)
    : budget_(budget),
      topic_size_(static_cast<std::uint32_t>(message.topic.size())),
      properties_size_(static_cast<std::uint32_t>(message.properties.size())),
      expires_(message.expires),
      sequence_(message.sequence),
      qos_(message.qos),
      retain_(message.retain) {
  bytes_.reserve(message.topic.size() + message.properties.size() + message.payload.size());
  bytes_.append(message.topic).append(message.properties).append(message.payload);
}

MessageRef KeptMessage::make(const RoutedMessage& message, SharedBytes& budget) {
  const std::size_t size =
      message.topic.size() + message.properties.size() + message.payload.size();
  if (!budget.charge(cost_of(size))) return nullptr;
  return std::make_shared<const KeptMessage>(message, budget);
}

RoutedMessage KeptMessage::view() const noexcept {
  const std::string_view all = bytes_;
  RoutedMessage message;
  message.topic = all.substr(0, topic_size_);
  message.properties = all.substr(topic_size_, properties_size_);
  message.payload = all.substr(topic_size_ + properties_size_);
  message.qos = qos_;
  message.retain = retain_;
  message.expires = expires_;
  message.sequence = sequence_;
  return message;
}

// [version][qos][flags][sequence, 8][expiry, wall µs, 8][topic, sized][properties size, 4]
// [properties][payload]
std::string encode_message(const RoutedMessage& message, Duration wall_offset) {
  const bool expires = message.expires != MonoTime::max();
  const std::int64_t expiry_us = expires ? to_us(message.expires + wall_offset) : 0;
  std::string out(25 + message.topic.size() + message.properties.size() + message.payload.size(),
                  '\0');
  mqtt::Writer writer{std::span<char>(out)};
  writer.u8(message_version);
  writer.u8(message.qos);
  writer.u8(static_cast<std::uint8_t>((message.retain ? flag_retain : 0U) |
                                      (expires ? flag_expires : 0U)));
  for (const std::uint64_t value : {message.sequence, static_cast<std::uint64_t>(expiry_us)}) {
    writer.u32(static_cast<std::uint32_t>(value >> 32U));
    writer.u32(static_cast<std::uint32_t>(value));
  }
  writer.sized(message.topic);
  writer.u32(static_cast<std::uint32_t>(message.properties.size()));
  writer.raw(message.properties);
  writer.raw(message.payload);
  return out;
}

std::optional<RoutedMessage> decode_message(std::string_view bytes, Duration wall_offset) noexcept {
  mqtt::Reader reader(bytes);
  const auto u64 = [&] {
    const std::uint64_t high = reader.u32();
    return high << 32U | reader.u32();
  };
  if (reader.u8() != message_version) return {};
  RoutedMessage message;
  message.qos = reader.u8();
  const std::uint8_t flags = reader.u8();
  message.retain = (flags & flag_retain) != 0;
  message.sequence = u64();
  const auto expiry_us = static_cast<std::int64_t>(u64());
  message.topic = reader.sized();
  message.properties = reader.take(reader.u32());
  message.payload = reader.rest();
  if (reader.bad() || message.topic.empty() || message.qos > 2) return {};
  if ((flags & flag_expires) != 0) message.expires = from_us<MonoTime>(expiry_us) - wall_offset;
  return message;
}

}  // namespace tocsin::ingress
