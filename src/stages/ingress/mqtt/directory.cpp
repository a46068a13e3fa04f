#include "stages/ingress/mqtt/directory.hpp"

namespace tocsin::ingress {

std::optional<SessionDirectory::Owner> SessionDirectory::claim(std::string_view client_id,
                                                               const Owner& owner) {
  const std::lock_guard lock(mutex_);
  const auto [it, added] = owners_.try_emplace(std::string(client_id), owner);
  if (added) return std::nullopt;
  const Owner previous = it->second;
  it->second = owner;
  return previous;
}

void SessionDirectory::release(const std::string& client_id, const Owner& owner) noexcept {
  const std::lock_guard lock(mutex_);
  const auto it = owners_.find(client_id);
  if (it != owners_.end() && it->second == owner) owners_.erase(it);
}

std::size_t SessionDirectory::size() const {
  const std::lock_guard lock(mutex_);
  return owners_.size();
}

}  // namespace tocsin::ingress
