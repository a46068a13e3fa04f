#pragma once
// One HTTP connection: bytes to requests, requests to responses in order, and its timers.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "flow/intake.hpp"
#include "flow/loop.hpp"
#include "io/io.hpp"
#include "protocol/http/request_parser.hpp"
#include "stages/ingress/http/answers.hpp"
#include "stages/ingress/http/response_queue.hpp"

namespace tocsin::ingress {

class HttpServer;

/// Pooled: open() to on_closed() is one life, told apart by its generation.
class HttpConnection final : public io::StreamHandler,
                             public flow::Timer,
                             private ResponseQueue::Substitute {
 public:
  HttpConnection(HttpServer& server, std::uint32_t slot);

  struct Peer {
    io::Endpoint endpoint;
    std::string_view certificate_name{};  ///< Of a certificate that was verified, or empty.
    bool loopback = false;                ///< It came in on a plain loopback listener.
  };
  void open(io::StreamControl& via, io::StreamId stream, const Peer& peer) noexcept;
  [[nodiscard]] bool is_open() const noexcept { return life_ != Life::free; }
  [[nodiscard]] std::uint32_t generation() const noexcept { return generation_; }
  /// Sends what may leave; called once a turn for connections that asked for it.
  void flush() noexcept;
  /// Capacity is back: goes on with a request that had to wait.
  void resume() noexcept;
  /// An acknowledgement for one of its requests.
  void on_ack(std::uint64_t detail, bool stored) noexcept;
  /// The server stops: closes after what is in flight.
  void drain() noexcept;
  void close() noexcept;
  /// Gives memory back that an idle connection keeps for its next request.
  void reclaim() noexcept;

  void on_connected(io::Errno error) noexcept override;
  void on_data(std::span<const std::byte> bytes) noexcept override;
  void on_end(io::Errno error) noexcept override;
  void on_sent(io::Errno error) noexcept override;
  void on_closed() noexcept override;
  void on_timer(MonoTime now) noexcept override;

  bool flush_listed = false;  ///< The server's: it stands in the list of those to flush,
  bool hold_listed = false;   ///< and of those to resume.

 private:
  enum class Life : std::uint8_t {
    free,
    open,
    finishing,  ///< No further request; responses still leave.
    lingering,  ///< All sent; discards what the peer still sends, lest a reset destroy the answer.
    closed,     ///< close() was called; on_closed will come.
  };
  enum class Phase : std::uint8_t { none, idle, head, body, waiting, sending, lingering };

  void advance(std::string_view bytes) noexcept;
  [[nodiscard]] std::size_t process(std::string_view bytes) noexcept;
  [[nodiscard]] bool may_process() const noexcept;
  /// False when the request has to wait for capacity.
  [[nodiscard]] bool handle(const http::Request& request) noexcept;
  void answer_continue() noexcept;
  void respond(const http::Request& request) noexcept;
  [[nodiscard]] Answer route(const http::Request& request, std::uint32_t ordinal) noexcept;
  void put(const Answer& answer, HttpRoute route, http::Persistence persistence,
           bool head_only) noexcept;
  void refuse(http::ParseError error) noexcept;
  void refuse(const Problem& problem, HttpRoute route) noexcept;
  [[nodiscard]] bool store(std::string_view bytes) noexcept;
  [[nodiscard]] bool at_rest() const noexcept;
  void finish() noexcept;
  void after_events() noexcept;
  [[nodiscard]] Phase phase() const noexcept;
  [[nodiscard]] Duration phase_limit(Phase phase) const noexcept;
  void watch() noexcept;
  [[nodiscard]] bool substitute(std::string_view response, AnswerKind kind,
                                http::Persistence persistence,
                                std::span<const std::uint32_t> failed,
                                ByteBuffer& out) noexcept override;
  [[nodiscard]] bool write(const Answer& answer, http::Persistence persistence, bool head_only,
                           ByteBuffer& out) noexcept;

  HttpServer& server_;
  std::uint32_t slot_;
  std::uint32_t generation_ = 0;
  io::StreamControl* via_ = nullptr;
  io::StreamId stream_;
  io::Endpoint peer_;
  std::string certificate_name_;
  bool loopback_ = false;
  Life life_ = Life::free;
  Phase phase_ = Phase::none;
  MonoTime phase_end_ = MonoTime::max();
  MonoTime timer_due_ = MonoTime::max();
  bool receiving_ = false;
  bool peer_ended_ = false;
  bool linger_ = false;
  bool held_ = false;       // A complete request waits in the parser for capacity.
  bool continued_ = false;  // "100 Continue" was sent for the request that is coming in.
  http::RequestParser parser_;
  ByteBuffer backlog_;  // Bytes that arrived while nothing may be processed.
  ResponseQueue queue_;
  ByteBuffer sending_;
};

}  // namespace tocsin::ingress
