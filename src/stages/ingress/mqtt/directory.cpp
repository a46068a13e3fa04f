#include "stages/ingress/mqtt/directory.hpp"

namespace tocsin::ingress {

SessionDirectory::Claimed SessionDirectory::claim(std::string_view client_id, MqttServer& server) {
  const std::lock_guard lock(mutex_);
  Claimed claimed{.claim = ++last_claim_, .previous = {}};
  const Owner owner{.server = &server, .claim = claimed.claim};
  const auto [it, added] = owners_.try_emplace(std::string(client_id), owner);
  if (!added) {
    claimed.previous = it->second;
    it->second = owner;
  }
  return claimed;
}

void SessionDirectory::release(const std::string& client_id, const Owner& owner) noexcept {
  const std::lock_guard lock(mutex_);
  const auto it = owners_.find(client_id);
  if (it != owners_.end() && it->second == owner) owners_.erase(it);
}

bool SessionDirectory::owns(const std::string& client_id, const Owner& owner) const {
  const std::lock_guard lock(mutex_);
  const auto it = owners_.find(client_id);
  return it != owners_.end() && it->second == owner;
}

std::size_t SessionDirectory::size() const {
  const std::lock_guard lock(mutex_);
  return owners_.size();
}

}  // namespace tocsin::ingress
