#pragma once
// The thread through which a BrokerClient talks to Paho. Internal to the client.

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "flow/broker_client.hpp"

namespace tocsin::flow {

/// No disconnecting takes longer, however dead the broker is.
inline constexpr Duration broker_disconnect_max = std::chrono::seconds{2};

/// The thread that calls Paho. Commands run in order; `finish` is the last.
class BrokerClient::Worker {
 public:
  enum class Verb : std::uint8_t { connect, publish, disconnect, finish };
  struct Command {
    Verb verb = Verb::connect;
    std::string topic{};
    std::string payload{};
    std::vector<std::pair<std::string, std::string>> properties{};
    std::uint8_t qos = 0;
    void* context = nullptr;
  };

  Worker(BrokerClient& owner, BrokerUri uri);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void push(Command command);
  /// For publishes: false when Paho is so slow that as many as may be outstanding wait already.
  [[nodiscard]] bool try_push(Command command);

 private:
  class Paho;
  void run();
  [[nodiscard]] Command next();
  void execute(const Command& command) noexcept;
  void fail(const Command& command, std::int32_t code) noexcept;

  BrokerClient& owner_;
  BrokerUri uri_;
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Command> commands_;
  std::unique_ptr<Paho> paho_;  // Of the thread.
  std::thread thread_;          // Last: it begins to run when the rest stands.
};

}  // namespace tocsin::flow
