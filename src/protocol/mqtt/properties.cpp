#include "protocol/mqtt/properties.hpp"

#include "protocol/mqtt/utf8.hpp"

namespace tocsin::mqtt {
namespace {

enum class Kind : std::uint8_t { none, flag, u16, u32, varint, text, topic, binary, pair };

struct Spec {
  Kind kind = Kind::none;
  std::uint16_t places = 0;  // A bit per PropertyPlace.
  bool zero_allowed = true;
};

constexpr std::uint16_t at(PropertyPlace place) noexcept {
  return static_cast<std::uint16_t>(1U << static_cast<unsigned>(place));
}
template <class... Places>
constexpr std::uint16_t at(PropertyPlace first, Places... rest) noexcept {
  return static_cast<std::uint16_t>(at(first) | at(rest...));
}

constexpr std::size_t id_count = 43;

// Table 2-4 of section 2.2.2.2.
constexpr std::array<Spec, id_count> make_specs() noexcept {
  using P = PropertyPlace;
  using I = PropertyId;
  std::array<Spec, id_count> specs{};
  const auto set = [&](I id, Kind kind, std::uint16_t places, bool zero_allowed = true) {
    specs[static_cast<std::size_t>(id)] = {kind, places, zero_allowed};
  };
  set(I::payload_format_indicator, Kind::flag, at(P::publish, P::will));
  set(I::message_expiry_interval, Kind::u32, at(P::publish, P::will));
  set(I::content_type, Kind::text, at(P::publish, P::will));
  set(I::response_topic, Kind::topic, at(P::publish, P::will));
  set(I::correlation_data, Kind::binary, at(P::publish, P::will));
  set(I::subscription_identifier, Kind::varint, at(P::publish, P::subscribe), false);
  set(I::session_expiry_interval, Kind::u32, at(P::connect, P::connack, P::disconnect));
  set(I::assigned_client_identifier, Kind::text, at(P::connack));
  set(I::server_keep_alive, Kind::u16, at(P::connack));
  set(I::authentication_method, Kind::text, at(P::connect, P::connack, P::auth));
  set(I::authentication_data, Kind::binary, at(P::connect, P::connack, P::auth));
  set(I::request_problem_information, Kind::flag, at(P::connect));
  set(I::will_delay_interval, Kind::u32, at(P::will));
  set(I::request_response_information, Kind::flag, at(P::connect));
  set(I::response_information, Kind::text, at(P::connack));
  set(I::server_reference, Kind::text, at(P::connack, P::disconnect));
  set(I::reason_string, Kind::text,
      at(P::connack, P::puback, P::suback, P::unsuback, P::disconnect, P::auth));
  set(I::receive_maximum, Kind::u16, at(P::connect, P::connack), false);
  set(I::topic_alias_maximum, Kind::u16, at(P::connect, P::connack));
  set(I::topic_alias, Kind::u16, at(P::publish));
  set(I::maximum_qos, Kind::flag, at(P::connack));
  set(I::retain_available, Kind::flag, at(P::connack));
  set(I::user_property, Kind::pair, 0xFFFF);
  set(I::maximum_packet_size, Kind::u32, at(P::connect, P::connack), false);
  set(I::wildcard_subscription_available, Kind::flag, at(P::connack));
  set(I::subscription_identifier_available, Kind::flag, at(P::connack));
  set(I::shared_subscription_available, Kind::flag, at(P::connack));
  return specs;
}
constexpr std::array<Spec, id_count> specs = make_specs();

struct Value {
  std::uint32_t number = 0;
  std::string_view name;
  std::string_view text;
};

Value read_value(Reader& reader, Kind kind) noexcept {
  Value value;
  switch (kind) {
    case Kind::none:
      break;
    case Kind::flag:
      value.number = reader.u8();
      break;
    case Kind::u16:
      value.number = reader.u16();
      break;
    case Kind::u32:
      value.number = reader.u32();
      break;
    case Kind::varint:
      value.number = reader.varint();
      break;
    case Kind::pair:
      value.name = reader.sized();
      [[fallthrough]];
    case Kind::text:
    case Kind::topic:
    case Kind::binary:
      value.text = reader.sized();
      break;
  }
  return value;
}

// Section 2.2.2.2 and the property's own section: null when the value is allowed.
const char* value_problem(const Spec& spec, const Value& value) noexcept {
  switch (spec.kind) {
    case Kind::flag:
      return value.number > 1 ? "a property that is 0 or 1 is neither" : nullptr;
    case Kind::u16:
    case Kind::u32:
    case Kind::varint:
      return value.number == 0 && !spec.zero_allowed ? "a property must not be 0" : nullptr;
    case Kind::topic:
      if (value.text.empty()) return "empty response topic";  // [MQTT-4.7.3-1]
      return has_wildcard(value.text) ? "wildcard in the response topic" : nullptr;
    case Kind::none:
    case Kind::text:
    case Kind::binary:
    case Kind::pair:
      break;
  }
  return nullptr;
}

bool text_valid(Kind kind, const Value& value) noexcept {
  if (kind != Kind::text && kind != Kind::topic && kind != Kind::pair) return true;
  return string_valid(value.name) && string_valid(value.text);
}

Unexpected<Error> malformed(std::string_view detail) noexcept {
  return Unexpected{Error{ReasonCode::malformed_packet, detail}};
}
Unexpected<Error> violated(std::string_view detail) noexcept {
  return Unexpected{Error{ReasonCode::protocol_error, detail}};
}

}  // namespace

Result<Properties, Error> Properties::read(Reader& reader, PropertyPlace place) noexcept {
  const std::uint32_t size = reader.varint();
  const std::string_view block = reader.take(size);
  if (reader.bad()) return malformed("property length");
  return read_block(block, place);
}

Result<Properties, Error> Properties::read_block(std::string_view block,
                                                 PropertyPlace place) noexcept {
  Properties properties;
  properties.block_ = block;
  Reader reader(block);
  while (!reader.at_end()) {
    // The identifier is itself a Variable Byte Integer; every defined one fits one byte.
    const std::uint8_t id = reader.u8();
    if (id >= specs.size() || specs[id].kind == Kind::none) return malformed("unknown property");
    const Spec& spec = specs[id];
    if ((spec.places & at(place)) == 0) return malformed("property of another packet");
    const std::uint64_t bit = std::uint64_t{1} << id;
    // The server may put several Subscription Identifiers into one PUBLISH (section 3.3.2.3.8).
    const bool repeatable =
        spec.kind == Kind::pair || (spec.kind == Kind::varint && place == PropertyPlace::publish);
    if ((properties.present_ & bit) != 0 && !repeatable) return violated("duplicate property");
    properties.present_ |= bit;
    const Value value = read_value(reader, spec.kind);
    if (reader.bad()) return malformed("property past the end");
    if (!text_valid(spec.kind, value)) return malformed("property is not UTF-8");
    if (const char* problem = value_problem(spec, value)) return violated(problem);
  }
  if (properties.has(PropertyId::authentication_data) &&
      !properties.has(PropertyId::authentication_method)) {
    return violated("authentication data without a method");
  }
  return properties;
}

bool Properties::next(Reader& reader, Entry& entry) noexcept {
  if (reader.at_end()) return false;
  const std::string_view before = reader.rest();
  const std::uint8_t id = reader.u8();
  assert(id < specs.size());
  const Value value = read_value(reader, specs[id].kind);
  assert(!reader.bad());
  entry = {static_cast<PropertyId>(id), value.number, value.name, value.text,
           before.substr(0, before.size() - reader.rest().size())};
  return true;
}

std::uint32_t Properties::number(PropertyId id, std::uint32_t fallback) const noexcept {
  if (!has(id)) return fallback;
  Reader reader(block_);
  Entry entry;
  while (next(reader, entry)) {
    if (entry.id == id) return entry.number;
  }
  return fallback;
}

std::string_view Properties::text(PropertyId id) const noexcept {
  if (!has(id)) return {};
  Reader reader(block_);
  Entry entry;
  while (next(reader, entry)) {
    if (entry.id == id) return entry.text;
  }
  return {};
}

}  // namespace tocsin::mqtt
