#pragma once
// Which connection owns a client identifier, across reactors (session takeover, MQTT 5.0 section
// 3.1.4). One object, shared by all servers; it outlives them.

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace tocsin::ingress {

class MqttServer;

/// Any thread. A mutex is enough: it is taken once a CONNECT and once a close, never per message.
class SessionDirectory {
 public:
  struct Owner {
    MqttServer* server = nullptr;
    std::uint32_t slot = 0;
    std::uint32_t generation = 0;
    bool operator==(const Owner&) const = default;
  };

  /// Makes `owner` the owner of `client_id` and returns the one before, who must be told.
  std::optional<Owner> claim(std::string_view client_id, const Owner& owner);
  /// No effect when somebody else owns it by now.
  void release(const std::string& client_id, const Owner& owner) noexcept;
  [[nodiscard]] std::size_t size() const;

 private:
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Owner> owners_;
};

}  // namespace tocsin::ingress
