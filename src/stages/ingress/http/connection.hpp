#pragma once
// One HTTP connection: bytes to requests, requests to responses in order, and its timers.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "flow/access.hpp"
#include "flow/intake.hpp"
#include "flow/loop.hpp"
#include "io/io.hpp"
#include "protocol/http/request_parser.hpp"
#include "stages/ingress/http/answers.hpp"
#include "stages/ingress/http/exchange.hpp"
#include "stages/ingress/http/response_queue.hpp"
#include "stages/ingress/http/sender.hpp"

namespace tocsin::ingress {

class HttpServer;

/// Pooled: open() to on_closed() is one life, told apart by its generation.
class HttpConnection final : public io::StreamHandler,
                             public flow::Timer,
                             private ResponseQueue::Substitute,
                             private RequestKeeper {
 public:
  HttpConnection(HttpServer& server, std::uint32_t slot) : server_(server), slot_(slot) {}

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
  /// The authenticator's answer to what this connection asked.
  void on_authenticated(const flow::AuthAnswer& answer) noexcept;
  /// An acknowledgement for one of its requests.
  void on_ack(std::uint64_t detail, bool stored) noexcept;
  /// The server stops: closes after what is in flight.
  void drain() noexcept;
  void close() noexcept;

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
  enum class Phase : std::uint8_t {
    none,
    idle,
    head,
    body,
    authenticating,
    waiting,
    sending,
    lingering
  };
  enum class Admission : std::uint8_t { go, wait, refuse };

  // --- bytes
  [[nodiscard]] HttpExchange& exchange() noexcept;
  void advance(std::string_view bytes) noexcept;
  [[nodiscard]] std::size_t process(std::string_view bytes) noexcept;
  [[nodiscard]] bool may_process() const noexcept;
  [[nodiscard]] bool store(std::string_view bytes) noexcept;
  [[nodiscard]] bool at_rest() const noexcept;
  void send_ready() noexcept;
  void finish() noexcept;
  void after_events() noexcept;

  // --- requests (connection_requests.cpp)
  /// A head is known whose body is still on its way.
  void begin_body() noexcept;
  void answer_continue() noexcept;
  /// A request is complete. False when it has to wait, for capacity or the authenticator.
  [[nodiscard]] bool handle(const http::Request& request) noexcept;
  [[nodiscard]] bool keep_request() noexcept;
  /// Composes the response. False when the request has to wait for capacity once more.
  [[nodiscard]] bool respond(const http::Request& request) noexcept;
  void respond(const http::Request& request, const Answer& answer) noexcept;
  [[nodiscard]] std::optional<Answer> take_events(http::Request request,
                                                  std::uint32_t ordinal) noexcept;
  [[nodiscard]] const RequestProgress* progress() noexcept override { return progress_.get(); }
  [[nodiscard]] bool keep(std::uint32_t next, const BatchTally& tally,
                          std::string_view text) noexcept override;
  [[nodiscard]] Answer ask_router(const http::Request& request) noexcept;
  [[nodiscard]] std::optional<Problem> expand(http::Request& request) noexcept;
  void put(const Answer& answer, std::string_view path, http::Persistence persistence,
           bool head_only) noexcept;
  [[nodiscard]] bool write(const Answer& answer, http::Persistence persistence, bool head_only,
                           ByteBuffer& out) noexcept;
  [[nodiscard]] bool substitute(std::string_view response, AnswerKind kind,
                                http::Persistence persistence,
                                std::span<const std::uint32_t> failed,
                                ByteBuffer& out) noexcept override;
  /// Answers, reads no further, and closes.
  void refuse(http::ParseError error) noexcept;
  void refuse(const Answer& answer, std::string_view path) noexcept;

  // --- who may (connection_admission.cpp)
  /// What is decided before a body is read. On `refuse` the answer is in `refusal`.
  [[nodiscard]] Admission admit(const http::Request& request, Answer& refusal) noexcept;
  [[nodiscard]] Admission check(const http::Request& request, Answer& refusal) noexcept;
  [[nodiscard]] Admission authenticate(const http::Request& request, Answer& refusal) noexcept;
  /// Whoever shows this is the one who was accepted on this connection not long ago.
  [[nodiscard]] bool is_known(const Hash128& proof) const noexcept;
  [[nodiscard]] Admission judge(const flow::AuthAnswer& answer, Answer& refusal) noexcept;
  /// Before a client is told to send its body: it is charged when the events are known.
  [[nodiscard]] Admission check_quota(Answer& refusal) noexcept;
  [[nodiscard]] HttpClient& client() noexcept;
  [[nodiscard]] Sender sender() const noexcept;

  // --- time (connection_time.cpp)
  [[nodiscard]] Phase phase() const noexcept;
  [[nodiscard]] Duration phase_limit(Phase phase) const noexcept;
  void watch() noexcept;

  HttpServer& server_;
  std::uint32_t slot_;
  std::uint32_t generation_ = 0;
  io::StreamControl* via_ = nullptr;
  io::StreamId stream_;
  io::Endpoint peer_;
  Life life_ = Life::free;
  Phase phase_ = Phase::none;
  bool loopback_ = false;
  bool receiving_ = false;
  bool peer_ended_ = false;
  bool linger_ = false;
  bool held_ = false;  // A complete request waits in the parser.
  bool authenticating_ = false;
  bool admitted_ = false;   // The request that is coming in may go on.
  bool continued_ = false;  // "100 Continue" was sent for it.
  MonoTime phase_end_ = MonoTime::max();
  MonoTime timer_due_ = MonoTime::max();
  http::RecentHeads recent_heads_;
  std::unique_ptr<HttpExchange> exchange_;     // Null while idle.
  std::unique_ptr<RequestProgress> progress_;  // Null but for what capacity stopped half-way.
  std::unique_ptr<HttpClient> client_;         // Null while nobody authenticates.
};

}  // namespace tocsin::ingress
