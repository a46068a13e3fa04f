// Goal: no bytes make the codec read out of bounds, and what it accepts it can write and accept
// again. Input: one byte (version, role), then a stream of packets.

#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "protocol/mqtt/packets.hpp"

namespace {

using namespace tocsin::mqtt;

void require(bool holds) {
  if (!holds) std::abort();
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
      std::size_t users = 0;
      packet->properties.for_each_user_property([&](std::string_view, std::string_view) {
        ++users;
        return true;
      });
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
