#include "cli/bench/http_sender.hpp"

#include <gtest/gtest.h>

#include "protocol/http/request_parser.hpp"

namespace tocsin::cli::bench {
namespace {

Plan plan_of(std::uint32_t batch, std::string_view lines) {
  Plan plan;
  plan.host = "localhost:8080";
  plan.event = "say \"hi\"";
  plan.batch = batch;
  plan.payloads = make_templates(lines);
  return plan;
}

std::string body_of(const Template& request, std::string_view path) {
  http::RequestParser parser({}, nullptr);
  const auto fed = parser.feed(request.text);
  EXPECT_EQ(fed.status, http::ParseStatus::complete);
  EXPECT_EQ(fed.consumed, request.text.size());
  EXPECT_EQ(parser.request().path, path);
  return std::string(parser.request().body);
}

// Goal: requests are what our own parser takes for one whole request.
TEST(BenchHttp, MakesRequests) {
  const auto requests = make_requests(plan_of(1, "1\n2"));
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(body_of(requests[1], "/api/events"), R"({"event":"say \"hi\"","payload":2})");
}

// Goal: batches go through all payloads before they begin anew.
TEST(BenchHttp, BatchesCycleThroughPayloads) {
  const auto requests = make_requests(plan_of(2, "1\n2\n3"));
  ASSERT_EQ(requests.size(), 3U);
  EXPECT_EQ(body_of(requests[1], "/api/events/batch"),
            R"([{"event":"say \"hi\"","payload":3},{"event":"say \"hi\"","payload":1}])");
}

}  // namespace
}  // namespace tocsin::cli::bench
