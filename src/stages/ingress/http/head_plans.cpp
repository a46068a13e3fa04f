#include "stages/ingress/http/head_plans.hpp"

#include "stages/ingress/http/paths.hpp"
#include "stages/ingress/http/sender.hpp"

namespace tocsin::ingress {

const HeadPlan* HeadPlans::of(const http::Request& request) noexcept {
  const std::size_t slot = request.known.slot;
  if (slot >= http::KnownHeads::slots) return nullptr;
  if (entries_.empty()) entries_.resize(http::KnownHeads::slots);
  Entry& entry = entries_[slot];
  if (entry.name != request.known) entry = {.name = request.known, .plan = make(request)};
  return entry.plan ? &*entry.plan : nullptr;
}

// Whoever breaks a rule has it explained each time.
std::optional<HeadPlan> HeadPlans::make(const http::Request& request) const noexcept {
  const HttpRoute route = route_of(request.path);
  if (route == HttpRoute::other || request.method != http::Method::post) return std::nullopt;
  if (request.unknown_expectation) return std::nullopt;
  HeadPlan plan;
  plan.route = route == HttpRoute::events ? EventRoute::single : EventRoute::batch;
  plan.coding = coding_of(*request.headers);
  if (plan.coding == ContentCoding::unknown) return std::nullopt;
  for (const bool loopback : {false, true}) {
    plan.guarded[loopback ? 1 : 0] = guard_.check(request, loopback) == GuardVerdict::allowed;
  }
  const auto shown = authorization_of(*request.headers);
  if (!shown) return std::nullopt;
  plan.proof = hash128(*shown, proof_seed_);
  const auto level = requested_level(request);
  const auto trigger = trigger_of_head(request, plan.route);
  if (!level || !trigger) return std::nullopt;
  // Attributes are decoded into room that the next request needs.
  if (trigger->event.envelope == flow::Envelope::cloudevents_binary) return std::nullopt;
  plan.trigger = *trigger;
  plan.trigger.event.level = *level;
  return plan;
}

}  // namespace tocsin::ingress
