#pragma once
// Sends one event and waits for its acknowledgement.

#include <chrono>
#include <cstdint>
#include <string>

#include <tocsin/result.hpp>

#include "cli/client/target.hpp"

namespace tocsin::cli {

struct HttpEvent {
  std::string event;  ///< Name of the event source.
  std::string data;   ///< A JSON document.
};
/// The answer of POST /api/events, or a sentence that says why the event was not taken.
[[nodiscard]] Result<std::string, std::string> send_http(const Target& target,
                                                         const HttpEvent& event,
                                                         std::chrono::milliseconds timeout);

struct MqttEvent {
  std::string topic;
  std::string data;
  std::uint8_t qos = 1;  ///< 0 or 1.
};
/// A line for people once the broker has acknowledged (QoS 1), or has read the message (QoS 0: it
/// answered a ping behind it); or a sentence that says why not.
[[nodiscard]] Result<std::string, std::string> send_mqtt(const Target& target,
                                                         const MqttEvent& event,
                                                         std::chrono::milliseconds timeout);

}  // namespace tocsin::cli
