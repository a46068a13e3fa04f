#pragma once
// Which reactor owns the session of a client identifier (session takeover, MQTT 5.0 section 3.1.4).
// One object, shared by all servers; it outlives them.

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "stages/ingress/mqtt/message.hpp"

namespace tocsin::ingress {

class MqttServer;

/// Any thread. A mutex is enough: it is taken once a CONNECT and once a session's end, never per
/// message.
class SessionDirectory {
 public:
  /// Each CONNECT makes a claim of its own, so that whoever holds, awaits or hands on a session is
  /// told apart, however fast a client reconnects.
  struct Owner {
    MqttServer* server = nullptr;
    std::uint64_t claim = 0;
    bool operator==(const Owner&) const = default;
  };
  struct Claimed {
    std::uint64_t claim = 0;
    std::optional<Owner> previous;  ///< Has the session, or waits for it.
  };

  [[nodiscard]] Claimed claim(std::string_view client_id, MqttServer& server);
  /// No effect when somebody else owns it by now.
  void release(const std::string& client_id, const Owner& owner) noexcept;
  [[nodiscard]] bool owns(const std::string& client_id, const Owner& owner) const;
  [[nodiscard]] std::size_t size() const;

 private:
  mutable std::mutex mutex_;
  std::uint64_t last_claim_ = 0;
  std::unordered_map<std::string, Owner> owners_;
};

/// What the servers of all reactors share. Outlives them.
struct BrokerShared {
  /// `bytes_max`: a quarter for wills, the rest for messages that wait in sessions.
  explicit BrokerShared(std::size_t bytes_max)
      : kept(bytes_max - bytes_max / 4), wills(bytes_max / 4) {}
  SessionDirectory directory;
  SharedBytes kept;                  ///< Messages that sessions hold.
  SharedBytes wills;                 ///< Their own: a queue that nobody reads must not refuse them.
  std::vector<MqttServer*> servers;  ///< Filled before the threads run.
  std::atomic<std::uint64_t> last_uid{0};
};

}  // namespace tocsin::ingress
