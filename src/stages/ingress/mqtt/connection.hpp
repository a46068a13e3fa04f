#pragma once
// One MQTT connection: bytes to packets, packets to the intake and to the session, and back.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <tocsin/result.hpp>

#include "base/byte_buffer.hpp"
#include "flow/access.hpp"
#include "flow/intake.hpp"
#include "flow/loop.hpp"
#include "io/io.hpp"
#include "protocol/mqtt/packets.hpp"
#include "stages/ingress/mqtt/aliases.hpp"
#include "stages/ingress/mqtt/sessions.hpp"
#include "stages/ingress/mqtt/stats.hpp"

namespace tocsin::ingress {

class MqttServer;

/// The first packet may not be larger: nobody is known yet who could be held to anything. Enough
/// for an identifier, credentials and a will of some kilobytes.
inline constexpr std::size_t mqtt_first_packet_size_max = 8 * 1024;
/// Longest client identifier that is accepted.
inline constexpr std::size_t mqtt_client_id_size_max = 256;
/// What an emptied buffer of a connection keeps until it is idle.
inline constexpr std::size_t mqtt_kept_max = 2048;

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
  /// A publish that was taken is refused after all; `packet_id` 0: of QoS 0.
  void on_refused(std::uint16_t packet_id, const flow::Rejection& rejection) noexcept;
  void on_capacity() noexcept;
  /// Its pause for a quota is over.
  void end_pause() noexcept { go_on(stop_quota); }
  /// Processes what is held, and receives again when nothing stops it any more.
  void resume() noexcept;
  /// Receives nothing until end_hold(), for others keep too much input already; unless it is
  /// stopped anyway, in the middle of a packet, or not known yet.
  void hold_receiving() noexcept;
  void end_hold() noexcept;
  void flush() noexcept;
  void on_authenticated(const flow::AuthAnswer& answer) noexcept;
  void taken_over() noexcept;
  /// Its user has gone: ends it (5.0: DISCONNECT 0x87).
  void end_if_revoked() noexcept;
  void drain() noexcept;
  void abort(MqttClose reason) noexcept;
  /// Gives back what buffers keep for the next use, unless there was traffic since the last call.
  void trim() noexcept;

  // --- for the session and those who deliver to it
  // ------------------------------------------------
  [[nodiscard]] bool awaits_session() const noexcept {
    return state_ == State::await_connect && step_ == Step::acquiring;
  }
  void on_session(Sessions::Acquired acquired) noexcept;
  /// A QoS 2 publish of its session is stored, or failed to be.
  void on_commit(std::uint16_t packet_id, bool stored) noexcept;
  [[nodiscard]] bool can_send() const noexcept { return state_ == State::connected; }
  /// Messages with QoS > 0 that may be on their way to the client.
  [[nodiscard]] std::size_t window() const noexcept {
    return std::min<std::size_t>(mqtt_window_max, client_receive_maximum_);
  }
  /// Less than half of the output is taken when `size` more bytes are.
  [[nodiscard]] bool half_empty(std::size_t size) const noexcept;
  enum class Written : std::uint8_t { yes, no_room, too_large, expired };
  /// Writes a PUBLISH; changes nothing when it says anything but yes.
  [[nodiscard]] Written write_publish(const RoutedMessage& message, std::uint16_t packet_id,
                                      std::uint8_t qos, bool retain, bool dup,
                                      std::span<const std::uint32_t> identifiers) noexcept;
  /// Sends what waits in the session, as far as the client's window, the output and memory allow.
  void pump() noexcept;
  /// The budget has more room than when a message found none.
  void end_starving() noexcept;

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
    finishing,  ///< Reads no more; closes when every acknowledgement is out.
    flushing,   ///< Closes when its output is out.
    closing,    ///< close() was called; on_closed() follows.
  };
  /// How far its CONNECT is.
  enum class Step : std::uint8_t { fresh, authenticating, authenticated, acquiring, acquired };
  /// Why input is not processed at present; a set of bits.
  enum Stop : std::uint8_t {
    stop_capacity = 1,
    stop_output = 2,
    stop_inflight = 4,
    stop_connect = 8,  ///< The answer to a question that its CONNECT raised is awaited.
    stop_quota = 16,
  };

  [[nodiscard]] bool receiving() const noexcept {
    return state_ == State::await_connect || state_ == State::connected;
  }
  [[nodiscard]] bool v5() const noexcept { return version_ == mqtt::Version::v5; }

  // connection.cpp: input, output.
  std::size_t process(std::span<const std::byte> bytes) noexcept;
  std::span<const std::byte> process_carried(std::span<const std::byte> rest) noexcept;
  void keep(std::span<const std::byte> bytes) noexcept;
  /// False: not consumed; the same frame is handled again after a resume.
  bool handle(const mqtt::Frame& frame) noexcept;
  void handle_other(const mqtt::Frame& frame) noexcept;
  void handle_ping(const mqtt::Frame& frame) noexcept;
  void stop(Stop reason) noexcept;
  void go_on(Stop reason) noexcept;
  [[nodiscard]] std::size_t output_size() const noexcept {
    return pending_.size() + sending_.size();
  }
  /// Room in the output, or empty after the connection was aborted for lack of memory.
  [[nodiscard]] std::span<char> room(std::size_t size) noexcept;
  void committed(std::size_t size) noexcept;
  void count_carried() noexcept;

  // connection_end.cpp
  void handle_disconnect(const mqtt::Frame& frame) noexcept;
  void fail(const mqtt::Error& error) noexcept;
  /// Ends the connection: over 5.0 with a DISCONNECT. `detail` is for people; static text.
  void end(MqttClose reason, mqtt::ReasonCode code, std::string_view detail = {}) noexcept;
  /// Ends it once every acknowledgement is out; `goodbye` as in end(), success for none.
  void finish(MqttClose reason, mqtt::ReasonCode goodbye) noexcept;
  void finish_if_idle() noexcept;
  void flush_and_close(MqttClose reason) noexcept;
  void close_stream() noexcept;
  void leave_session() noexcept;
  void recycle() noexcept;
  void arm_after(Duration delay) noexcept;

  // connection_connect.cpp
  bool handle_connect(const mqtt::Frame& frame) noexcept;
  bool begin_connect(const mqtt::Frame& frame, const mqtt::Connect& connect) noexcept;
  bool acquire_session(const mqtt::Connect& connect) noexcept;
  void finish_connect(const mqtt::Connect& connect) noexcept;
  void refuse_malformed(const mqtt::Frame& frame, const mqtt::Error& error) noexcept;
  void refuse_version(const mqtt::Frame& frame) noexcept;
  void refuse_connect(mqtt::ReasonCode code, mqtt::ReturnCode code_3) noexcept;
  [[nodiscard]] bool connect_acceptable(const mqtt::Connect& connect) noexcept;
  [[nodiscard]] bool adopt_client_id(const mqtt::Connect& connect) noexcept;
  /// True: the answer is there. False: refused, or on its way.
  [[nodiscard]] bool authenticate(const mqtt::Connect& connect) noexcept;
  [[nodiscard]] bool take_answer(const flow::AuthAnswer& answer) noexcept;
  void take_wishes(const mqtt::Connect& connect) noexcept;
  [[nodiscard]] std::uint32_t session_expiry(const mqtt::Connect& connect) const noexcept;
  [[nodiscard]] bool keep_will(const mqtt::Will& will) noexcept;
  void send_connack(const mqtt::Connect& connect) noexcept;

  // connection_publish.cpp
  bool handle_publish(const mqtt::Frame& frame) noexcept;
  /// Puts the topic of its alias into the publish. False after the connection was ended.
  [[nodiscard]] bool resolve_alias(mqtt::Publish& publish) noexcept;
  [[nodiscard]] bool over_receive_maximum(const mqtt::Publish& publish) noexcept;
  [[nodiscard]] bool repeated(const mqtt::Publish& publish) noexcept;
  /// Why it may not be published, whatever the intake says.
  [[nodiscard]] std::optional<flow::Refusal> forbidden(const mqtt::Publish& publish) const noexcept;
  enum class Quota : std::uint8_t { granted, refused, paused };
  [[nodiscard]] Quota take_quota(const mqtt::Publish& publish) noexcept;
  bool submit(const mqtt::Publish& publish) noexcept;
  [[nodiscard]] flow::Taken take(const mqtt::Publish& publish) noexcept;
  bool submit_unusual(const mqtt::Publish& publish) noexcept;
  void refuse_publish(const mqtt::Publish& publish, const flow::Rejection& rejection) noexcept;
  void put_ack(mqtt::PacketType type, std::uint16_t packet_id, mqtt::ReasonCode reason,
               std::string_view detail = {}) noexcept;
  void handle_pubrel(const mqtt::Frame& frame) noexcept;

  // connection_subscribe.cpp
  void handle_subscribe(const mqtt::Frame& frame) noexcept;
  void handle_unsubscribe(const mqtt::Frame& frame) noexcept;
  [[nodiscard]] mqtt::ReasonCode grant(const mqtt::Filter& filter, std::uint32_t identifier,
                                       bool& fresh) noexcept;
  void put_codes(mqtt::PacketType type, std::uint16_t packet_id, std::string_view codes) noexcept;

  // connection_deliver.cpp
  [[nodiscard]] bool choose_alias(mqtt::Publish& publish, std::uint16_t& alias) const noexcept;
  /// False: no room.
  [[nodiscard]] bool send_waiting(Outbox& outbox) noexcept;
  [[nodiscard]] bool resend(Outbox& outbox) noexcept;
  [[nodiscard]] bool send_next(Outbox& outbox) noexcept;
  void handle_puback(const mqtt::Frame& frame) noexcept;
  void handle_pubrec(const mqtt::Frame& frame) noexcept;
  void handle_pubcomp(const mqtt::Frame& frame) noexcept;

  MqttServer& server_;
  const std::uint32_t slot_;
  std::uint32_t generation_ = 0;
  io::StreamControl* control_ = nullptr;
  io::StreamId stream_;
  io::Endpoint peer_;
  std::string certificate_name_;
  State state_ = State::free;
  Step step_ = Step::fresh;
  mqtt::Version version_ = mqtt::Version::v3_1_1;
  mqtt::ReasonCode goodbye_ = mqtt::ReasonCode::success;
  MqttClose close_reason_ = MqttClose::client;
  std::uint8_t stops_ = 0;
  bool sending_now_ = false;
  bool ended_ = false;       // The peer has sent its last byte; some are still held.
  bool will_wanted_ = true;  // No orderly DISCONNECT has revoked it.
  bool session_present_ = false;
  bool reasons_wanted_ = true;  // Request Problem Information.
  bool quota_taken_ = false;    // For the publish at hand, before it had to wait.
  bool event_taken_ = false;    // The event of the publish at hand is in; its message is to follow.
  bool busy_ = false;           // Traffic since the last trim().
  bool held_ = false;           // Not stopped itself, but the server is holding().
  // In the server's lists; they outlast the connection, so recycle() leaves them alone.
  bool dirty_ = false;
  bool resuming_ = false;
  bool waiting_ = false;
  bool starved_ = false;
  std::uint16_t client_receive_maximum_ = 0;
  std::uint32_t inflight_ = 0;  // Publishes of the client that are not yet committed.
  std::uint32_t client_packet_size_max_ = 0;
  // What the server counts as carried by this connection.
  std::size_t counted_carry_ = 0;
  std::size_t counted_early_ = 0;
  Duration keep_alive_{0};
  MonoTime last_received_{};
  ByteBuffer carry_;
  ByteBuffer pending_;
  ByteBuffer sending_;
  std::string client_id_;
  std::shared_ptr<const flow::Identity> identity_;
  Session* session_ = nullptr;
  std::unique_ptr<InboundAliases> aliases_in_;
  std::unique_ptr<OutboundAliases> aliases_out_;
};

}  // namespace tocsin::ingress
