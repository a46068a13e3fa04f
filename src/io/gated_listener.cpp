#include "io/gated_listener.hpp"

#include <utility>

namespace tocsin::io {

StreamHandler* GatedListener::on_accept(StreamId stream, const Endpoint& peer) noexcept {
  if (!gate_.admit(peer)) return nullptr;
  StreamHandler* const handler = inner_.on_accept(stream, peer);
  if (handler == nullptr) {
    gate_.release(peer);
    return nullptr;
  }
  if (free_.empty()) {
    passages_.push_back(std::make_unique<Passage>(*this));
    free_.push_back(passages_.back().get());
  }
  Passage& passage = *free_.back();
  free_.pop_back();
  passage.handler = handler;
  passage.peer = peer;
  return &passage;
}

void GatedListener::closed(Passage& passage) noexcept {
  StreamHandler* const handler = std::exchange(passage.handler, nullptr);
  gate_.release(passage.peer);
  free_.push_back(&passage);
  handler->on_closed();
}

}  // namespace tocsin::io
