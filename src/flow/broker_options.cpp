#include "flow/broker_options.hpp"

#include <fmt/format.h>

namespace tocsin::flow {

std::string client_id_of(const OptionValues& values, const std::string& name) {
  const std::string& given = values.text("client_id");
  return given.empty() ? "tocsin-" + name : given;
}

BrokerOptions make_broker_options(const OptionValues& values, std::string_view kind,
                                  const std::string& name) {
  BrokerOptions made;
  made.name = fmt::format("{} \"{}\"", kind, name);
  made.uri = values.text("broker");
  made.client_id = client_id_of(values, name);
  made.username = values.text("username");
  made.password = values.text("password");
  made.ca_file = values.text("ca_file");
  made.cert_file = values.text("cert_file");
  made.key_file = values.text("key_file");
  made.version_5 = values.text("protocol") != "3.1.1";
  made.keep_alive_s = static_cast<std::uint16_t>(values.number("keep_alive_s"));
  made.reconnect_min = std::chrono::milliseconds{values.number("reconnect_min_ms")};
  made.reconnect_max = std::chrono::milliseconds{values.number("reconnect_max_ms")};
  return made;
}

}  // namespace tocsin::flow
