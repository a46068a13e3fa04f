#include "stages/ingress/mqtt/aliases.hpp"

#include <algorithm>
#include <cassert>

namespace tocsin::ingress {

bool InboundAliases::set(std::uint16_t alias, std::string_view topic) {
  assert(alias > 0);
  while (topics_.size() < alias) {
    if (!budget_.charge(cost({}))) return false;
    topics_.emplace_back();
  }
  std::string& slot = topics_[alias - 1U];
  if (!budget_.charge(cost(topic))) return false;
  budget_.refund(cost(slot));
  slot.assign(topic);
  return true;
}

std::uint16_t OutboundAliases::find(std::string_view topic) const noexcept {
  const auto it = std::find(topics_.begin(), topics_.end(), topic);
  return it == topics_.end() ? std::uint16_t{0}
                             : static_cast<std::uint16_t>(it - topics_.begin() + 1);
}

bool OutboundAliases::add(std::string_view topic) {
  assert(wants(topic));
  if (!budget_.charge(topic.size())) return false;
  topics_.emplace_back(topic);
  return true;
}

}  // namespace tocsin::ingress
