#pragma once
// For tests: a server with one plain listener in a world without sockets, which must be empty in
// the end.

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <utility>

#include "stages/ingress/http/server.hpp"
#include "stages/ingress/http/test_world.hpp"

namespace tocsin::ingress::test {

class HttpFixture : public ::testing::Test {
 protected:
  void start(HttpOptions options = {}) {
    server_ =
        std::make_unique<HttpServer>(loop_, intake_, std::move(options), make_null_log(), router_);
    const std::array endpoints{*io::parse_endpoint("127.0.0.1:8080")};
    ASSERT_TRUE(server_->start(endpoints, false));
  }
  void TearDown() override {
    server_->close_all();
    turns();
    EXPECT_TRUE(server_->drained());
    server_->close_all();
    EXPECT_EQ(server_->budget().used(), 0U);
    server_.reset();  // Before what a test gave it.
  }
  void turns(int n = 4) {
    for (int i = 0; i < n; ++i) loop_.turn(loop_.now());
  }

  FakeIo io_;
  flow::Loop loop_{io_, "test"};
  FakeIntake intake_;
  FakeRouter router_;
  std::unique_ptr<HttpServer> server_;
};

}  // namespace tocsin::ingress::test
