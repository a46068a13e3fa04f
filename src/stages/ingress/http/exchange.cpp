#include "stages/ingress/http/exchange.hpp"

#include <cassert>
#include <utility>

namespace tocsin::ingress {
namespace {

// Memory that each buffer keeps for the next request; more is given back at once.
constexpr std::size_t kept_max = 32 * 1024;
// Exchanges kept: what is in use at a time on a busy reactor.
constexpr std::size_t free_max = 128;

}  // namespace

HttpExchange::HttpExchange(const HttpOptions& options, ByteBudget& budget)
    : parser({.head_size_max = options.head_size_max, .body_size_max = options.body_size_max},
             &budget),
      backlog(&budget),
      queue(options.pipeline_max, budget),
      sending(&budget) {}

void HttpExchange::trim() noexcept {
  if (parser.capacity() > kept_max) parser.release();
  if (backlog.capacity() > kept_max) backlog.release();
  if (queue.capacity() > kept_max) queue.release();
  if (sending.capacity() > kept_max) sending.release();
}

void HttpExchange::release() noexcept {
  parser.release();
  backlog.release();
  queue.clear();
  queue.release();
  sending.release();
}

std::unique_ptr<HttpExchange> ExchangePool::take() {
  if (free_.empty()) return std::make_unique<HttpExchange>(options_, budget_);
  auto exchange = std::move(free_.back());
  free_.pop_back();
  return exchange;
}

void ExchangePool::give_back(std::unique_ptr<HttpExchange> exchange) noexcept {
  assert(exchange->empty());
  if (free_.size() == free_max) return;
  exchange->trim();
  free_.push_back(std::move(exchange));
}

}  // namespace tocsin::ingress
