#pragma once
// One connection to one origin, carrying one request at a time: look-up, address check, connect,
// TLS, request, answer, reuse.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <tocsin/channel.hpp>

#include "flow/loop.hpp"
#include "io/dns/resolver.hpp"
#include "io/egress/policy.hpp"
#include "io/tls/tls_client.hpp"
#include "protocol/http/response_parser.hpp"
#include "stages/deliver/channels/webhook/url.hpp"

namespace tocsin::deliver {

class WebhookConnection final : public io::StreamHandler, public flow::Timer {
 public:
  /// What the channel learns. Called on the loop, never from inside start().
  class Owner {
   public:
    /// The request that start() began has ended.
    virtual void on_exchange(WebhookConnection& connection, Attempt attempt) noexcept = 0;
    /// The connection is gone and may be destroyed after this call.
    virtual void on_gone(WebhookConnection& connection) noexcept = 0;
    /// Asks for the addresses of `url`; the answer comes to on_resolved on the loop.
    virtual void resolve(WebhookConnection& connection, const Url& url) noexcept = 0;

   protected:
    ~Owner() = default;
  };
  struct Settings {
    Duration attempt_timeout{};
    Duration idle_timeout{};
    const io::EgressPolicy* egress = nullptr;
    io::TlsClientContext* tls = nullptr;
  };

  WebhookConnection(flow::Loop& loop, Owner& owner, const Settings& settings, Url url,
                    std::uint64_t id);
  ~WebhookConnection();

  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
  /// Whether a request for this origin may be started at once.
  [[nodiscard]] bool idle_for(const Url& url) const noexcept;
  [[nodiscard]] bool idle() const noexcept { return state_ == State::idle; }
  /// Sends `request`; connects first when there is no connection yet.
  void start(std::string request);
  void on_resolved(const io::ResolveResult& result);
  /// Ends a running exchange with `shutdown` and closes.
  void shut_down();

  void on_connected(io::Errno error) noexcept override;
  void on_data(std::span<const std::byte> bytes) noexcept override;
  void on_end(io::Errno error) noexcept override;
  void on_sent(io::Errno error) noexcept override;
  void on_closed() noexcept override;
  void on_timer(MonoTime now) noexcept override;

 private:
  enum class State : std::uint8_t {
    fresh,
    resolving,
    connecting,
    handshaking,
    sending,
    waiting,
    idle,
    closing,
    gone
  };
  void connect_next();
  void begin_tls();
  void send_request();
  void flush();
  void on_plaintext(std::string_view bytes);
  void on_response();
  void fail(Verdict verdict, DeliveryError error, std::string detail);
  void finish(Attempt attempt);
  void close();
  /// Whether a last TLS record is on its way; then the connection is closed behind it.
  [[nodiscard]] bool say_goodbye();
  void reconnect();

  flow::Loop& loop_;
  Owner& owner_;
  Settings settings_;
  Url url_;
  std::uint64_t id_;
  State state_ = State::fresh;
  bool busy_ = false;
  bool reused_ = false;        // The running request is not the first on this connection.
  bool reconnecting_ = false;  // on_closed begins again instead of ending.
  bool sending_ = false;
  bool leaving_ = false;  // Closes when the last record has gone out, or the timer fires.
  bool broken_ = false;   // The stream has failed: nothing can be sent.
  io::StreamId stream_{};
  std::vector<io::Endpoint> addresses_;
  std::size_t next_address_ = 0;
  std::unique_ptr<io::TlsClient> tls_;
  http::ResponseParser parser_;
  std::string request_;
  std::string outgoing_;  // Borrowed by the I/O layer while sending_.
  std::string pending_;   // What goes out next.
  io::Errno last_error_ = 0;
};

}  // namespace tocsin::deliver
