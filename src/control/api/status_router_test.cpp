#include "control/api/status_router.hpp"

#include <gtest/gtest.h>

#include "control/metrics/exposition.hpp"

namespace tocsin::api {
namespace {

struct Fixture : ::testing::Test {
  std::vector<ComponentState> components{{"journal", true, "stored"}, {"rules", true, "2 rules"}};
  StatusRouter router{StatusSources{.metrics = [] { return std::string("tocsin_x_total 1\n"); },
                                    .readiness = [this] { return components; }}};
  ingress::HttpReply reply;

  bool ask(std::string_view path, http::Method method = http::Method::get) {
    reply.reset();
    ingress::HttpRequest request{};
    request.method = method;
    request.path = path;
    return router.handle(request, reply);
  }
};
using StatusRouterTest = Fixture;

TEST_F(StatusRouterTest, HealthIsOkAsLongAsTheLoopTurns) {
  components[0].ready = false;
  ASSERT_TRUE(ask("/healthz"));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, "ok\n");
}

TEST_F(StatusRouterTest, ReadyWhenEveryComponentIs) {
  ASSERT_TRUE(ask("/readyz"));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.content_type, "application/json");
  EXPECT_EQ(reply.body,
            "{\"status\":\"ready\",\"components\":{\"journal\":{\"ready\":true,\"detail\":"
            "\"stored\"},\"rules\":{\"ready\":true,\"detail\":\"2 rules\"}}}\n");
}

TEST_F(StatusRouterTest, NotReadyNamesTheComponentAndEscapesItsDetail) {
  components[0] = {"journal", false, "cannot write \"/data\""};
  ASSERT_TRUE(ask("/readyz"));
  EXPECT_EQ(reply.status, 503);
  EXPECT_NE(reply.body.find(R"("status":"not ready")"), std::string::npos);
  EXPECT_NE(reply.body.find(R"("journal":{"ready":false,"detail":"cannot write \"/data\""})"),
            std::string::npos)
      << reply.body;
}

TEST_F(StatusRouterTest, MetricsAreInThePrometheusFormat) {
  ASSERT_TRUE(ask("/metrics"));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.content_type, "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(reply.body, "tocsin_x_total 1\n");
}

TEST_F(StatusRouterTest, OtherMethodsAreRefusedAndHeadIsGet) {
  for (const char* path : {"/healthz", "/readyz", "/metrics"}) {
    ASSERT_TRUE(ask(path, http::Method::post));
    EXPECT_EQ(reply.status, 405);
    EXPECT_EQ(reply.allow, "GET, HEAD");
    EXPECT_TRUE(reply.body.empty());
    ASSERT_TRUE(ask(path, http::Method::head));
    EXPECT_EQ(reply.status, 200);
  }
}

TEST_F(StatusRouterTest, OtherPathsAreNotItsBusiness) {
  for (const char* path : {"/", "/metrics/", "/healthzz", "/api/events"}) EXPECT_FALSE(ask(path));
}

}  // namespace
}  // namespace tocsin::api
