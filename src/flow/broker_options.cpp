#include "flow/broker_options.hpp"

#include <fmt/format.h>

namespace tocsin::flow {

BrokerOptions make_broker_options(const OptionValues& values, std::string_view kind,
                                  const std::string& name) {
  BrokerOptions made;
  made.name = fmt::format("{} \"{}\"", kind, name);
  made.uri = values.text("broker");
  made.client_id = values.text("client_id").empty() ? "tocsin-" + name : values.text("client_id");
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
