#include "protocol/mqtt/packets.hpp"

namespace tocsin::mqtt {

const char* sender_problem(const Publish& publish, Role sender) noexcept {
  const bool identifier = publish.properties.has(PropertyId::subscription_identifier);
  return identifier && sender == Role::client ? "subscription identifier from a client" : nullptr;
}

const char* sender_problem(const Disconnect& disconnect, Role sender) noexcept {
  if (!reason_allowed_from(sender, PacketType::disconnect, disconnect.reason)) {
    return "reason code of the other side";
  }
  if (sender == Role::server && disconnect.properties.has(PropertyId::session_expiry_interval)) {
    return "session expiry from a server";
  }
  if (sender == Role::client && disconnect.properties.has(PropertyId::server_reference)) {
    return "server reference from a client";
  }
  return nullptr;
}

const char* sender_problem(const Auth& auth, Role sender) noexcept {
  return reason_allowed_from(sender, PacketType::auth, auth.reason)
             ? nullptr
             : "reason code of the other side";
}

}  // namespace tocsin::mqtt
