// Goal: no bytes make the codec read out of bounds, and what it accepts it can write and accept
// again. Input: one byte (version, role), then a stream of packets.

#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "protocol/mqtt/forward.hpp"
#include "protocol/mqtt/packets.hpp"

namespace {

using namespace tocsin::mqtt;

void require(bool holds) {
  if (!holds) std::abort();
}

// What goes on to a subscriber has the publisher's message and nothing of its hop.
void forward(const Publish& publish, Version version) {
  std::string scratch(publish.properties.block().size(), '\0');
  const std::string_view block = forwardable_block(publish.properties, scratch);
  const auto properties = ForwardProperties::read(block);
  require(properties.has_value());
  require(properties->expiry_s().has_value() ==
          publish.properties.has(PropertyId::message_expiry_interval));
  const std::uint32_t id = 7;
  const ForwardExtras extras{
      .expiry_s = properties->expiry_s(), .subscription_ids = {&id, 1}, .topic_alias = 1};
  std::string out(forward_size(publish, *properties, extras, version), '\0');
  require(write_forward(out, publish, *properties, extras, version) == out.size());
  const NextPacket next =
      next_packet({reinterpret_cast<const std::byte*>(out.data()), out.size()}, out.size());
  require(next.status == NextPacket::Status::packet && next.frame.size == out.size());
  const auto got = parse_publish(next.frame, version);
  if (version == Version::v3_1_1) {
    require(got.has_value() == !publish.topic.empty());
    return;
  }
  require(got && got->payload == publish.payload && got->topic == publish.topic);
  require(got->properties.text(PropertyId::correlation_data) ==
          publish.properties.text(PropertyId::correlation_data));
  require(got->properties.number(PropertyId::subscription_identifier, 0) == id);
}

// Writes a parsed packet again; the result must have the frame's meaning, hence parse again.
std::size_t rewrite(const Frame& frame, Version version, std::span<char> out) {
  switch (frame.type) {
    case PacketType::connect: {
      const auto packet = parse_connect(frame);
      return packet ? write_connect(out, *packet) : 0;
    }
    case PacketType::connack: {
      const auto packet = parse_connack(frame, version);
      return packet ? write_connack(out, *packet, version) : 0;
    }
    case PacketType::publish: {
      const auto packet = parse_publish(frame, version);
      if (!packet) return 0;
      forward(*packet, version);
      require(publish_size(*packet, version) <= frame.size);
      return write_publish(out, *packet, version);
    }
    case PacketType::subscribe:
    case PacketType::unsubscribe: {
      const bool subscribing = frame.type == PacketType::subscribe;
      const auto packet =
          subscribing ? parse_subscribe(frame, version) : parse_unsubscribe(frame, version);
      if (!packet) return 0;
      std::vector<Filter> filters;
      packet->for_each([&](const Filter& filter) { filters.push_back(filter); });
      require(!filters.empty());
      return subscribing
                 ? write_subscribe(out, packet->packet_id, filters, packet->properties, version)
                 : write_unsubscribe(out, packet->packet_id, filters, packet->properties, version);
    }
    case PacketType::suback: {
      const auto packet = parse_suback(frame, version);
      return packet ? write_suback(out, *packet, version) : 0;
    }
    case PacketType::unsuback: {
      const auto packet = parse_unsuback(frame, version);
      return packet ? write_unsuback(out, *packet, version) : 0;
    }
    case PacketType::disconnect: {
      const auto packet = parse_disconnect(frame, version);
      return packet ? write_disconnect(out, *packet, version) : 0;
    }
    case PacketType::auth: {
      const auto packet = parse_auth(frame, version);
      return packet ? write_auth(out, *packet) : 0;
    }
    case PacketType::pingreq:
      return parse_ping(frame, version) ? write_pingreq(out) : 0;
    case PacketType::pingresp:
      return parse_ping(frame, version) ? write_pingresp(out) : 0;
    default: {
      const auto packet = parse_ack(frame, version);
      return packet ? write_ack(out, *packet, version) : 0;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Version version = (data[0] & 1U) != 0 ? Version::v5 : Version::v3_1_1;
  std::span<const std::byte> rest{reinterpret_cast<const std::byte*>(data) + 1, size - 1};
  for (;;) {
    const NextPacket next = next_packet(rest, std::size_t{1} << 20U);
    if (next.status != NextPacket::Status::packet) return 0;
    if (next.frame.type == PacketType::connect) (void)peek_protocol_level(next.frame);
    std::string out(next.frame.size + 64, '\0');
    const std::size_t written = rewrite(next.frame, version, out);
    if (written > 0) {
      const std::span again{reinterpret_cast<const std::byte*>(out.data()), written};
      const NextPacket second = next_packet(again, std::size_t{1} << 20U);
      require(second.status == NextPacket::Status::packet && second.frame.size == written);
      std::string twice(out.size(), '\0');
      require(rewrite(second.frame, version, twice) == written &&
              twice.substr(0, written) == out.substr(0, written));
    }
    rest = rest.subspan(next.frame.size);
  }
}
