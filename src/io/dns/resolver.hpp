#pragma once
// Host names to addresses, away from the loops.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <tocsin/result.hpp>

#include "io/io.hpp"

namespace tocsin::io {

enum class ResolveError : std::uint8_t { not_found, timeout, failed, busy };
[[nodiscard]] std::string_view to_string(ResolveError error) noexcept;

using ResolveResult = Result<std::vector<Endpoint>, ResolveError>;
/// Runs exactly once, on the resolver's thread, or inside resolve() (busy, or an address as host).
using ResolveCallback = std::function<void(ResolveResult)>;

class Resolver {
 public:
  virtual ~Resolver() = default;
  /// Any thread. Addresses come in the order in which they should be tried, at most 16.
  virtual void resolve(const std::string& host, std::uint16_t port, ResolveCallback callback) = 0;
  /// Ends pending look-ups, and those that are asked for later, with `failed`. No callback is
  /// running once it has returned: what callbacks refer to may then be destroyed. Idempotent.
  virtual void stop() noexcept = 0;
};

struct ResolverOptions {
  std::chrono::milliseconds timeout{3000};  ///< Of one try; there are `tries`.
  int tries = 2;
  std::size_t pending_max = 256;  ///< Look-ups at once; above, `busy`.
};

/// A resolver on c-ares with a thread of its own; hosts file first, then DNS. Destroying it stops
/// it.
[[nodiscard]] Result<std::unique_ptr<Resolver>, std::string> make_resolver(
    const ResolverOptions& options);

}  // namespace tocsin::io
