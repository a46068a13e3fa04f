#pragma once
// Simulated HTTP peers: a client that posts events, and the receiver of a webhook.

#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "flow/loop.hpp"
#include "io/sim/sim_random.hpp"
#include "protocol/http/request_parser.hpp"
#include "protocol/http/response_parser.hpp"
#include "tests/sim/engine_link.hpp"
#include "tests/sim/engine_truth.hpp"

namespace tocsin::sim_test {

/// Posts `total` events one request at a time, single ones or batches of up to `batch_max`, and
/// repeats what was not answered or was refused.
class HttpProducer final : Link::Owner, public flow::Timer {
 public:
  struct Plan {
    std::string name;
    std::uint32_t batch_max = 1;
    std::uint32_t total = 30;
  };
  HttpProducer(flow::Loop& loop, const io::Endpoint& server, const Plan& plan, Truth& truth,
               std::uint64_t seed)
      : loop_(loop),
        server_(server),
        plan_(plan),
        truth_(truth),
        random_(seed),
        link_(loop.io(), *this),
        parser_({}, nullptr) {}

  void start() { loop_.arm(*this, loop_.now()); }
  [[nodiscard]] bool done() const noexcept { return next_ > plan_.total && pending_.empty(); }
  [[nodiscard]] const Plan& plan() const noexcept { return plan_; }

 private:
  void on_link_up() override {}
  void on_link_data(std::string_view bytes) override;
  void on_link_down() override { asked_ = false; }
  void on_timer(MonoTime now) noexcept override;
  void ask();
  void on_answer(const http::Response& response);
  void on_entries(std::string_view body);

  flow::Loop& loop_;
  const io::Endpoint server_;
  const Plan plan_;
  Truth& truth_;
  io::SimRandom random_;
  Link link_;
  http::ResponseParser parser_;
  std::uint32_t next_ = 1;
  std::deque<std::string> pending_;  ///< What the request holds, or will hold again.
  bool asked_ = false;
  MonoTime asked_at_{};
};

enum class Answer : std::uint8_t {
  ok,
  server_error,  ///< 500
  throttled,     ///< 429 with Retry-After
  hang,          ///< Nothing, ever.
  drop,          ///< Closes instead of answering.
  gone,          ///< 410: never again.
};

/// Answers by chance, weighted by `weights` (one per Answer).
class WebhookReceiver final : io::AcceptHandler {
 public:
  using Weights = std::vector<std::uint32_t>;
  WebhookReceiver(flow::Loop& loop, const io::Endpoint& endpoint, Truth& truth, std::uint64_t seed);

  Weights weights{1};

 private:
  struct Connection final : Link::Owner {
    explicit Connection(WebhookReceiver& owner)
        : receiver(owner), link(owner.loop_.io(), *this), parser({}, nullptr) {}
    void on_link_up() override {}
    void on_link_data(std::string_view bytes) override;
    void on_link_down() override { gone = true; }
    WebhookReceiver& receiver;
    Link link;
    http::RequestParser parser;
    bool gone = false;
  };
  io::StreamHandler* on_accept(io::StreamId stream, const io::Endpoint& peer) noexcept override;
  void on_accept_error(io::Errno /*error*/) noexcept override {}
  [[nodiscard]] Answer choose();
  void on_request(Connection& connection, const http::Request& request);

  flow::Loop& loop_;
  Truth& truth_;
  io::SimRandom random_;
  std::list<Connection> connections_;
};

}  // namespace tocsin::sim_test
