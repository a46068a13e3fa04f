#include "protocol/mqtt/forward.hpp"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

namespace tocsin::mqtt {
namespace {

void fill(PropertyBuilder<256>& builder) {
  builder.add_user("a", "1");
  builder.add_u8(PropertyId::payload_format_indicator, 1);
  builder.add_u32(PropertyId::message_expiry_interval, 60);
  builder.add_text(PropertyId::content_type, "application/json");
  builder.add_user("b", "2");
  builder.add_text(PropertyId::response_topic, "answers/7");
  builder.add_text(PropertyId::correlation_data, std::string_view("\x00\xff", 2));
  builder.add_user("a", "1");
}

std::string users_of(const Properties& properties) {
  std::string users;
  properties.for_each_user_property([&](std::string_view name, std::string_view value) {
    users.append(name).append("=").append(value).append(";");
    return true;
  });
  return users;
}

Publish parsed(std::string_view packet, Version version) {
  const NextPacket next =
      next_packet({reinterpret_cast<const std::byte*>(packet.data()), packet.size()}, 1 << 20);
  EXPECT_EQ(next.status, NextPacket::Status::packet);
  const auto publish = parse_publish(next.frame, version);
  EXPECT_TRUE(publish.has_value());
  return publish ? *publish : Publish{};
}

// Goal: what belongs to one hop is left out, everything else stays in its order.
TEST(Forward, OnlyForwardablePropertiesGoOn) {
  PropertyBuilder<256> in;
  in.add_u16(PropertyId::topic_alias, 3);
  fill(in);
  in.add_varint(PropertyId::subscription_identifier, 9);
  std::string scratch(in.view().block().size(), '\0');
  const std::string_view block = forwardable_block(in.view(), scratch);
  PropertyBuilder<256> expected;
  fill(expected);
  EXPECT_EQ(block, expected.view().block());
  // Nothing to leave out: the block itself.
  EXPECT_EQ(forwardable_block(expected.view(), {}).data(), expected.view().block().data());
  EXPECT_TRUE(forwardable_block({}, {}).empty());
}

TEST(Forward, AWillIsForwardedWithoutItsDelay) {
  PropertyBuilder<256> in;
  in.add_u32(PropertyId::will_delay_interval, 3);
  in.add_user("a", "1");
  std::string scratch(in.view().block().size(), '\0');
  PropertyBuilder<256> expected;
  expected.add_user("a", "1");
  EXPECT_EQ(forwardable_block(in.view(), scratch), expected.view().block());
}

TEST(Forward, EachSubscriberGetsItsOwn) {
  PropertyBuilder<256> in;
  fill(in);
  const auto properties = ForwardProperties::read(in.view().block());
  ASSERT_TRUE(properties.has_value());
  EXPECT_EQ(properties->expiry_s(), 60U);
  const std::array<std::uint32_t, 2> ids{1, remaining_length_max};
  const Publish publish{.topic = "a/b", .payload = "{}", .packet_id = 5, .qos = 2, .retain = true};
  const ForwardExtras extras{.expiry_s = 41, .subscription_ids = ids, .topic_alias = 2};
  std::string out(512, '\0');
  out.resize(write_forward(out, publish, *properties, extras, Version::v5));
  EXPECT_EQ(out.size(), forward_size(publish, *properties, extras, Version::v5));
  const Publish got = parsed(out, Version::v5);
  EXPECT_EQ(got.topic, "a/b");
  EXPECT_EQ(got.payload, "{}");
  EXPECT_EQ(got.packet_id, 5);
  EXPECT_EQ(got.qos, 2);
  EXPECT_TRUE(got.retain && !got.dup);
  EXPECT_EQ(got.properties.number(PropertyId::message_expiry_interval, 0), 41U);
  EXPECT_EQ(got.properties.number(PropertyId::topic_alias, 0), 2U);
  EXPECT_EQ(got.properties.text(PropertyId::response_topic), "answers/7");
  EXPECT_EQ(got.properties.text(PropertyId::correlation_data), std::string_view("\x00\xff", 2));
  EXPECT_EQ(users_of(got.properties), "a=1;b=2;a=1;");
  std::vector<std::uint32_t> seen;
  got.properties.for_each([&](const Properties::Entry& entry) {
    if (entry.id == PropertyId::subscription_identifier) seen.push_back(entry.number);
    return true;
  });
  EXPECT_EQ(seen, (std::vector<std::uint32_t>{1, remaining_length_max}));
}

TEST(Forward, OlderClientsGetNoProperties) {
  PropertyBuilder<256> in;
  fill(in);
  const auto properties = ForwardProperties::read(in.view().block());
  ASSERT_TRUE(properties.has_value());
  const Publish publish{.topic = "a/b", .payload = "x"};
  std::array<char, 64> a{};
  std::array<char, 64> b{};
  const std::size_t size = write_forward(a, publish, *properties, {.expiry_s = 1}, Version::v3_1_1);
  EXPECT_EQ(size, write_publish(b, publish, Version::v3_1_1));
  EXPECT_EQ(a, b);
}

// Goal: what was stored may be damaged; and a writer never leaves its span.
TEST(Forward, BadBlocksAndShortSpansAreRefused) {
  PropertyBuilder<64> alias;
  alias.add_u16(PropertyId::topic_alias, 3);
  EXPECT_FALSE(ForwardProperties::read(alias.view().block()).has_value());
  EXPECT_FALSE(ForwardProperties::read("\x26\x00\x05").has_value());
  const Publish publish{.topic = "a/b", .payload = "0123456789"};
  const ForwardExtras extras{.expiry_s = 7};
  const std::size_t size = forward_size(publish, {}, extras, Version::v5);
  for (std::size_t room = 0; room < size; ++room) {
    const auto out = std::make_unique<char[]>(room);
    EXPECT_EQ(write_forward({out.get(), room}, publish, {}, extras, Version::v5), 0U);
  }
}

}  // namespace
}  // namespace tocsin::mqtt
