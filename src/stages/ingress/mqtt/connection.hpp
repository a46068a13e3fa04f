#pragma once
// One MQTT connection with its session, which lives exactly as long (clean sessions only).

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <tocsin/result.hpp>

#include "base/byte_buffer.hpp"
#include "flow/intake.hpp"
#include "flow/loop.hpp"
#include "io/io.hpp"
#include "protocol/mqtt/packets.hpp"
#include "stages/ingress/mqtt/directory.hpp"
#include "stages/ingress/mqtt/stats.hpp"
#include "stages/ingress/mqtt/subscriber.hpp"

namespace tocsin::ingress {

class MqttServer;

/// The first packet may not be larger: nobody is known yet who could be held to anything. Enough
/// for an identifier, credentials and a will of some kilobytes.
inline constexpr std::size_t mqtt_first_packet_size_max = 8 * 1024;
/// Longest client identifier that is accepted.
inline constexpr std::size_t mqtt_client_id_size_max = 256;

/// Lives in a slot of its server and is used again for later connections. Frames are processed
/// where they arrived; only a partial frame, or bytes held while processing is stopped, are copied.
class MqttConnection final : public io::StreamHandler, public flow::Timer {
 public:
  MqttConnection(MqttServer& server, std::uint32_t slot);
  ~MqttConnection();

  [[nodiscard]] std::uint32_t generation() const noexcept { return generation_; }

  // --- for the server
  // -----------------------------------------------------------------------------
  /// The stream is driven through `control`; `certificate_name` is that of a verified client
  /// certificate, or empty.
  void open(io::StreamControl& control, io::StreamId stream, const io::Endpoint& peer,
            std::string_view certificate_name) noexcept;
  void on_ack(std::uint16_t packet_id, bool stored) noexcept;
  void on_capacity() noexcept;
  /// Processes what is held, and receives again when nothing stops it any more.
  void resume() noexcept;
  /// Receives nothing until end_hold(): too much input is kept already.
  void hold_receiving() noexcept;
  void end_hold() noexcept;
  void flush() noexcept;
  void deliver(std::string_view topic, std::string_view payload, std::uint8_t qos) noexcept;
  void taken_over() noexcept;
  void drain() noexcept;
  void abort(MqttClose reason) noexcept;

  // --- for the Io and the loop
  // --------------------------------------------------------------------
  void on_connected(io::Errno error) noexcept override;
  void on_data(std::span<const std::byte> bytes) noexcept override;
  void on_end(io::Errno error) noexcept override;
  void on_sent(io::Errno error) noexcept override;
  void on_closed() noexcept override;
  void on_timer(MonoTime now) noexcept override;

 private:
  enum class State : std::uint8_t {
    free,
    await_connect,
    connected,
    finishing,     ///< Reads no more; closes when every acknowledgement is out.
    flushing,      ///< Closes when its output is out.
    closing,       ///< close() was called; on_closed() follows.
    will_waiting,  ///< Closed, but its will waits for capacity.
  };
  /// Why input is not processed at present; a set of bits.
  enum Stop : std::uint8_t { stop_capacity = 1, stop_output = 2, stop_inflight = 4 };

  [[nodiscard]] bool receiving() const noexcept {
    return state_ == State::await_connect || state_ == State::connected;
  }
  [[nodiscard]] bool v5() const noexcept { return version_ == mqtt::Version::v5; }
  [[nodiscard]] SessionDirectory::Owner owner() noexcept;

  // connection.cpp: input, output, end.
  std::size_t process(std::span<const std::byte> bytes) noexcept;
  std::span<const std::byte> process_carried(std::span<const std::byte> rest) noexcept;
  void keep(std::span<const std::byte> bytes) noexcept;
  /// False: not consumed; the same frame is handled again after a resume.
  bool handle(const mqtt::Frame& frame) noexcept;
  void handle_ping(const mqtt::Frame& frame) noexcept;
  void handle_disconnect(const mqtt::Frame& frame) noexcept;
  void stop(Stop reason) noexcept;
  void go_on(Stop reason) noexcept;
  [[nodiscard]] std::size_t output_size() const noexcept {
    return pending_.size() + sending_.size();
  }
  /// Room in the output, or empty after the connection was aborted for lack of memory.
  [[nodiscard]] std::span<char> room(std::size_t size) noexcept;
  void committed(std::size_t size) noexcept;
  void fail(const mqtt::Error& error) noexcept;
  /// Ends the connection: over 5.0 with a DISCONNECT.
  void end(MqttClose reason, mqtt::ReasonCode code) noexcept;
  /// Ends it once every acknowledgement is out; `goodbye` as in end(), success for none.
  void finish(MqttClose reason, mqtt::ReasonCode goodbye) noexcept;
  void finish_if_idle() noexcept;
  void flush_and_close(MqttClose reason) noexcept;
  void close_stream() noexcept;
  void recycle() noexcept;
  void arm_after(Duration delay) noexcept;

  // connection_connect.cpp
  void handle_connect(const mqtt::Frame& frame) noexcept;
  void refuse_version(const mqtt::Frame& frame) noexcept;
  void refuse_connect(mqtt::ReasonCode code, mqtt::ReturnCode code_3) noexcept;
  [[nodiscard]] bool connect_acceptable(const mqtt::Connect& connect) noexcept;
  [[nodiscard]] bool adopt_client_id(const mqtt::Connect& connect) noexcept;
  [[nodiscard]] bool keep_will(const mqtt::Will& will) noexcept;
  void send_connack(const mqtt::Connect& connect) noexcept;
  /// True when nothing is left to do: published, or refused for good.
  bool publish_will() noexcept;

  // connection_publish.cpp
  bool handle_publish(const mqtt::Frame& frame) noexcept;
  [[nodiscard]] bool publish_allowed(const mqtt::Publish& publish) noexcept;
  void refuse_publish(const mqtt::Publish& publish, flow::Refusal reason) noexcept;
  Result<flow::Accepted, flow::Rejection> submit(std::string_view topic, std::string_view payload,
                                                 const mqtt::Properties& properties,
                                                 const flow::AckToken& token) noexcept;
  void put_puback(std::uint16_t packet_id, mqtt::ReasonCode reason) noexcept;

  // connection_subscribe.cpp
  void handle_subscribe(const mqtt::Frame& frame) noexcept;
  void handle_unsubscribe(const mqtt::Frame& frame) noexcept;
  void handle_puback(const mqtt::Frame& frame) noexcept;
  [[nodiscard]] mqtt::ReasonCode grant(const mqtt::Filter& filter) noexcept;
  void put_codes(mqtt::PacketType type, std::uint16_t packet_id, std::string_view codes) noexcept;
  void send_waiting() noexcept;

  MqttServer& server_;
  const std::uint32_t slot_;
  std::uint32_t generation_ = 0;
  io::StreamControl* control_ = nullptr;
  io::StreamId stream_;
  io::Endpoint peer_;
  std::string certificate_name_;
  State state_ = State::free;
  mqtt::Version version_ = mqtt::Version::v3_1_1;
  mqtt::ReasonCode goodbye_ = mqtt::ReasonCode::success;
  MqttClose close_reason_ = MqttClose::client;
  std::uint8_t stops_ = 0;
  bool sending_now_ = false;
  bool ended_ = false;           // The peer has sent its last byte; some are still held.
  bool will_due_ = false;        // A will is kept and not revoked.
  bool session_expires_ = true;  // CONNECT asked for a session expiry of 0.
  // In the server's lists; they outlast the connection, so recycle() leaves them alone.
  bool dirty_ = false;
  void count_carried() noexcept;

  std::size_t counted_carry_ = 0;  // What the server counts as carried by this connection.
  bool held_ = false;
  bool resuming_ = false;
  bool waiting_ = false;
  std::uint32_t inflight_ = 0;  // QoS 1 publishes not yet acknowledged by us.
  std::uint32_t client_packet_size_max_ = 0;
  std::uint16_t client_receive_maximum_ = 0;
  Duration keep_alive_{0};
  MonoTime last_received_{};
  ByteBuffer carry_;
  ByteBuffer pending_;
  ByteBuffer sending_;
  ByteBuffer will_;
  std::string client_id_;
  std::unique_ptr<MqttSubscriber> subscriber_;
};

}  // namespace tocsin::ingress
