#pragma once
// Simulated MQTT clients: a device that publishes events, and a subscriber to notifications.

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "flow/loop.hpp"
#include "io/sim/sim_random.hpp"
#include "protocol/mqtt/packets.hpp"
#include "tests/sim/engine_link.hpp"
#include "tests/sim/engine_truth.hpp"

namespace tocsin::sim_test {

/// What both have in common: a session that is opened again whenever it ends or goes silent.
class MqttPeer : protected Link::Owner, public flow::Timer {
 public:
  void start() { loop_.arm(*this, loop_.now()); }

 protected:
  struct Identity {
    std::string name;
    mqtt::Version version = mqtt::Version::v5;
  };
  MqttPeer(flow::Loop& loop, const io::Endpoint& server, Identity identity, std::uint64_t seed);
  ~MqttPeer() = default;

  virtual void on_session() = 0;  ///< CONNACK has come.
  virtual void on_packet(const mqtt::Frame& frame) = 0;
  /// Once a period while the session is open.
  virtual void on_work() = 0;
  /// Whether an answer is owed to us: silence then means a dead connection.
  [[nodiscard]] virtual bool waiting() const = 0;
  virtual void on_session_lost() = 0;

  template <class Write>
  void send_packet(Write&& write) {
    std::string bytes(2048, '\0');
    bytes.resize(write(std::span<char>(bytes)));
    link_.send(bytes);
  }
  void send_publish(std::string_view topic, std::string_view payload, std::uint16_t packet_id,
                    bool again);

  flow::Loop& loop_;
  io::SimRandom random_;
  const Identity identity_;
  bool session_ = false;

 private:
  void on_link_up() override;
  void on_link_data(std::string_view bytes) override;
  void on_link_down() override;
  void on_timer(MonoTime now) noexcept override;

  const io::Endpoint server_;
  Link link_;
  std::string received_;
  MonoTime heard_{};
};

/// Publishes `total` events, QoS 1 with at most `window` unacknowledged, or QoS 0. What was not
/// acknowledged is sent again after a reconnect, with the same packet id; what was refused is sent
/// again with a new one.
class MqttDevice final : public MqttPeer {
 public:
  struct Plan {
    std::string name;
    mqtt::Version version = mqtt::Version::v5;
    std::uint8_t qos = 1;
    std::size_t window = 1;
    std::uint32_t total = 30;
  };
  MqttDevice(flow::Loop& loop, const io::Endpoint& server, const Plan& plan, Truth& truth,
             std::uint64_t seed)
      : MqttPeer(loop, server, {plan.name, plan.version}, seed), plan_(plan), truth_(truth) {}
  [[nodiscard]] bool done() const noexcept {
    return next_ > plan_.total && unacknowledged_.empty();
  }
  [[nodiscard]] const Plan& plan() const noexcept { return plan_; }

 private:
  struct Publish {
    std::uint16_t packet_id;
    std::string name;
    bool sent;
  };
  void on_session() override;
  void on_session_lost() override;
  void on_packet(const mqtt::Frame& frame) override;
  void on_work() override;
  [[nodiscard]] bool waiting() const override { return !unacknowledged_.empty(); }
  [[nodiscard]] std::uint16_t new_id() noexcept;
  void send(Publish& publish, bool again);

  const Plan plan_;
  Truth& truth_;
  std::uint32_t next_ = 1;
  std::uint16_t last_id_ = 0;
  std::deque<Publish> unacknowledged_;
};

/// Subscribes to notifications/# and writes down what comes.
class NoteSubscriber final : public MqttPeer {
 public:
  NoteSubscriber(flow::Loop& loop, const io::Endpoint& server, Truth& truth, std::uint64_t seed)
      : MqttPeer(loop, server, {"subscriber", mqtt::Version::v5}, seed), truth_(truth) {}
  [[nodiscard]] bool subscribed() const noexcept { return subscribed_; }

 private:
  void on_session() override;
  void on_session_lost() override { subscribed_ = false; }
  void on_packet(const mqtt::Frame& frame) override;
  void on_work() override;
  [[nodiscard]] bool waiting() const override { return true; }

  Truth& truth_;
  bool subscribed_ = false;
};

}  // namespace tocsin::sim_test
