#pragma once
// One connection to a broker after another: look-up, connect, TLS, and then bytes both ways. When
// to try again is the owner's matter.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "flow/broker_client.hpp"
#include "flow/loop.hpp"
#include "io/dns/resolver.hpp"
#include "io/tls/tls_client.hpp"

namespace tocsin::ingress {

class BrokerLink final : public io::StreamHandler, public flow::Receiver {
 public:
  /// All on the loop's thread.
  class Owner {
   public:
    /// Bytes may be sent.
    virtual void on_link_up() noexcept = 0;
    /// At least json_padding bytes behind `bytes` may be read.
    virtual void on_link_data(std::string_view bytes) noexcept = 0;
    /// What send() was given is on its way.
    virtual void on_link_sent() noexcept = 0;
    /// The end of what open() began, exactly once and possibly inside it; open() may be called
    /// again, on a later turn.
    virtual void on_link_down(std::string_view why) noexcept = 0;

   protected:
    ~Owner() = default;
  };

  /// `tls` is null unless the URI is mqtts. `resolver` may be null: then only addresses work.
  BrokerLink(flow::Loop& loop, Owner& owner, flow::BrokerUri uri, io::Resolver* resolver,
             io::TlsClientContext* tls);

  /// No timeout of its own: close() gives up.
  void open() noexcept;
  [[nodiscard]] bool idle() const noexcept { return state_ == State::idle; }
  /// Between on_link_up() and the first step towards the end.
  [[nodiscard]] bool connected() const noexcept { return state_ == State::open && !last_; }
  [[nodiscard]] bool can_send() const noexcept { return connected() && !sending_; }
  /// While can_send(): takes the bytes and leaves the string empty.
  void send(std::string& bytes) noexcept;
  /// Sends the bytes and closes behind them. Once a connection, instead of send().
  void send_last(std::string& bytes, std::string_view why) noexcept;
  /// Bytes that were under way still come after receive(false).
  void receive(bool wanted) noexcept;
  /// on_link_down(why) follows, possibly inside this call. No effect when idle or closing.
  void close(std::string_view why) noexcept;

  void on_connected(io::Errno error) noexcept override;
  void on_data(std::span<const std::byte> bytes) noexcept override;
  void on_end(io::Errno error) noexcept override;
  void on_sent(io::Errno error) noexcept override;
  void on_closed() noexcept override;
  void on_message(const flow::Message& message) noexcept override;

 private:
  enum class State : std::uint8_t { idle, resolving, connecting, handshaking, open, closing };

  void on_resolved(const io::ResolveResult& result) noexcept;
  void connect_next() noexcept;
  void begin_tls() noexcept;
  void go_down() noexcept;
  void flush_tls() noexcept;
  void start_sending() noexcept;
  void on_ciphertext(std::span<const std::byte> bytes) noexcept;

  flow::Loop& loop_;
  Owner& owner_;
  flow::BrokerUri uri_;
  io::Resolver* resolver_;
  io::TlsClientContext* tls_context_;
  State state_ = State::idle;
  bool looking_up_ = false;
  bool trying_next_ = false;  // on_closed goes on with the next address.
  bool sending_ = false;
  bool told_sent_ = true;  // What the owner sent has been reported; TLS sends more than that.
  bool last_ = false;
  std::optional<io::StreamId> stream_;
  std::vector<io::Endpoint> addresses_;
  std::size_t next_address_ = 0;
  std::unique_ptr<io::TlsClient> tls_;
  std::string outgoing_;  // Borrowed by the I/O layer while sending_.
  std::string pending_;   // Of TLS: what goes out next.
  std::string why_;
};

}  // namespace tocsin::ingress
