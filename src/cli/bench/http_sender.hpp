#pragma once
// Events by HTTP: one a request, or batches; pipelined up to the window.

#include <cstdint>
#include <string>
#include <vector>

#include "cli/bench/sender.hpp"
#include "protocol/http/response_parser.hpp"

namespace tocsin::cli::bench {

/// The requests that a plan cycles through.
[[nodiscard]] std::vector<Template> make_requests(const Plan& plan);

class HttpSender final : public Sender {
 public:
  /// `requests` outlive it.
  HttpSender(Session& session, std::uint32_t index, const std::vector<Template>& requests);

  [[nodiscard]] bool settled() const noexcept override { return failed() || in_flight_ == 0; }

 private:
  void on_open() noexcept override { set_ready(); }
  std::size_t on_bytes(std::string_view bytes) noexcept override;
  [[nodiscard]] std::uint64_t write_some(std::uint64_t sends_max,
                                         MonoTime intended) noexcept override;
  std::size_t take_usual(std::string_view bytes, MonoTime now) noexcept;
  void learn_usual(std::string_view answer, const http::Response& response);
  void on_response(const http::Response& response, MonoTime now) noexcept;
  [[nodiscard]] MonoTime take_oldest() noexcept;

  const std::vector<Template>& requests_;
  std::size_t next_request_;
  http::ResponseParser parser_;
  bool parsing_ = false;  // In the middle of an answer.
  // The head of the last good answer and the size of its body: most that follow are alike, and need
  // not be parsed.
  std::string usual_head_;
  std::size_t usual_body_size_ = 0;
  std::vector<MonoTime> due_;  // Ring, one cell a request in flight; answers come in order.
  std::size_t oldest_ = 0;
  std::size_t in_flight_ = 0;
};

}  // namespace tocsin::cli::bench
