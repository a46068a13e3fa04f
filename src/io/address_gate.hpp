#pragma once
// Whether an address may open one more connection.

#include "io/io.hpp"

namespace tocsin::io {

class AddressGate {
 public:
  /// False: close the connection at once. After true, release() follows when it is closed. Any
  /// thread.
  [[nodiscard]] virtual bool admit(const Endpoint& peer) noexcept = 0;
  virtual void release(const Endpoint& peer) noexcept = 0;

 protected:
  ~AddressGate() = default;
};

}  // namespace tocsin::io
