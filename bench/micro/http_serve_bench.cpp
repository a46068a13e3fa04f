// The HTTP listener's own work per request, from received bytes to the answer handed to the socket:
// no kernel, and an intake that accepts and acknowledges at once. Under callgrind it counts
// instructions per request.

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "stages/ingress/http/server.hpp"
#include "tests/support/still_io.hpp"

namespace {

using namespace tocsin;

class OneConnection final : public testing::StillIo {
 public:
  Result<io::ListenerId, io::Errno> listen(const io::Endpoint& endpoint, bool,
                                           io::AcceptHandler& handler) override {
    endpoint_ = endpoint;
    connection_ = handler.on_accept({.slot = 0, .generation = 1}, endpoint);
    return io::ListenerId{.slot = 0};
  }
  io::Endpoint local_endpoint(io::ListenerId) const override { return endpoint_; }
  void close_listener(io::ListenerId) override {}
  void receive_start(io::StreamId) override {}
  void receive_stop(io::StreamId) override {}
  void send(io::StreamId, std::span<const std::byte>) override { sending_ = true; }
  void close(io::StreamId) override { std::abort(); }
  void poll(MonoTime) override {
    if (!sending_) return;
    sending_ = false;
    connection_->on_sent(0);
  }
  [[nodiscard]] io::StreamHandler& connection() noexcept { return *connection_; }

 private:
  io::Endpoint endpoint_;
  io::StreamHandler* connection_ = nullptr;
  bool sending_ = false;
};

class Acceptor final : public flow::Intake {
 public:
  explicit Acceptor(std::string_view data) noexcept : data_(data) {}
  bool ready() noexcept override { return true; }
  Result<flow::Accepted, flow::Rejection> add(const flow::RawEvent&,
                                              const flow::AckToken& ack) noexcept override {
    acks_.push_back(ack);
    return flow::Accepted{.id = {.hi = 1, .lo = 2}, .type = "order_created", .data = data_};
  }
  flow::Taken take(const flow::PlainEvent&, const flow::AckToken&,
                   flow::RefusalSink&) noexcept override {
    return flow::Taken::unusual;
  }
  Result<std::uint32_t, flow::Rejection> add_all(const flow::RawEvent&, flow::BatchForm,
                                                 flow::EntryVerdicts&) noexcept override {
    std::abort();
  }
  void add_ready_listener(ReadyListener&) override {}
  void acknowledge() {
    for (const flow::AckToken& ack : acks_) ack.sink->on_ack(ack, true);
    acks_.clear();
  }

 private:
  std::string_view data_;
  std::vector<flow::AckToken> acks_;
};

class NoRoutes final : public ingress::HttpRouter {
 public:
  bool handle(const ingress::HttpRequest&, ingress::HttpReply&) noexcept override { return false; }
};

void serve(benchmark::State& state, int requests) {
  const std::string data =
      R"({"device":"sensor-0042","temperature":21.53,"humidity":48.2,"pressure":1013.25,"battery":87,)"
      R"("status":"ok","firmware":"2.14.3","location":"hall 7, rack 12","uptime":864213,"alarm":false})";
  const std::string body = R"({"event":"order_created","payload":)" + data + '}';
  std::string bytes;
  for (int i = 0; i < requests; ++i) {
    bytes += "POST /api/events HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n";
    bytes += "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size());
    bytes += "\r\n\r\n" + body;
  }
  const std::size_t size = bytes.size();
  bytes.append(64, ' ');
  OneConnection io;
  flow::Loop loop(io, "bench");
  Acceptor intake(data);
  NoRoutes routes;
  ingress::HttpServer server(loop, intake, {}, make_null_log(), routes);
  const std::array endpoints{*io::parse_endpoint("127.0.0.1:8080")};
  if (!server.start(endpoints, false)) return state.SkipWithError("cannot listen");
  for (auto _ : state) {
    io.connection().on_data(std::as_bytes(std::span(bytes)).first(size));
    intake.acknowledge();
    loop.turn(MonoTime::min());
    loop.turn(MonoTime::min());
  }
  state.SetItemsProcessed(state.iterations() * requests);
}

void http_serve_post(benchmark::State& state) { serve(state, 1); }
void http_serve_pipelined_16(benchmark::State& state) { serve(state, 16); }
BENCHMARK(http_serve_post);
BENCHMARK(http_serve_pipelined_16);

}  // namespace
