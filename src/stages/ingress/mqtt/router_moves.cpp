// What a router knows for the sake of sessions that come from, and go to, other routers: this
// process's or the next one's.

#include <algorithm>

#include "flow/route_info.hpp"
#include "stages/ingress/mqtt/router.hpp"

namespace tocsin::ingress {

std::uint64_t Router::routed_to(const Session& session) const noexcept {
  const std::uint64_t here = std::max(last_sequence_, session.routed_to);
  // While what the process before left is routed again, most of it the session has had.
  return replayed_ ? here : std::max(here, session.restored_to);
}

void Router::let_go(flow::Batch& batch) noexcept {
  auto* const range = static_cast<flow::SettlementRange*>(batch.settlement);
  if (range != nullptr) range->settle();
  batch.release();
}

void Router::keep_routed(std::optional<std::uint64_t> since) noexcept {
  keeping_ = since.has_value();
  while (!kept_.empty() && (!since || routed_ - kept_.size() < *since)) {
    let_go(*kept_.front());
    kept_.pop_front();
  }
}

void Router::catch_up(Session& session) noexcept {
  if (session.subscriptions.empty()) return;
  catching_up_ = &session;
  for (flow::Batch* const batch : kept_) route_again(*batch, batch->view().size());
  if (!batches_.empty()) route_again(*batches_.front(), record_);
  catching_up_ = nullptr;
}

void Router::route_again(flow::Batch& batch, std::uint32_t count) noexcept {
  const flow::BlockView block = batch.view();
  for (std::uint32_t i = 0; i < count; ++i) {
    const RecordView record = block.record(i);
    if ((record.header().mqtt & flow::mqtt_routed_bit) == 0) continue;
    route_record(record, static_cast<flow::SettlementRange*>(batch.settlement));
  }
}

}  // namespace tocsin::ingress
