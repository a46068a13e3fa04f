#pragma once
// The client side of an MQTT session that subscribes and never publishes, without I/O: bytes of the
// broker in, bytes for the broker out. A message is acknowledged when its owner says so, in order:
// after the commit, for a subscription whose events must be stored.

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/mqtt/packets.hpp"
#include "stages/ingress/subscription/ack_window.hpp"

namespace tocsin::ingress {

struct SessionOptions {
  bool version_5 = true;
  std::string client_id{};
  std::string username{};
  std::string password{};
  std::uint16_t keep_alive_s = 30;
  std::uint32_t session_expiry_s = 0;  ///< 0: the broker forgets us when we go.
  std::uint16_t receive_max = 1;       ///< Messages without acknowledgement.
  std::size_t packet_size_max = 0;     ///< Larger messages are skipped.
  std::vector<std::string> filters{};
  std::uint8_t qos = 1;
};

class SubscriberSession {
 public:
  enum class Taken : std::uint8_t {
    done,     ///< May be acknowledged.
    pending,  ///< settle() will say so.
    wait,     ///< No room: nothing happened, the same message comes again with the next feed().
  };
  class Handler {
   public:
    /// `number` is for settle(); without meaning over QoS 0. Views are valid during the call, and
    /// what follows the payload may be read as far as what followed the bytes given to feed().
    virtual Taken on_publish(const mqtt::Publish& message, AckWindow::Number number) noexcept = 0;
    /// A message above packet_size_max is skipped, and acknowledged: nobody could ever take it.
    virtual void on_skipped(std::size_t size) noexcept = 0;
    /// The broker has accepted every filter; `granted_qos` is the lowest that it gave.
    virtual void on_subscribed(std::uint8_t granted_qos) noexcept = 0;

   protected:
    ~Handler() = default;
  };
  enum class Status : std::uint8_t {
    more,    ///< All is consumed but perhaps the beginning of a packet.
    wait,    ///< No room: call again when there is.
    failed,  ///< See failure(); the connection must end.
  };
  struct Failure {
    bool subscribe = false;  ///< A filter was refused.
    std::string why{};
  };

  SubscriberSession(SessionOptions options, Handler& handler);

  /// A new connection: CONNECT stands in output().
  void begin();
  /// Handles the packets in `bytes` and adds how much of them is done with to `consumed`. May stop
  /// anywhere.
  [[nodiscard]] Status feed(std::string_view bytes, std::size_t& consumed);
  /// A message of this connection is stored.
  void settle(AckWindow::Number number) noexcept { window_.settle(number); }
  /// Puts the acknowledgements that are due into output().
  void write_acks();
  void write_ping();
  /// The last packet. Over 5.0 with the reason; the session goes on at the broker.
  void write_disconnect(mqtt::ReasonCode reason);

  /// What is to be sent; the owner takes it away.
  [[nodiscard]] std::string& output() noexcept { return output_; }
  [[nodiscard]] bool subscribed() const noexcept { return state_ == State::up; }
  [[nodiscard]] const Failure& failure() const noexcept { return failure_; }
  [[nodiscard]] std::size_t unacknowledged() const noexcept { return window_.size(); }
  /// What the broker demands, or what we offered.
  [[nodiscard]] std::uint16_t keep_alive_s() const noexcept { return keep_alive_s_; }

 private:
  enum class State : std::uint8_t { connecting, subscribing, up, failed };

  Status handle(const mqtt::Frame& frame);
  Status on_connack(const mqtt::Frame& frame);
  Status on_publish(const mqtt::Frame& frame);
  Status on_pubrel(const mqtt::Frame& frame);
  Status on_suback(const mqtt::Frame& frame);
  Status on_disconnect(const mqtt::Frame& frame);
  Status take(const mqtt::Publish& publish);
  Status skip(std::string_view bytes, std::size_t size);
  Status fail(std::string why, bool subscribe = false);
  Status fail(const mqtt::Error& error);
  Status subscribe_next();
  template <class Write>
  void put(std::size_t size, const Write& write);
  void put_ack(mqtt::PacketType type, std::uint16_t packet_id, mqtt::ReasonCode reason);

  SessionOptions options_;
  Handler& handler_;
  mqtt::Version version_;
  AckWindow window_;
  // QoS 2: PUBREC is sent, PUBREL has not come; the same message again is not a new one.
  std::unique_ptr<std::bitset<65536>> released_next_;
  State state_ = State::failed;
  std::string output_;
  Failure failure_;
  std::size_t skip_left_ = 0;
  std::size_t filters_done_ = 0;
  std::size_t filters_asked_ = 0;  // In the SUBSCRIBE that waits for its answer.
  std::uint8_t granted_qos_ = 2;
  std::uint16_t keep_alive_s_ = 0;
  std::size_t broker_packet_max_ = 0;
};

}  // namespace tocsin::ingress
