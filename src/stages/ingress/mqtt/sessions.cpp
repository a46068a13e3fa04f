#include "stages/ingress/mqtt/sessions.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include "base/hash.hpp"
#include "stages/ingress/mqtt/connection.hpp"
#include "stages/ingress/mqtt/server.hpp"

namespace tocsin::ingress {

Sessions::Sessions(MqttServer& server, BrokerShared& shared)
    : server_(server), shared_(shared), keeper_(server) {}

Sessions::~Sessions() {
  for (auto& [uid, session] : by_uid_) {
    server_.loop().disarm(*session);
    shared_.directory.release(session->client_id, {&server_, session->claim});
  }
}

Session* Sessions::find(std::uint64_t uid) noexcept {
  const auto it = by_uid_.find(uid);
  return it == by_uid_.end() ? nullptr : it->second.get();
}

// --- getting a session
// ----------------------------------------------------------------------------

std::optional<Sessions::Acquired> Sessions::acquire(Request request) {
  const auto [claim, previous] = shared_.directory.claim(request.client_id, server_);
  if (!previous) return finish(nullptr, request, claim);
  const Owner us{&server_, claim};
  if (previous->server != &server_) {
    await(claim, std::move(request));
    send(*previous->server,
         std::make_unique<Transfer>(Transfer{
             .answer = false, .claim = previous->claim, .requester = us, .session = nullptr}));
    return std::nullopt;
  }
  const auto awaited = awaiting_.find(previous->claim);
  if (awaited != awaiting_.end()) {
    Awaited& earlier = awaited->second;
    assert(!earlier.forward);
    earlier.forward = us;
    MqttConnection* const waiting = server_.find(earlier.request.slot, earlier.request.generation);
    await(claim, std::move(request));
    if (waiting != nullptr) waiting->taken_over();
    return std::nullopt;
  }
  return finish(take_local(previous->claim), request, claim);
}

// From now on this reactor gets, and keeps, what the session is not to miss on its way: what came
// to its present owner before, that one routes.
void Sessions::await(std::uint64_t claim, Request request) {
  server_.router().want();
  awaiting_.emplace(
      claim,
      Awaited{.request = std::move(request), .since = server_.router().routed(), .forward = {}});
  server_.router().keep_routed(awaiting_.begin()->second.since);
}

// The session of a claim, without its connection; null when it has ended, perhaps just now.
Session* Sessions::take_local(std::uint64_t claim) noexcept {
  const auto it = by_claim_.find(claim);
  if (it == by_claim_.end()) return nullptr;
  if (it->second->connection != nullptr) it->second->connection->taken_over();
  const auto again = by_claim_.find(claim);
  return again == by_claim_.end() ? nullptr : again->second;
}

Sessions::Acquired Sessions::finish(Session* old, const Request& request, std::uint64_t claim) {
  // A session belongs to its user: another one with the same identifier begins afresh.
  if (old != nullptr && (request.clean || old->user != request.user)) {
    end(*old);
    old = nullptr;
  }
  if (old != nullptr) {
    server_.loop().disarm(*old);
    // Section 3.1.3.2.2: the client is back before the delay has passed.
    old->will.reset();
    old->will_due = old->expiry_due = MonoTime::max();
    rekey(*old, claim);
    surrendering_.erase(old->uid);
    return {.session = old, .present = true};
  }
  auto fresh = std::make_unique<Session>(
      shared_.last_uid.fetch_add(1, std::memory_order_relaxed) + 1, request.client_id);
  fresh->user = request.user;
  return {.session = adopt(std::move(fresh), claim), .present = false};
}

void Sessions::rekey(Session& session, std::uint64_t claim) {
  by_claim_.erase(session.claim);
  session.claim = claim;
  by_claim_.emplace(claim, &session);
}

Session* Sessions::adopt(std::unique_ptr<Session> session, std::uint64_t claim) {
  Session* const added = session.get();
  added->owner = this;
  added->claim = claim;
  added->noting = false;
  added->match_round = 0;  // Rounds are counted by each router.
  by_claim_.emplace(claim, added);
  by_uid_.emplace(added->uid, std::move(session));
  return added;
}

std::unique_ptr<Session> Sessions::release(Session& session) noexcept {
  assert(session.connection == nullptr);
  server_.loop().disarm(session);
  by_claim_.erase(session.claim);
  surrendering_.erase(session.uid);
  const auto it = by_uid_.find(session.uid);
  std::unique_ptr<Session> owned = std::move(it->second);
  by_uid_.erase(it);
  return owned;
}

// --- between reactors
// -----------------------------------------------------------------------------

void Sessions::send(MqttServer& to, std::unique_ptr<Transfer> transfer) noexcept {
  to.post_transfer(transfer.release());
}

void Sessions::answer_none(const Owner& requester) noexcept {
  send(*requester.server,
       std::make_unique<Transfer>(Transfer{
           .answer = true, .claim = requester.claim, .requester = {}, .session = nullptr}));
}

void Sessions::on_transfer(void* object) noexcept {
  const std::unique_ptr<Transfer> transfer(static_cast<Transfer*>(object));
  if (transfer->answer) {
    receive(transfer->claim, std::move(transfer->session));
  } else {
    surrender(transfer->claim, transfer->requester);
  }
}

void Sessions::surrender(std::uint64_t claim, const Owner& requester) noexcept {
  const auto awaited = awaiting_.find(claim);
  if (awaited != awaiting_.end()) {
    Awaited& earlier = awaited->second;
    assert(!earlier.forward);
    earlier.forward = requester;
    MqttConnection* const waiting = server_.find(earlier.request.slot, earlier.request.generation);
    if (waiting != nullptr) waiting->taken_over();
    return;
  }
  Session* const session = take_local(claim);
  if (session == nullptr) {
    answer_none(requester);
  } else {
    surrendering_.insert_or_assign(session->uid, Surrender{.requester = requester, .batches = {}});
  }
}

// What becomes of a QoS 2 publish is told to this reactor.
bool Sessions::ready(const Session& session, const Surrender& surrender) noexcept {
  return session.uncommitted() == 0 && surrender.batches &&
         *surrender.batches <= server_.router().routed();
}

void Sessions::hand_over_ready() noexcept {
  for (auto it = surrendering_.begin(); it != surrendering_.end();) {
    auto& [uid, surrender] = *it++;
    // Set here, not with the question: batches that came earlier may be told later.
    if (!surrender.batches) surrender.batches = server_.router().received();
    Session* const session = find(uid);
    assert(session != nullptr);
    if (ready(*session, surrender)) hand_over(*session, Owner{surrender.requester});
  }
}

void Sessions::hand_over(Session& session, const Owner& requester) noexcept {
  if (session.noting) keeper_.session(session);
  session.routed_to = std::max(session.routed_to, server_.router().last_sequence());
  server_.router().pause(session);
  send(
      *requester.server,
      std::make_unique<Transfer>(Transfer{
          .answer = true, .claim = requester.claim, .requester = {}, .session = release(session)}));
}

void Sessions::receive(std::uint64_t claim, std::unique_ptr<Session> session) noexcept {
  auto node = awaiting_.extract(claim);
  assert(!node.empty());
  const Awaited awaited = std::move(node.mapped());
  Router& router = server_.router();
  router.unwant();
  if (awaited.forward && awaited.forward->server == &server_) {
    return receive(awaited.forward->claim, std::move(session));
  }
  Session* old = nullptr;
  if (session != nullptr) {
    // Not under our claim yet: should it end now, that one stays in the directory.
    const std::uint64_t its_claim = session->claim;
    old = adopt(std::move(session), its_claim);
    router.resume(*old);
    router.catch_up(*old);
  }
  router.keep_routed(awaiting_.empty() ? std::nullopt
                                       : std::optional(awaiting_.begin()->second.since));
  if (awaited.forward) {
    if (old != nullptr) {
      surrendering_.emplace(old->uid, Surrender{.requester = *awaited.forward, .batches = {}});
    } else {
      answer_none(*awaited.forward);
    }
    return;
  }
  MqttConnection* const connection = server_.find(awaited.request.slot, awaited.request.generation);
  if (connection != nullptr && connection->awaits_session()) {
    return connection->on_session(finish(old, awaited.request, claim));
  }
  if (old != nullptr && !awaited.request.clean) {
    rekey(*old, claim);
    router.presence(*old, false);
    return arm(*old);
  }
  if (old != nullptr) end(*old);
  shared_.directory.release(awaited.request.client_id, {&server_, claim});
}

// --- the end of connections and sessions
// ----------------------------------------------------------

void Sessions::detach(Session& session, bool will_wanted) noexcept {
  assert(session.connection != nullptr);
  const MonoTime now = server_.loop().now();
  session.connection = nullptr;
  session.offline_since = now;
  if (session.outbox) {
    session.outbox->resent = 0;
    for (Outgoing& outgoing : session.outbox->inflight) outgoing.dup = true;
  }
  if (!will_wanted || server_.draining()) session.will.reset();
  if (session.will) {
    const auto delay = std::chrono::seconds(session.will->delay_s);
    if (delay.count() == 0) {
      publish_will(session);
    } else {
      session.will_due = now + delay;
    }
  }
  if (!session.persistent() || by_uid_.size() > server_.options().sessions_max) return end(session);
  server_.router().presence(session, false);
  session.expiry_due = session.expiry_s == session_never_expires
                           ? MonoTime::max()
                           : now + std::chrono::seconds(session.expiry_s);
  keeper_.session(session);
  arm(session);
}

void Sessions::arm(Session& session) noexcept {
  const MonoTime due = std::min(session.will_due, session.expiry_due);
  if (due != MonoTime::max()) server_.loop().arm(session, due);
}

void Sessions::on_session_timer(Session& session, MonoTime now) noexcept {
  if (session.will_due <= now) publish_will(session);
  if (session.expiry_due <= now) return end(session);
  arm(session);
}

// Section 3.1.2.5: a will that is still there goes out when its session ends.
void Sessions::end(Session& session) noexcept {
  if (session.will) publish_will(session);
  const auto surrendered = surrendering_.find(session.uid);
  if (surrendered != surrendering_.end()) {
    answer_none(surrendered->second.requester);
  }
  keeper_.ended(session);
  server_.router().remove(session);
  shared_.directory.release(session.client_id, {&server_, session.claim});
  const auto owned = release(session);
}

void Sessions::on_commit(std::uint64_t uid, std::uint16_t packet_id, bool stored) noexcept {
  Session* const session = find(uid);
  Incoming* const incoming = session == nullptr ? nullptr : session->incoming_of(packet_id);
  if (incoming == nullptr) return;
  incoming->stored = true;
  if (!stored) session->forget_incoming(packet_id);
  if (session->connection != nullptr) {
    session->connection->on_commit(packet_id, stored);
  } else {
    keeper_.session(*session);
  }
  const auto surrendered = surrendering_.find(uid);
  if (surrendered == surrendering_.end() || !ready(*session, surrendered->second)) return;
  hand_over(*session, Owner{surrendered->second.requester});
}

// --- wills
// ----------------------------------------------------------------------------------------

void Sessions::publish_will(Session& session) noexcept {
  session.will_due = MonoTime::max();
  const bool first = waiting_wills_.empty();
  waiting_wills_.push_back(std::move(session.will));
  if (first) publish_waiting_wills();
}

void Sessions::publish_waiting_wills() noexcept {
  std::size_t done = 0;
  while (done < waiting_wills_.size() && server_.publish_will(*waiting_wills_[done])) ++done;
  waiting_wills_.erase(waiting_wills_.begin(),
                       waiting_wills_.begin() + static_cast<std::ptrdiff_t>(done));
}

void Sessions::drop_wills() noexcept {
  server_.stats().wills_lost.add(waiting_wills_.size());
  waiting_wills_.clear();
  for (auto& [uid, session] : by_uid_) session->will.reset();
}

// --- what outlived the process
// --------------------------------------------------------------------

void Sessions::restore(flow::StoredSession&& stored) {
  const auto [claim, previous] = shared_.directory.claim(stored.client_id, server_);
  assert(!previous);
  Session& session =
      *adopt(std::make_unique<Session>(shared_.last_uid.fetch_add(1, std::memory_order_relaxed) + 1,
                                       stored.client_id),
             claim);
  session.restored = true;
  session.expiry_s = stored.expiry_s;
  keeper_.restore(session, stored);
  for (flow::StoredSubscription& entry : stored.subscriptions) {
    auto subscription = std::make_unique<Subscription>();
    subscription->session = &session;
    subscription->filter = std::move(entry.filter);
    subscription->options = options_of(entry.options, entry.identifier);
    session.no_local_count += subscription->options.no_local ? 1 : 0;
    session.subscriptions.push_back(std::move(subscription));
  }
  server_.router().resume(session);
  arm(session);
}

Result<void, std::string> load_sessions(BrokerShared& shared, flow::SessionStore& store) {
  const auto& servers = shared.servers;
  return store.load(
      [&](flow::StoredSession&& session) {
        const auto home = static_cast<std::size_t>(hash64(session.client_id) % servers.size());
        servers[home]->sessions().restore(std::move(session));
      },
      [&](flow::StoredRetained&& retained) {
        for (MqttServer* const server : servers) {
          server->router().restore_retained(retained.topic, retained.bytes);
        }
      });
}

}  // namespace tocsin::ingress
