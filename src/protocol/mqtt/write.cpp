#include <cassert>

#include "protocol/mqtt/packets.hpp"

namespace tocsin::mqtt {
namespace {

// Measures the body, then writes header and body. Every packet but PUBACK goes this way.
template <class Body>
std::size_t write_packet(std::span<char> out, PacketType type, std::uint8_t flags,
                         const Body& body) noexcept {
  Writer measure;
  body(measure);
  if (measure.size() > remaining_length_max) return 0;
  const auto remaining = static_cast<std::uint32_t>(measure.size());
  const std::size_t size = 1 + varint_size(remaining) + remaining;
  if (size > out.size()) return 0;
  Writer writer(out);
  writer.u8(static_cast<std::uint8_t>(static_cast<unsigned>(type) << 4U | flags));
  writer.varint(remaining);
  body(writer);
  assert(writer.size() == size);
  return size;
}

void put(Writer& writer, const Properties& properties, Version version) noexcept {
  if (version != Version::v5) return;
  writer.varint(static_cast<std::uint32_t>(properties.block().size()));
  writer.raw(properties.block());
}

// Section 3.4.2.1 and its like: what is the default is left out.
void put_reason(Writer& writer, ReasonCode reason, const Properties& properties) noexcept {
  if (reason == ReasonCode::success && properties.empty()) return;
  writer.u8(static_cast<std::uint8_t>(reason));
  if (!properties.empty()) put(writer, properties, Version::v5);
}

std::uint8_t connect_flags(const Connect& connect) noexcept {
  unsigned flags = connect.clean_start ? 0x02U : 0U;
  if (connect.will) {
    flags |= 0x04U | static_cast<unsigned>(connect.will->qos) << 3U;
    flags |= connect.will->retain ? 0x20U : 0U;
  }
  if (connect.password) flags |= 0x40U;
  if (connect.user_name) flags |= 0x80U;
  return static_cast<std::uint8_t>(flags);
}

std::size_t write_filters(std::span<char> out, PacketType type, std::uint16_t packet_id,
                          std::span<const Filter> filters, const Properties& properties,
                          Version version) noexcept {
  assert(packet_id != 0 && !filters.empty());
  return write_packet(out, type, 2, [&](Writer& writer) {
    writer.u16(packet_id);
    put(writer, properties, version);
    for (const Filter& filter : filters) {
      writer.sized(filter.filter);
      if (type == PacketType::unsubscribe) continue;
      unsigned options = filter.qos;
      if (version == Version::v5) {
        options |= (filter.no_local ? 4U : 0U) | (filter.retain_as_published ? 8U : 0U) |
                   static_cast<unsigned>(filter.retain_handling) << 4U;
      }
      writer.u8(static_cast<std::uint8_t>(options));
    }
  });
}

std::size_t write_codes(std::span<char> out, PacketType type, const SubAck& ack,
                        Version version) noexcept {
  assert(ack.packet_id != 0);
  return write_packet(out, type, 0, [&](Writer& writer) {
    writer.u16(ack.packet_id);
    put(writer, ack.properties, version);
    const bool codes = type == PacketType::suback || version == Version::v5;
    if (codes) writer.raw(ack.codes);
  });
}

void put_publish(Writer& writer, const Publish& publish, Version version) noexcept {
  writer.sized(publish.topic);
  if (publish.qos > 0) writer.u16(publish.packet_id);
  put(writer, publish.properties, version);
  writer.raw(publish.payload);
}

}  // namespace

std::size_t write_connect(std::span<char> out, const Connect& connect) noexcept {
  return write_packet(out, PacketType::connect, 0, [&](Writer& writer) {
    writer.sized(protocol_name);
    writer.u8(static_cast<std::uint8_t>(connect.version));
    writer.u8(connect_flags(connect));
    writer.u16(connect.keep_alive_s);
    put(writer, connect.properties, connect.version);
    writer.sized(connect.client_id);
    if (connect.will) {
      put(writer, connect.will->properties, connect.version);
      writer.sized(connect.will->topic);
      writer.sized(connect.will->payload);
    }
    if (connect.user_name) writer.sized(*connect.user_name);
    if (connect.password) writer.sized(*connect.password);
  });
}

std::size_t write_connack(std::span<char> out, const ConnAck& connack, Version version) noexcept {
  return write_packet(out, PacketType::connack, 0, [&](Writer& writer) {
    writer.u8(connack.session_present ? 1 : 0);
    writer.u8(connack.code);
    put(writer, connack.properties, version);
  });
}

std::size_t write_publish(std::span<char> out, const Publish& publish, Version version) noexcept {
  assert((publish.qos == 0) == (publish.packet_id == 0) && publish.qos < 3);
  const unsigned flags = (publish.dup ? 8U : 0U) | static_cast<unsigned>(publish.qos) << 1U |
                         (publish.retain ? 1U : 0U);
  return write_packet(out, PacketType::publish, static_cast<std::uint8_t>(flags),
                      [&](Writer& writer) { put_publish(writer, publish, version); });
}

std::size_t publish_size(const Publish& publish, Version version) noexcept {
  Writer measure;
  put_publish(measure, publish, version);
  return 1 + varint_size(static_cast<std::uint32_t>(measure.size())) + measure.size();
}

std::size_t write_ack(std::span<char> out, const Ack& ack, Version version) noexcept {
  assert(ack.type >= PacketType::puback && ack.type <= PacketType::pubcomp && ack.packet_id != 0);
  const bool short_form =
      version != Version::v5 || (ack.reason == ReasonCode::success && ack.properties.empty());
  const std::uint8_t flags = ack.type == PacketType::pubrel ? 2 : 0;
  if (short_form) {
    if (out.size() < 4) return 0;
    Writer writer(out.first(4));
    writer.u8(static_cast<std::uint8_t>(static_cast<unsigned>(ack.type) << 4U | flags));
    writer.u8(2);
    writer.u16(ack.packet_id);
    return 4;
  }
  return write_packet(out, ack.type, flags, [&](Writer& writer) {
    writer.u16(ack.packet_id);
    put_reason(writer, ack.reason, ack.properties);
  });
}

std::size_t write_subscribe(std::span<char> out, std::uint16_t packet_id,
                            std::span<const Filter> filters, const Properties& properties,
                            Version version) noexcept {
  return write_filters(out, PacketType::subscribe, packet_id, filters, properties, version);
}

std::size_t write_unsubscribe(std::span<char> out, std::uint16_t packet_id,
                              std::span<const Filter> filters, const Properties& properties,
                              Version version) noexcept {
  return write_filters(out, PacketType::unsubscribe, packet_id, filters, properties, version);
}

std::size_t write_suback(std::span<char> out, const SubAck& suback, Version version) noexcept {
  return write_codes(out, PacketType::suback, suback, version);
}

std::size_t write_unsuback(std::span<char> out, const SubAck& unsuback, Version version) noexcept {
  return write_codes(out, PacketType::unsuback, unsuback, version);
}

std::size_t write_disconnect(std::span<char> out, const Disconnect& disconnect,
                             Version version) noexcept {
  return write_packet(out, PacketType::disconnect, 0, [&](Writer& writer) {
    if (version == Version::v5) put_reason(writer, disconnect.reason, disconnect.properties);
  });
}

std::size_t write_auth(std::span<char> out, const Auth& auth) noexcept {
  return write_packet(out, PacketType::auth, 0,
                      [&](Writer& writer) { put_reason(writer, auth.reason, auth.properties); });
}

std::size_t write_pingreq(std::span<char> out) noexcept {
  return write_packet(out, PacketType::pingreq, 0, [](Writer&) {});
}

std::size_t write_pingresp(std::span<char> out) noexcept {
  return write_packet(out, PacketType::pingresp, 0, [](Writer&) {});
}

}  // namespace tocsin::mqtt
