#pragma once
// What really happened to every event, as those outside the engine saw it, counted by id.

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/hash.hpp"

namespace tocsin::sim_test {

/// The id of a producer's event: "d1-00017".
inline std::string event_name(std::string_view producer, std::uint32_t number) {
  return fmt::format("{}-{:05}", producer, number);
}
inline bool alarm_of(std::string_view name) { return hash64(name) % 3 != 0; }
/// A function of the id alone, so that every copy anywhere can be checked.
inline std::string payload_of(std::string_view name) {
  const std::uint64_t h = hash64(name, 7);
  return fmt::format(
      R"({{"n":"{}","alarm":{},"pad":"{}"}})", name, alarm_of(name),
      std::string(static_cast<std::size_t>(h % 300), static_cast<char>('a' + h % 26)));
}

struct Truth {
  std::set<std::string> sent;          ///< Names that left a producer at least once.
  std::set<std::string> acknowledged;  ///< Names whose acknowledgement a producer has seen.
  std::uint64_t refusals = 0;          ///< Negative answers that producers saw.

  /// What the webhook's receiver saw of one message id.
  struct Arrival {
    std::set<std::string> names;  ///< Bodies; more than one would be a mix-up.
    std::uint32_t attempts = 0;
    std::uint32_t confirmed = 0;  ///< Answered with 200.
  };
  std::map<std::string, Arrival> webhooks;
  std::map<std::string, std::uint32_t> notes;  ///< Names that the MQTT subscriber got.
};

}  // namespace tocsin::sim_test
