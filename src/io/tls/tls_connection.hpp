#pragma once
// One TLS connection of a TlsServer. Internal to this folder.

#include <mbedtls/ssl.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "io/io.hpp"
#include "io/tls/tls_server.hpp"
#include "io/tls/tls_server_context_impl.hpp"

namespace tocsin::io {

/// Application data leaves straight from mbedTLS's record buffer: the record stays there until the
/// Io has sent it, and mbedtls_ssl_write() is called again, as it demands, with the same bytes.
/// Handshake messages and alerts are collected in `flight_` instead, so that the state machine
/// never has to wait in the middle of what it reads.
class TlsConnection final : public StreamHandler {
 public:
  TlsConnection(TlsServer& server, std::uint32_t slot) : server_(server), id_{slot, 0} {}
  TlsConnection(const TlsConnection&) = delete;
  TlsConnection& operator=(const TlsConnection&) = delete;
  ~TlsConnection() { release(); }

  /// Takes a fresh connection; nothing is allocated.
  void open(StreamId stream, const Endpoint& peer);
  /// False when there is no memory.
  [[nodiscard]] bool begin_handshake(std::shared_ptr<const TlsServerContext> context);
  void refuse(TlsRefusal reason);
  /// Its time is over: closes whatever is still to be sent.
  void expire();

  [[nodiscard]] StreamId id() const noexcept { return id_; }
  [[nodiscard]] const Endpoint& peer() const noexcept { return peer_; }
  [[nodiscard]] bool in_use() const noexcept { return phase_ != Phase::free; }
  [[nodiscard]] bool waiting() const noexcept { return phase_ == Phase::waiting; }
  [[nodiscard]] bool handshaking() const noexcept {
    return phase_ == Phase::waiting || phase_ == Phase::handshaking;
  }
  [[nodiscard]] bool closing() const noexcept { return phase_ == Phase::closing; }

  // --- the protocol's side -----------------------------------------------------------------------
  void receive_start();
  void receive_stop();
  void send(std::span<const std::byte> bytes);
  void close();

  // --- the Io's side -----------------------------------------------------------------------------
  void on_connected(Errno error) noexcept override;
  void on_data(std::span<const std::byte> bytes) noexcept override;
  void on_end(Errno error) noexcept override;
  void on_sent(Errno error) noexcept override;
  void on_closed() noexcept override;

 private:
  enum class Phase : std::uint8_t { free, waiting, handshaking, open, closing };

  static int bio_send(void* self, const unsigned char* bytes, std::size_t size);
  static int bio_receive(void* self, unsigned char* into, std::size_t size);
  int take_output(std::span<const std::byte> bytes);

  void shake_hands();
  void established();
  void read_records();
  void write_records();
  void broken();
  void end_of_stream(Errno error);
  void flush_flight();
  void close_when_flushed();
  void close_stream();
  void release() noexcept;
  void keep_charged(std::size_t bytes) noexcept;

  TlsServer& server_;
  StreamId id_;
  StreamId stream_;
  Endpoint peer_;
  Phase phase_ = Phase::free;
  StreamHandler* handler_ = nullptr;
  std::shared_ptr<const TlsServerContext> context_;
  std::unique_ptr<mbedtls_ssl_context> ssl_;  // From the beginning of the handshake.
  std::span<const std::byte> input_;          // What on_data() has not passed on yet.
  std::span<const std::byte> sending_;        // What the protocol wants sent.
  std::size_t charged_ = 0;                   // To the server's budget.
  std::string flight_;                        // Handshake messages and alerts to be sent.
  std::string flight_sending_;                // Those that the Io is sending.
  bool writing_ = false;                      // Inside mbedtls_ssl_write().
  bool record_in_flight_ = false;             // The Io sends from mbedTLS's buffer.
  bool record_sent_ = false;                  // It has; mbedTLS does not know yet.
  bool record_pending_ = false;               // mbedtls_ssl_write() wants to be called again.
  bool write_failed_ = false;
  bool receiving_ = false;
  bool ended_ = false;  // The handler knows.
  bool stream_closed_ = false;
};

}  // namespace tocsin::io
