// Connections of an address: how many, how fast, and that every end is noticed.
#include "control/auth/connection_limits.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "io/gated_listener.hpp"

namespace tocsin::auth {
namespace {

io::Endpoint peer(std::uint32_t number) {
  io::Endpoint endpoint;
  std::memcpy(endpoint.address.data(), &number, sizeof number);
  return endpoint;
}

struct Limited : ::testing::Test {
  MonoTime now{std::chrono::hours(3)};
  ConnectionLimits make(std::uint32_t connections, std::uint32_t per_s) {
    return ConnectionLimits({.connections_max = connections, .connects_per_s_max = per_s}, 5,
                            [this] { return now; });
  }
};
using ConnectionLimit = Limited;

TEST_F(ConnectionLimit, CountsWhatIsOpen) {
  ConnectionLimits limits = make(2, 0);
  EXPECT_TRUE(limits.admit(peer(1)));
  EXPECT_TRUE(limits.admit(peer(1)));
  EXPECT_FALSE(limits.admit(peer(1)));
  EXPECT_TRUE(limits.admit(peer(2)));
  limits.release(peer(1));
  EXPECT_TRUE(limits.admit(peer(1)));
  EXPECT_FALSE(limits.admit(peer(1)));
}

TEST_F(ConnectionLimit, CountsWhatIsOpenedInASecond) {
  ConnectionLimits limits = make(0, 2);
  const auto opened = [&] {
    int count = 0;
    while (count < 1000 && limits.admit(peer(1))) {
      limits.release(peer(1));
      ++count;
    }
    return count;
  };
  EXPECT_EQ(opened(), 20);
  now += std::chrono::seconds(3);
  EXPECT_EQ(opened(), 6);
  EXPECT_TRUE(limits.admit(peer(2)));
}

TEST_F(ConnectionLimit, ForgetsIdleAddressesButNoConnection) {
  ConnectionLimits limits = make(1, 1);
  EXPECT_TRUE(limits.admit(peer(0)));
  for (std::uint32_t i = 1; i < 100'000; ++i) {
    ASSERT_TRUE(limits.admit(peer(i)));
    limits.release(peer(i));
  }
  EXPECT_FALSE(limits.admit(peer(0)));
}

/// A handler that only notices its end.
struct Ending final : io::StreamHandler {
  void on_connected(io::Errno) noexcept override {}
  void on_data(std::span<const std::byte>) noexcept override {}
  void on_end(io::Errno) noexcept override {}
  void on_sent(io::Errno) noexcept override {}
  void on_closed() noexcept override { ++closed; }
  int closed = 0;
};
struct Accepting final : io::AcceptHandler {
  io::StreamHandler* on_accept(io::StreamId, const io::Endpoint&) noexcept override {
    return accepts ? &handler : nullptr;
  }
  void on_accept_error(io::Errno) noexcept override {}
  Ending handler;
  bool accepts = true;
};

TEST_F(ConnectionLimit, AGateBeforeAListenerOpensAgain) {
  ConnectionLimits limits = make(1, 0);
  Accepting inner;
  io::GatedListener gated(inner, limits);
  for (int round = 0; round < 3; ++round) {
    io::StreamHandler* const handler = gated.on_accept({}, peer(1));
    ASSERT_NE(handler, nullptr);
    EXPECT_EQ(gated.on_accept({}, peer(1)), nullptr);
    handler->on_closed();
    EXPECT_EQ(inner.handler.closed, round + 1);
  }
  inner.accepts = false;
  EXPECT_EQ(gated.on_accept({}, peer(1)), nullptr);
  EXPECT_TRUE(limits.admit(peer(1))) << "who was turned away holds no place";
}

}  // namespace
}  // namespace tocsin::auth
