#include "tests/contract/io_contract.hpp"

#include <chrono>

namespace tocsin::io::contract {

// A backend that is not built here still leaves the suite compiled.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(IoContract);

void Peer::echo() {
  const auto pump = [this] {
    if (echoing_ || backlog_.empty()) return;
    echoing_ = true;
    send(std::exchange(backlog_, {}));
  };
  when_data = [this, pump](std::span<const std::byte> bytes) {
    backlog_ += text_of(bytes);
    pump();
  };
  when_sent = [this, pump] {
    echoing_ = false;
    pump();
    if (ended > 0 && !echoing_) close();
  };
  when_ended = [this] {
    if (!echoing_) close();
  };
  io_.receive_start(id);
}

void IoContract::restart(const IoOptions& options) {
  acceptor_.reset();
  io_ = GetParam().make(options);
  ASSERT_NE(io_, nullptr);
  acceptor_ = std::make_unique<Acceptor>(*io_);
}

bool IoContract::run_until(const std::function<bool()>& done) {
  const MonoTime limit = io_->now() + std::chrono::seconds{30};
  while (!done()) {
    if (io_->now() >= limit) return false;
    io_->poll(limit);
  }
  return true;
}

void IoContract::settle() {
  const MonoTime quiet = io_->now() + std::chrono::milliseconds{20};
  while (io_->now() < quiet) io_->poll(quiet);
}

void IoContract::listen() {
  const auto listener = io_->listen(*parse_endpoint("127.0.0.1:0"), false, *acceptor_);
  ASSERT_TRUE(listener);
  listener_ = *listener;
  endpoint_ = io_->local_endpoint(listener_);
  ASSERT_NE(endpoint_.port, 0);
}

Peer& IoContract::connect(Peer& client) {
  const std::size_t before = acceptor_->peers.size();
  const auto id = io_->connect(endpoint_, client);
  EXPECT_TRUE(id);
  client.id = *id;
  EXPECT_TRUE(run_until([&] { return client.connected == 1 && acceptor_->peers.size() > before; }));
  EXPECT_EQ(client.connect_error, 0);
  return acceptor_->peers.back();
}

void IoContract::close_all(std::initializer_list<Peer*> peers) {
  for (Peer* const peer : peers) peer->close();
  for (Peer* const peer : peers) {
    EXPECT_TRUE(run_until([&] { return peer->closed == 1; }));
  }
}

}  // namespace tocsin::io::contract
