#pragma once
// Objects that died in the middle of their work.

#include <memory>
#include <vector>

namespace tocsin::test {

/// Keeps what cannot be destroyed in order, because its operations never complete, until the
/// process ends. It stays reachable: a leak checker looks after every static has been destroyed.
template <typename T>
void bury(std::unique_ptr<T> dead) {
  static auto& graves = *new std::vector<T*>;
  if (dead) graves.push_back(dead.release());
}

}  // namespace tocsin::test
