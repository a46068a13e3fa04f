#include "flow/route_info.hpp"

namespace tocsin::flow {

RouteInfo route_info(const RecordView& record) noexcept {
  RouteInfo info;
  const std::uint8_t byte = record.header().mqtt;
  info.qos = byte & mqtt_qos_mask;
  info.retain = (byte & mqtt_retain_bit) != 0;
  std::string_view source;
  std::string_view field;
  record.for_each_attribute([&](AttributeTag tag, std::string_view, std::string_view value) {
    if (tag == AttributeTag::topic) info.topic = value;
    if (tag == AttributeTag::source) source = value;
    if (tag == AttributeTag::mqtt) field = value;
    return true;
  });
  if (info.topic.empty() && (byte & mqtt_routed_bit) != 0) info.topic = source;
  if (field.size() < 2) return info;
  const std::size_t size = static_cast<std::uint8_t>(field[0]) |
                           static_cast<std::size_t>(static_cast<std::uint8_t>(field[1])) << 8U;
  if (size > field.size() - 2) return info;
  info.publisher = field.substr(2, size);
  info.properties = field.substr(2 + size);
  return info;
}

}  // namespace tocsin::flow
