// The specification's tables, in full: which property stands in which packet and how often, which
// reason code in which packet and from whom.

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "protocol/mqtt/packets.hpp"

namespace tocsin::mqtt {
namespace {

using P = PropertyPlace;
constexpr std::array all_places{P::connect,  P::will,       P::connack, P::publish,
                                P::puback,   P::subscribe,  P::suback,  P::unsubscribe,
                                P::unsuback, P::disconnect, P::auth};

struct Row {
  std::set<P> places;
  std::string value;  // A valid one.
};

// Table 2-4.
const std::map<unsigned, Row>& table() {
  using namespace std::string_literals;
  const std::set<P> everywhere(all_places.begin(), all_places.end());
  static const std::map<unsigned, Row> rows{
      {1, {{P::publish, P::will}, "\x01"s}},
      {2, {{P::publish, P::will}, "\x00\x00\x00\x00"s}},
      {3, {{P::publish, P::will}, "\x00\x01x"s}},
      {8, {{P::publish, P::will}, "\x00\x01x"s}},
      {9, {{P::publish, P::will}, "\x00\x01\xff"s}},
      {11, {{P::publish, P::subscribe}, "\x01"s}},
      {17, {{P::connect, P::connack, P::disconnect}, "\xff\xff\xff\xff"s}},
      {18, {{P::connack}, "\x00\x01x"s}},
      {19, {{P::connack}, "\x00\x05"s}},
      {21, {{P::connect, P::connack, P::auth}, "\x00\x01x"s}},
      {22, {{P::connect, P::connack, P::auth}, "\x00\x01\x00"s}},
      {23, {{P::connect}, "\x01"s}},
      {24, {{P::will}, "\x00\x00\x00\x09"s}},
      {25, {{P::connect}, "\x01"s}},
      {26, {{P::connack}, "\x00\x01x"s}},
      {28, {{P::connack, P::disconnect}, "\x00\x01x"s}},
      {31, {{P::connack, P::puback, P::suback, P::unsuback, P::disconnect, P::auth}, "\x00\x01x"s}},
      {33, {{P::connect, P::connack}, "\x00\x01"s}},
      {34, {{P::connect, P::connack}, "\x00\x00"s}},
      {35, {{P::publish}, "\x00\x01"s}},
      {36, {{P::connack}, "\x00"s}},
      {37, {{P::connack}, "\x00"s}},
      {38, {everywhere, "\x00\x01k\x00\x00"s}},
      {39, {{P::connect, P::connack}, "\x00\x00\x00\x01"s}},
      {40, {{P::connack}, "\x01"s}},
      {41, {{P::connack}, "\x01"s}},
      {42, {{P::connack}, "\x01"s}},
  };
  return rows;
}

ReasonCode read(std::string_view block, P place) {
  const auto properties = Properties::read_block(block, place);
  return properties ? ReasonCode::success : properties.error().code;
}

std::string property(unsigned id, const std::string& value) {
  // Authentication data needs its method.
  const std::string method = id == 22 ? std::string("\x15\x00\x01x", 4) : std::string();
  return method + static_cast<char>(id) + value;
}

TEST(MqttRules, EachPropertyStandsOnlyInItsPackets) {
  for (unsigned id = 0; id < 256; ++id) {
    const auto row = table().find(id);
    for (const P place : all_places) {
      const bool allowed = row != table().end() && row->second.places.contains(place);
      const std::string value =
          row != table().end() ? row->second.value : std::string("\x00\x00\x00\x00", 4);
      EXPECT_EQ(read(property(id, value), place),
                allowed ? ReasonCode::success : ReasonCode::malformed_packet)
          << id << " in place " << static_cast<unsigned>(place);
    }
  }
}

TEST(MqttRules, OnlyTwoPropertiesMayBeRepeated) {
  for (const auto& [id, row] : table()) {
    for (const P place : row.places) {
      const bool repeatable = id == 38 || (id == 11 && place == P::publish);
      const std::string twice = property(id, row.value) + static_cast<char>(id) + row.value;
      EXPECT_EQ(read(twice, place), repeatable ? ReasonCode::success : ReasonCode::protocol_error)
          << id;
    }
  }
}

TEST(MqttRules, EveryCutOfAPropertyIsMalformed) {
  for (const auto& [id, row] : table()) {
    const std::string whole = property(id, row.value);
    const std::size_t head = whole.size() - row.value.size();
    for (std::size_t size = head; size < whole.size(); ++size) {
      const std::string cut = whole.substr(0, size);
      EXPECT_EQ(read(cut, *row.places.begin()), ReasonCode::malformed_packet) << id;
    }
  }
}

// Chapter 3's tables of reason codes, and who sends them.
TEST(MqttRules, EachReasonCodeStandsOnlyInItsPackets) {
  using T = PacketType;
  const std::map<T, std::set<unsigned>> tables{
      {T::connack, {0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89,
                    0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F}},
      {T::puback, {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}},
      {T::pubrec, {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}},
      {T::pubrel, {0x00, 0x92}},
      {T::pubcomp, {0x00, 0x92}},
      {T::suback, {0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2}},
      {T::unsuback, {0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91}},
      {T::disconnect,
       {0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94,
        0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2}},
      {T::auth, {0x00, 0x18, 0x19}},
  };
  for (const auto& [type, codes] : tables) {
    for (unsigned code = 0; code < 256; ++code) {
      EXPECT_EQ(reason_allowed(type, static_cast<ReasonCode>(code)), codes.contains(code))
          << to_string(type) << ' ' << code;
    }
  }
}

TEST(MqttRules, EachSideHasItsReasonCodes) {
  const std::set<unsigned> client_only{0x04};
  const std::set<unsigned> both{0x00, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93,
                                0x94, 0x95, 0x96, 0x97, 0x98, 0x99};
  for (unsigned value = 0; value < 256; ++value) {
    const auto code = static_cast<ReasonCode>(value);
    const bool known = reason_allowed(PacketType::disconnect, code);
    EXPECT_EQ(reason_allowed_from(Role::client, PacketType::disconnect, code),
              both.contains(value) || client_only.contains(value));
    EXPECT_EQ(reason_allowed_from(Role::server, PacketType::disconnect, code),
              known && !client_only.contains(value));
  }
  EXPECT_FALSE(reason_allowed_from(Role::client, PacketType::auth, ReasonCode::success));
  EXPECT_FALSE(reason_allowed_from(Role::server, PacketType::auth, ReasonCode::re_authenticate));
  EXPECT_TRUE(
      reason_allowed_from(Role::server, PacketType::auth, ReasonCode::continue_authentication));
}

TEST(MqttRules, EachSideHasItsProperties) {
  PropertyBuilder<64> id;
  id.add_varint(PropertyId::subscription_identifier, 1);
  const Publish publish{.topic = "a", .properties = id.view()};
  EXPECT_NE(sender_problem(publish, Role::client), nullptr);
  EXPECT_EQ(sender_problem(publish, Role::server), nullptr);
  PropertyBuilder<64> expiry;
  expiry.add_u32(PropertyId::session_expiry_interval, 1);
  EXPECT_EQ(sender_problem(Disconnect{.properties = expiry.view()}, Role::client), nullptr);
  EXPECT_NE(sender_problem(Disconnect{.properties = expiry.view()}, Role::server), nullptr);
  PropertyBuilder<64> reference;
  reference.add_text(PropertyId::server_reference, "b");
  EXPECT_NE(sender_problem(Disconnect{.properties = reference.view()}, Role::client), nullptr);
  EXPECT_NE(sender_problem(Auth{}, Role::client), nullptr);
}

ReasonCode ack_code(std::string_view body, PacketType type) {
  Frame frame;
  frame.type = type;
  frame.body = body;
  const auto ack = parse_ack(frame, Version::v5);
  return ack ? ReasonCode::success : ack.error().code;
}

// Sections 3.4.2.1 to 3.7.2.1: the reason may be left out, and the properties after it.
TEST(MqttRules, AcknowledgementsHaveShortForms) {
  using namespace std::string_literals;
  for (const auto type :
       {PacketType::puback, PacketType::pubrec, PacketType::pubrel, PacketType::pubcomp}) {
    EXPECT_EQ(ack_code("\x00\x01"s, type), ReasonCode::success);
    EXPECT_EQ(ack_code("\x00\x01\x00"s, type), ReasonCode::success);
    EXPECT_EQ(ack_code("\x00\x01\x00\x00"s, type), ReasonCode::success);
    EXPECT_EQ(ack_code("\x00\x01\x00\x05\x26\x00\x00\x00\x00"s, type), ReasonCode::success);
    EXPECT_EQ(ack_code("\x00\x01\x00\x01"s, type), ReasonCode::malformed_packet);
    EXPECT_EQ(ack_code("\x00"s, type), ReasonCode::malformed_packet);
  }
}

TEST(MqttRules, AnAuthSaysItsMethod) {
  using namespace std::string_literals;
  const auto code = [](const std::string& body) {
    Frame frame;
    frame.type = PacketType::auth;
    frame.body = body;
    const auto auth = parse_auth(frame, Version::v5);
    return auth ? ReasonCode::success : auth.error().code;
  };
  EXPECT_EQ(code(""s), ReasonCode::success);
  EXPECT_EQ(code("\x18"s), ReasonCode::protocol_error);
  EXPECT_EQ(code("\x18\x04\x15\x00\x01x"s), ReasonCode::success);
}

}  // namespace
}  // namespace tocsin::mqtt
