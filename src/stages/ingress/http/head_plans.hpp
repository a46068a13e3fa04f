#pragma once
// What a head means to ingest, kept for heads that come again.

#include <array>
#include <optional>
#include <vector>

#include "base/hash.hpp"
#include "protocol/http/known_heads.hpp"
#include "stages/ingress/http/content_coding.hpp"
#include "stages/ingress/http/guard.hpp"
#include "stages/ingress/http/trigger.hpp"

namespace tocsin::ingress {

/// Of a request for events whose head breaks no rule. Who may send them, and how many, is not in
/// it: that is asked each time.
struct HeadPlan {
  EventRoute route = EventRoute::single;
  ContentCoding coding = ContentCoding::identity;
  /// Whether the guard lets it in, on other listeners and on a plain loopback one.
  std::array<bool, 2> guarded{};
  Hash128 proof;    ///< Of its Authorization field, see proof_of().
  Trigger trigger;  ///< Without payload and sender.
};

/// One per reactor.
class HeadPlans {
 public:
  /// `proof_seed` is a secret; both must outlive this.
  HeadPlans(const RequestGuard& guard, const Hash128& proof_seed) noexcept
      : guard_(guard), proof_seed_(proof_seed) {}

  /// Null when the head is not known, or has to be looked at each time. Valid until the next call.
  [[nodiscard]] const HeadPlan* of(const http::Request& request) noexcept;

 private:
  struct Entry {
    http::HeadName name;
    std::optional<HeadPlan> plan;
  };
  [[nodiscard]] std::optional<HeadPlan> make(const http::Request& request) const noexcept;

  const RequestGuard& guard_;
  const Hash128& proof_seed_;
  std::vector<Entry> entries_;
};

}  // namespace tocsin::ingress
