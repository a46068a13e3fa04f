#pragma once
// A request that found no memory for some of its events, and goes on when there is some.

#include <cstdint>
#include <optional>

#include <tocsin/time.hpp>

#include "base/byte_buffer.hpp"

namespace tocsin::ingress {

/// What became of the entries so far.
struct BatchTally {
  std::uint32_t charged = 0;  ///< Events that the client's quota was charged with.
  std::uint32_t accepted = 0;
  std::uint32_t refused = 0;
  std::uint32_t no_capacity = 0;
  std::uint32_t over_quota = 0;
  Duration source_wait{0};
  std::optional<Duration> client_wait;  ///< The whole batch is refused for so long.
};

/// For a single event, that it has begun is all there is to know.
struct RequestProgress {
  explicit RequestProgress(ByteBudget& budget) noexcept : text(&budget) {}

  std::uint32_t next = 0;     ///< The entry to go on with.
  std::uint32_t ordinal = 0;  ///< Of the response.
  BatchTally tally;
  ByteBuffer text;  ///< The answer's body so far.
};

/// Can keep a request until there is capacity.
class RequestKeeper {
 public:
  /// Where the request that is being taken left off: null when this is its beginning.
  [[nodiscard]] virtual const RequestProgress* progress() noexcept = 0;
  /// Keeps the request and this of it. False: it cannot, and the rest is refused.
  [[nodiscard]] virtual bool keep(std::uint32_t next, const BatchTally& tally,
                                  std::string_view text) noexcept = 0;

 protected:
  ~RequestKeeper() = default;
};

}  // namespace tocsin::ingress
