#include "control/auth/options.hpp"

#include "flow/memory_plan.hpp"

namespace tocsin::auth {

AuthOptions AuthOptions::from(const OptionValues& values) {
  const auto count = [&](std::string_view key) {
    return static_cast<std::uint32_t>(values.number(key));
  };
  const auto duration = [&](std::string_view key) {
    return Duration(std::chrono::milliseconds(values.number(key)));
  };
  AuthOptions options;
  options.allow_anonymous = values.flag("allow_anonymous");
  options.anonymous_publish = values.list("anonymous_publish");
  options.anonymous_subscribe = values.list("anonymous_subscribe");
  options.hash_memory_max = flow::addressable(values.number("hash_memory_max"));
  options.hash_queue_max = count("hash_queue_max");
  options.failures_free = count("failures_free");
  options.failure_delay = duration("failure_delay_ms");
  options.failure_delay_max = duration("failure_delay_max_ms");
  options.verified_max = count("verified_max");
  options.verified_for = duration("verified_ms");
  options.connections_per_address_max = count("connections_per_address_max");
  options.connects_per_address_max = count("connects_per_address_max");
  return options;
}

UserConfig UserConfig::from(const OptionValues& values) {
  UserConfig user;
  user.name = values.text("name");
  user.password_hash = values.text("password_hash");
  user.token_hash = values.text("token_hash");
  user.certificate_name = values.text("certificate_name");
  user.publish = values.list("publish");
  user.subscribe = values.list("subscribe");
  user.active = values.flag("active");
  return user;
}

}  // namespace tocsin::auth
