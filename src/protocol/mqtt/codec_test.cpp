#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "protocol/mqtt/packets.hpp"

namespace tocsin::mqtt {
namespace {

using Status = NextPacket::Status;
constexpr std::size_t size_max = 1 << 20;

NextPacket frame_of(std::string_view bytes) {
  return next_packet({reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()}, size_max);
}

// Parses the packet with the parser of its type; success, or the reason code.
ReasonCode parse_any(const Frame& frame, Version version) {
  const auto code = [](const auto& result) {
    return result.has_value() ? ReasonCode::success : result.error().code;
  };
  switch (frame.type) {
    case PacketType::connect:
      return code(parse_connect(frame));
    case PacketType::connack:
      return code(parse_connack(frame, version));
    case PacketType::publish:
      return code(parse_publish(frame, version));
    case PacketType::subscribe:
      return code(parse_subscribe(frame, version));
    case PacketType::suback:
      return code(parse_suback(frame, version));
    case PacketType::unsubscribe:
      return code(parse_unsubscribe(frame, version));
    case PacketType::unsuback:
      return code(parse_unsuback(frame, version));
    case PacketType::pingreq:
    case PacketType::pingresp:
      return code(parse_ping(frame, version));
    case PacketType::disconnect:
      return code(parse_disconnect(frame, version));
    case PacketType::auth:
      return code(parse_auth(frame, version));
    default:
      return code(parse_ack(frame, version));
  }
}

ReasonCode parse_bytes(std::string_view bytes, Version version) {
  const NextPacket next = frame_of(bytes);
  if (next.status == Status::error) return next.error.code;
  EXPECT_EQ(next.status, Status::packet);
  return next.status == Status::packet ? parse_any(next.frame, version)
                                       : ReasonCode::unspecified_error;
}

template <class Write>
std::string written(Write&& write) {
  std::string out(2048, '\0');
  const std::size_t size = write(std::span<char>(out));
  EXPECT_GT(size, 0U);
  out.resize(size);
  return out;
}

// One packet of every kind that the version has, as full as possible.
std::vector<std::string> samples(Version version) {
  const bool v5 = version == Version::v5;
  std::vector<std::string> all;
  PropertyBuilder<256> user;
  PropertyBuilder<256> will;
  PropertyBuilder<256> connect;
  PropertyBuilder<256> publish;
  if (v5) {
    user.add_text(PropertyId::reason_string, "because");
    user.add_user("k", "v");
    will.add_u32(PropertyId::will_delay_interval, 5);
    will.add_text(PropertyId::content_type, "text/plain");
    connect.add_u32(PropertyId::session_expiry_interval, 60);
    connect.add_u16(PropertyId::receive_maximum, 10);
    connect.add_u32(PropertyId::maximum_packet_size, 1000);
    publish.add_u8(PropertyId::payload_format_indicator, 1);
    publish.add_u32(PropertyId::message_expiry_interval, 9);
    publish.add_text(PropertyId::content_type, "application/json");
    publish.add_user("a", "b");
    publish.add_user("a", "c");
  }
  const Connect c{.version = version,
                  .keep_alive_s = 60,
                  .client_id = "dev",
                  .will = Will{.topic = "w/t",
                               .payload = "gone",
                               .qos = 1,
                               .retain = true,
                               .properties = will.view()},
                  .user_name = "u",
                  .password = "p",
                  .properties = connect.view()};
  all.push_back(written([&](auto out) { return write_connect(out, c); }));
  all.push_back(written([&](auto out) {
    return write_connack(out, {.session_present = true, .properties = {}}, version);
  }));
  all.push_back(written([&](auto out) {
    return write_publish(out,
                         {.topic = "a/b",
                          .payload = "{}",
                          .packet_id = 7,
                          .qos = 1,
                          .dup = true,
                          .retain = true,
                          .properties = publish.view()},
                         version);
  }));
  for (const auto type :
       {PacketType::puback, PacketType::pubrec, PacketType::pubrel, PacketType::pubcomp}) {
    const auto reason = !v5                          ? ReasonCode::success
                        : type <= PacketType::pubrec ? ReasonCode::quota_exceeded
                                                     : ReasonCode::packet_identifier_not_found;
    all.push_back(written([&](auto out) {
      return write_ack(
          out, {.type = type, .packet_id = 258, .reason = reason, .properties = user.view()},
          version);
    }));
  }
  const std::array filters{Filter{.filter = "n/+", .qos = 1}, Filter{.filter = "n/#"}};
  all.push_back(written([&](auto out) { return write_subscribe(out, 3, filters, {}, version); }));
  all.push_back(written([&](auto out) { return write_unsubscribe(out, 4, filters, {}, version); }));
  const std::string codes{"\x01\x80", 2};
  all.push_back(written([&](auto out) {
    return write_suback(out, {.packet_id = 3, .properties = user.view(), .codes = codes}, version);
  }));
  all.push_back(written([&](auto out) {
    return write_unsuback(
        out, {.packet_id = 4, .properties = user.view(), .codes = std::string_view("\x11\x80", 2)},
        version);
  }));
  all.push_back(written([&](auto out) { return write_pingreq(out); }));
  all.push_back(written([&](auto out) { return write_pingresp(out); }));
  all.push_back(written([&](auto out) {
    return write_disconnect(
        out, {.reason = ReasonCode::server_shutting_down, .properties = user.view()}, version);
  }));
  if (v5) {
    PropertyBuilder<64> auth;
    auth.add_text(PropertyId::authentication_method, "x");
    auth.add_text(PropertyId::authentication_data, "y");
    all.push_back(written([&](auto out) {
      return write_auth(out,
                        {.reason = ReasonCode::continue_authentication, .properties = auth.view()});
    }));
  }
  return all;
}

// Goal: what one side writes, the other side parses, in both versions.
TEST(MqttCodec, EveryPacketParses) {
  for (const Version version : {Version::v3_1_1, Version::v5}) {
    for (const std::string& packet : samples(version)) {
      EXPECT_EQ(parse_bytes(packet, version), ReasonCode::success)
          << to_string(frame_of(packet).frame.type);
    }
  }
}

// Goal: a packet cut anywhere is "need more", and no byte beyond the cut is read.
// Method: each prefix in a heap block of exactly its size, so that the sanitizers see an overrun;
// then each body cut short but with a matching length, which every parser must survive.
TEST(MqttCodec, EveryCutIsSafe) {
  for (const Version version : {Version::v3_1_1, Version::v5}) {
    for (const std::string& packet : samples(version)) {
      for (std::size_t size = 0; size < packet.size(); ++size) {
        const auto copy = std::make_unique<char[]>(size);
        std::memcpy(copy.get(), packet.data(), size);
        const NextPacket next = frame_of({copy.get(), size});
        ASSERT_EQ(next.status, Status::need_more) << "size " << size;
        ASSERT_GT(next.size_min, size);
        ASSERT_LE(next.size_min, packet.size());
      }
      const Frame whole = frame_of(packet).frame;
      for (std::size_t size = 0; size < whole.body.size(); ++size) {
        const auto copy = std::make_unique<char[]>(size);
        std::memcpy(copy.get(), whole.body.data(), size);
        Frame frame = whole;
        frame.body = {copy.get(), size};
        (void)parse_any(frame, version);
      }
    }
  }
}

// Goal: every flag combination of the fixed header that the specification reserves is refused at
// once, before a body arrives.
TEST(MqttCodec, ReservedHeaderBitsAreRefused) {
  for (unsigned first = 0; first < 256; ++first) {
    const unsigned type = first >> 4U;
    const unsigned flags = first & 15U;
    bool valid = type != 0;
    if (type == 3) {
      valid = (flags & 6U) != 6U && (flags & 14U) != 8U;
    } else if (type == 6 || type == 8 || type == 10) {
      valid = flags == 2;
    } else if (flags != 0) {
      valid = false;
    }
    const char byte = static_cast<char>(first);
    const NextPacket next = frame_of({&byte, 1});
    EXPECT_EQ(next.status, valid ? Status::need_more : Status::error) << first;
    if (!valid) {
      EXPECT_EQ(next.error.code, ReasonCode::malformed_packet);
    }
  }
}

// Goal: bytes on the wire are those of the specification's figures.
TEST(MqttCodec, GoldenBytes) {
  using namespace std::string_literals;
  EXPECT_EQ(written([](auto out) {
              return write_connect(
                  out, {.version = Version::v3_1_1, .keep_alive_s = 10, .client_id = "ab"});
            }),
            "\x10\x0e\x00\x04MQTT\x04\x02\x00\x0a\x00\x02"s
            "ab"s);
  EXPECT_EQ(written([](auto out) {
              return write_publish(out, {.topic = "a/b", .payload = "x", .packet_id = 10, .qos = 1},
                                   Version::v3_1_1);
            }),
            "\x32\x08\x00\x03"s
            "a/b\x00\x0ax"s);
  EXPECT_EQ(written([](auto out) {
              return write_publish(out, {.topic = "a/b", .payload = "x"}, Version::v5);
            }),
            "\x30\x07\x00\x03"s
            "a/b\x00x"s);
  EXPECT_EQ(written([](auto out) { return write_ack(out, {.packet_id = 0x1234}, Version::v5); }),
            "\x40\x02\x12\x34"s);
  EXPECT_EQ(written([](auto out) {
              return write_ack(out, {.packet_id = 1, .reason = ReasonCode::quota_exceeded},
                               Version::v5);
            }),
            "\x40\x03\x00\x01\x97"s);
  EXPECT_EQ(written([](auto out) { return write_connack(out, {.code = 1}, Version::v3_1_1); }),
            "\x20\x02\x00\x01"s);
  EXPECT_EQ(written([](auto out) {
              return write_disconnect(out, {.reason = ReasonCode::server_shutting_down},
                                      Version::v5);
            }),
            "\xe0\x01\x8b"s);
  EXPECT_EQ(written([](auto out) { return write_pingresp(out); }), "\xd0\x00"s);
}

// Goal: all that a CONNECT carries comes out again.
TEST(MqttCodec, ConnectRoundTrip) {
  const std::string packet = samples(Version::v5).front();
  const auto connect = parse_connect(frame_of(packet).frame);
  ASSERT_TRUE(connect.has_value());
  EXPECT_EQ(connect->version, Version::v5);
  EXPECT_EQ(connect->client_id, "dev");
  EXPECT_EQ(connect->keep_alive_s, 60);
  EXPECT_TRUE(connect->clean_start);
  ASSERT_TRUE(connect->will.has_value());
  EXPECT_EQ(connect->will->topic, "w/t");
  EXPECT_EQ(connect->will->payload, "gone");
  EXPECT_EQ(connect->will->qos, 1);
  EXPECT_TRUE(connect->will->retain);
  EXPECT_EQ(connect->will->properties.number(PropertyId::will_delay_interval, 0), 5U);
  EXPECT_EQ(connect->user_name, "u");
  EXPECT_EQ(connect->password, "p");
  EXPECT_EQ(connect->properties.number(PropertyId::receive_maximum, 0), 10U);
  EXPECT_EQ(connect->properties.number(PropertyId::topic_alias_maximum, 3), 3U);
  EXPECT_EQ(written([&](auto out) { return write_connect(out, *connect); }), packet);
}

// Goal: the same for PUBLISH, with its properties in order.
TEST(MqttCodec, PublishRoundTrip) {
  const std::string packet = samples(Version::v5)[2];
  const auto publish = parse_publish(frame_of(packet).frame, Version::v5);
  ASSERT_TRUE(publish.has_value());
  EXPECT_EQ(publish->topic, "a/b");
  EXPECT_EQ(publish->payload, "{}");
  EXPECT_EQ(publish->packet_id, 7);
  EXPECT_TRUE(publish->dup && publish->retain);
  EXPECT_EQ(publish->properties.text(PropertyId::content_type), "application/json");
  std::string users;
  publish->properties.for_each_user_property([&](std::string_view name, std::string_view value) {
    users.append(name).append("=").append(value).append(";");
    return true;
  });
  EXPECT_EQ(users, "a=b;a=c;");
  EXPECT_EQ(publish_size(*publish, Version::v5), packet.size());
  EXPECT_EQ(written([&](auto out) { return write_publish(out, *publish, Version::v5); }), packet);
}

TEST(MqttCodec, FrameLimits) {
  using namespace std::string_literals;
  // A fifth length byte, and lengths above the limit, are refused before the body.
  EXPECT_EQ(frame_of("\x30\xff\xff\xff\xff"s).error.code, ReasonCode::malformed_packet);
  EXPECT_EQ(frame_of("\x30\xff\xff\xff\x7f"s).error.code, ReasonCode::packet_too_large);
  EXPECT_EQ(frame_of("\xc0\x01"s).error.code, ReasonCode::malformed_packet);
  // The whole packet may be exactly as large as the limit.
  const std::string ten =
      "\x30\x08\x00\x03"s
      "a/b123"s;
  const std::span bytes{reinterpret_cast<const std::byte*>(ten.data()), ten.size()};
  EXPECT_EQ(next_packet(bytes, 10).status, Status::packet);
  EXPECT_EQ(next_packet(bytes, 9).status, Status::error);
  // A length that is longer than need be: 5.0 forbids it, 3.1.1 does not.
  const std::string wide =
      "\x30\x86\x00\x00\x03"s
      "a/bx"s;
  EXPECT_EQ(parse_bytes(wide, Version::v3_1_1), ReasonCode::success);
  EXPECT_EQ(parse_bytes("\x30\x87\x00\x00\x03"s
                        "a/b\x00x"s,
                        Version::v5),
            ReasonCode::malformed_packet);
}

struct Bad {
  const char* what;
  std::string bytes;
  Version version;
  ReasonCode code;
};

// Goal: each way in which parsers have died, and each rule of the specification that a single
// packet can break, is refused with its reason.
TEST(MqttCodec, BadPackets) {
  using namespace std::string_literals;
  constexpr auto v3 = Version::v3_1_1;
  constexpr auto v5 = Version::v5;
  constexpr auto malformed = ReasonCode::malformed_packet;
  constexpr auto violation = ReasonCode::protocol_error;
  const std::string head3 = "\x00\x04MQTT\x04"s;
  const std::string head5 = "\x00\x04MQTT\x05"s;
  const auto packet = [](char first, const std::string& body) {
    return std::string{first, static_cast<char>(body.size())} + body;
  };
  const auto v5_publish = [&](const std::string& properties) {
    return packet('\x30',
                  "\x00\x01"s
                  "t"s +
                      static_cast<char>(properties.size()) + properties);
  };
  const std::vector<Bad> all{
      {"topic past the end",
       packet('\x30',
              "\x00\x09"s
              "t"s),
       v3, malformed},
      {"packet id missing",
       packet('\x32',
              "\x00\x01"s
              "t\x01"s),
       v3, malformed},
      {"packet id 0",
       packet('\x32',
              "\x00\x01"s
              "t\x00\x00"s),
       v3, violation},
      {"empty topic", packet('\x30', "\x00\x00"s), v3, violation},
      {"empty topic, v5", packet('\x30', "\x00\x00\x00"s), v5, violation},
      {"wildcard +",
       packet('\x30',
              "\x00\x03"s
              "a/+"s),
       v3, malformed},
      {"wildcard #",
       packet('\x30',
              "\x00\x01"s
              "#"s),
       v3, malformed},
      {"NUL in topic",
       packet('\x30',
              "\x00\x02"s
              "a\x00"s),
       v3, malformed},
      {"surrogate in topic", packet('\x30', "\x00\x03\xed\xa0\x80"s), v3, malformed},
      {"overlong in topic", packet('\x30', "\x00\x02\xc0\xaf"s), v3, malformed},
      {"topic alias 0", v5_publish("\x23\x00\x00"s), v5, ReasonCode::topic_alias_invalid},
      {"unknown property", v5_publish("\x7f\x00"s), v5, malformed},
      {"two-byte property id", v5_publish("\x81\x00\x00"s), v5, malformed},
      {"property of CONNECT", v5_publish("\x21\x00\x01"s), v5, malformed},
      {"duplicate property", v5_publish("\x01\x00\x01\x00"s), v5, violation},
      {"flag property 2", v5_publish("\x01\x02"s), v5, violation},
      {"property past the end",
       v5_publish("\x03\x00\x05"s
                  "ab"s),
       v5, malformed},
      {"property not UTF-8", v5_publish("\x03\x00\x01\xff"s), v5, malformed},
      {"subscription id 0", v5_publish("\x0b\x00"s), v5, violation},
      {"response topic wildcard", v5_publish("\x08\x00\x01#"s), v5, violation},
      {"property length past the end",
       packet('\x30',
              "\x00\x01"s
              "t\x05"s),
       v5, malformed},
      {"property length not minimal",
       packet('\x30',
              "\x00\x01"s
              "t\x80\x00"s),
       v5, malformed},
      {"other name", packet('\x10', "\x00\x04MQTX\x04\x02\x00\x00\x00\x00"s), v3,
       ReasonCode::unsupported_protocol_version},
      {"level 6", packet('\x10', "\x00\x04MQTT\x06\x02\x00\x00\x00\x00"s), v3,
       ReasonCode::unsupported_protocol_version},
      {"reserved connect flag", packet('\x10', head3 + "\x03\x00\x00\x00\x01x"s), v3, malformed},
      {"will QoS without will", packet('\x10', head3 + "\x0a\x00\x00\x00\x01x"s), v3, malformed},
      {"will retain without will", packet('\x10', head3 + "\x22\x00\x00\x00\x01x"s), v3, malformed},
      {"will QoS 3", packet('\x10', head3 + "\x1e\x00\x00\x00\x01x\x00\x01w\x00\x00"s), v3,
       malformed},
      {"will past the end", packet('\x10', head3 + "\x06\x00\x00\x00\x01x\x00\x01w\x00\x05"s), v3,
       malformed},
      {"will topic wildcard", packet('\x10', head3 + "\x06\x00\x00\x00\x01x\x00\x01#\x00\x00"s), v3,
       malformed},
      {"will property of PUBLISH",
       packet('\x10', head5 + "\x06\x00\x00\x00\x00\x01x\x03\x23\x00\x01\x00\x01w\x00\x00"s), v5,
       malformed},
      {"password without user", packet('\x10', head3 + "\x42\x00\x00\x00\x01x\x00\x01p"s), v3,
       malformed},
      {"bytes after CONNECT", packet('\x10', head3 + "\x02\x00\x00\x00\x01xy"s), v3, malformed},
      {"receive maximum 0", packet('\x10', head5 + "\x02\x00\x00\x03\x21\x00\x00\x00\x00"s), v5,
       violation},
      {"auth data alone", packet('\x10', head5 + "\x02\x00\x00\x04\x16\x00\x01z\x00\x00"s), v5,
       violation},
      {"SUBSCRIBE without filter", packet('\x82', "\x00\x01"s), v3, violation},
      {"SUBSCRIBE id 0",
       packet('\x82',
              "\x00\x00\x00\x01"s
              "a\x00"s),
       v3, violation},
      {"options past the end",
       packet('\x82',
              "\x00\x01\x00\x01"s
              "a"s),
       v3, malformed},
      {"empty filter", packet('\x82', "\x00\x01\x00\x00\x00"s), v3, malformed},
      {"QoS 3",
       packet('\x82',
              "\x00\x01\x00\x01"s
              "a\x03"s),
       v3, malformed},
      {"options reserved, 3.1.1",
       packet('\x82',
              "\x00\x01\x00\x01"s
              "a\x04"s),
       v3, malformed},
      {"options reserved",
       packet('\x82',
              "\x00\x01\x00\x00\x01"s
              "a\x40"s),
       v5, malformed},
      {"retain handling 3",
       packet('\x82',
              "\x00\x01\x00\x00\x01"s
              "a\x30"s),
       v5, violation},
      {"no local shared",
       packet('\x82',
              "\x00\x01\x00\x00\x0a"s
              "$share/g/a\x04"s),
       v5, violation},
      {"PUBACK too long", packet('\x40', "\x00\x01\x00"s), v3, malformed},
      {"PUBACK id 0", packet('\x40', "\x00\x00"s), v3, violation},
      {"PUBACK reason", packet('\x40', "\x00\x01\x8b"s), v5, malformed},
      {"PUBACK tail", packet('\x40', "\x00\x01\x10\x00\x00"s), v5, malformed},
      {"DISCONNECT body", packet('\xe0', "\x00"s), v3, malformed},
      {"DISCONNECT reason", packet('\xe0', "\x05"s), v5, malformed},
      {"AUTH in 3.1.1", packet('\xf0', ""s), v3, malformed},
      {"CONNACK flags", packet('\x20', "\x02\x00"s), v3, malformed},
      {"session after refusal", packet('\x20', "\x01\x02"s), v3, violation},
      {"SUBACK code", packet('\x90', "\x00\x01\x03"s), v3, malformed},
  };
  for (const Bad& bad : all) {
    EXPECT_EQ(parse_bytes(bad.bytes, bad.version), bad.code) << bad.what;
  }
}

// Goal: a writer that lacks a single byte of room writes nothing beyond it and says so.
TEST(MqttCodec, WritersKeepToTheirSpan) {
  const Publish publish{.topic = "a/b", .payload = "0123456789"};
  const std::size_t size = publish_size(publish, Version::v3_1_1);
  for (std::size_t room = 0; room < size; ++room) {
    const auto out = std::make_unique<char[]>(room);
    EXPECT_EQ(write_publish({out.get(), room}, publish, Version::v3_1_1), 0U);
  }
  std::array<char, 3> small{};
  EXPECT_EQ(write_ack(small, {.packet_id = 1}, Version::v3_1_1), 0U);
}

}  // namespace
}  // namespace tocsin::mqtt
