#include "protocol/mqtt/forward.hpp"

#include <cassert>

namespace tocsin::mqtt {

bool forwardable(PropertyId id) noexcept {
  switch (id) {
    case PropertyId::payload_format_indicator:
    case PropertyId::message_expiry_interval:
    case PropertyId::content_type:
    case PropertyId::response_topic:
    case PropertyId::correlation_data:
    case PropertyId::user_property:
      return true;
    default:
      return false;
  }
}

std::string_view forwardable_block(const Properties& properties, std::span<char> scratch) noexcept {
  const bool all = !properties.has(PropertyId::topic_alias) &&
                   !properties.has(PropertyId::subscription_identifier) &&
                   !properties.has(PropertyId::will_delay_interval);
  if (all) return properties.block();
  assert(scratch.size() >= properties.block().size());
  Writer writer(scratch);
  properties.for_each([&](const Properties::Entry& entry) {
    if (forwardable(entry.id)) writer.raw(entry.wire);
    return true;
  });
  return {scratch.data(), writer.size()};
}

Result<ForwardProperties, Error> ForwardProperties::read(std::string_view block) noexcept {
  ForwardProperties made;
  made.before_ = block;
  if (block.empty()) return made;
  const auto properties = Properties::read_block(block, PropertyPlace::publish);
  if (!properties) return Unexpected{properties.error()};
  bool allowed = true;
  properties->for_each([&](const Properties::Entry& entry) {
    allowed = forwardable(entry.id);
    if (entry.id == PropertyId::message_expiry_interval) {
      const auto at = static_cast<std::size_t>(entry.wire.data() - block.data());
      made.before_ = block.substr(0, at);
      made.after_ = block.substr(at + entry.wire.size());
      made.expiry_s_ = entry.number;
    }
    return allowed;
  });
  if (!allowed) return Unexpected{Error{ReasonCode::protocol_error, "property of one hop"}};
  return made;
}

/// The pieces of the packet; nothing of them is kept.
class ForwardWriter {
 public:
  ForwardWriter(const Publish& publish, const ForwardProperties& properties,
                const ForwardExtras& extras, Version version) noexcept
      : publish_(publish), properties_(properties), extras_(extras), version_(version) {
    assert((publish.qos == 0) == (publish.packet_id == 0) && publish.qos < 3);
    body_size_ = 2 + publish.topic.size() + (publish.qos > 0 ? 2U : 0U) + publish.payload.size();
    if (version != Version::v5) return;
    block_size_ = properties.before_.size() + properties.after_.size() +
                  (extras.expiry_s ? 5U : 0U) + (extras.topic_alias != 0 ? 3U : 0U);
    for (const std::uint32_t id : extras.subscription_ids) block_size_ += 1 + varint_size(id);
    if (block_size_ > remaining_length_max) return;
    body_size_ += varint_size(static_cast<std::uint32_t>(block_size_)) + block_size_;
  }

  /// 0: larger than a packet may be.
  [[nodiscard]] std::size_t size() const noexcept {
    if (block_size_ > remaining_length_max || body_size_ > remaining_length_max) return 0;
    return 1 + varint_size(static_cast<std::uint32_t>(body_size_)) + body_size_;
  }
  void write(Writer& writer) const noexcept {
    writer.u8(static_cast<std::uint8_t>(0x30U | (publish_.dup ? 8U : 0U) |
                                        static_cast<unsigned>(publish_.qos) << 1U |
                                        (publish_.retain ? 1U : 0U)));
    writer.varint(static_cast<std::uint32_t>(body_size_));
    writer.sized(publish_.topic);
    if (publish_.qos > 0) writer.u16(publish_.packet_id);
    if (version_ == Version::v5) write_block(writer);
    writer.raw(publish_.payload);
  }

 private:
  static void put_id(Writer& writer, PropertyId id) noexcept {
    writer.u8(static_cast<std::uint8_t>(id));
  }
  void write_block(Writer& writer) const noexcept {
    writer.varint(static_cast<std::uint32_t>(block_size_));
    writer.raw(properties_.before_);
    writer.raw(properties_.after_);
    if (extras_.expiry_s) {
      put_id(writer, PropertyId::message_expiry_interval);
      writer.u32(*extras_.expiry_s);
    }
    if (extras_.topic_alias != 0) {
      put_id(writer, PropertyId::topic_alias);
      writer.u16(extras_.topic_alias);
    }
    for (const std::uint32_t id : extras_.subscription_ids) {
      put_id(writer, PropertyId::subscription_identifier);
      writer.varint(id);
    }
  }

  const Publish& publish_;
  const ForwardProperties& properties_;
  const ForwardExtras& extras_;
  Version version_;
  std::size_t block_size_ = 0;
  std::size_t body_size_ = 0;
};

std::size_t forward_size(const Publish& publish, const ForwardProperties& properties,
                         const ForwardExtras& extras, Version version) noexcept {
  return ForwardWriter(publish, properties, extras, version).size();
}

std::size_t write_forward(std::span<char> out, const Publish& publish,
                          const ForwardProperties& properties, const ForwardExtras& extras,
                          Version version) noexcept {
  const ForwardWriter forward(publish, properties, extras, version);
  const std::size_t size = forward.size();
  if (size == 0 || size > out.size()) return 0;
  Writer writer(out);
  forward.write(writer);
  assert(writer.size() == size);
  return size;
}

}  // namespace tocsin::mqtt
