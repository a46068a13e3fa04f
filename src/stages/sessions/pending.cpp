#include "stages/sessions/pending.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace tocsin::sessions {
namespace {

// Nodes, vectors that grow, and the allocator's own share, roughly.
constexpr std::size_t client_cost = sizeof(ClientChanges) + 64;
constexpr std::size_t message_cost = sizeof(MessageChange) + 32;
constexpr std::size_t subscription_cost = 160;
constexpr std::size_t retained_cost = 160;

std::size_t cost_of(std::string_view client_id) { return client_cost + client_id.size(); }

}  // namespace

Pending::Pending(std::size_t bytes_max, std::uint64_t seed)
    : bytes_max_(bytes_max), clients_(0, HashText{seed}) {}

// A removal that is lost would be a message that comes back: it may use what puts may not.
bool Pending::room(std::size_t cost, ChangeKind kind) noexcept {
  const std::size_t reserve = kind == ChangeKind::remove ? bytes_max_ / 4 : 0;
  return bytes_held() + cost <= bytes_max_ + reserve;
}

bool Pending::refuse() noexcept {
  refused_.add();
  return false;
}

bool Pending::nothing_to_do() noexcept {
  coalesced_.add();
  return true;
}

void Pending::charge(ClientChanges& changes, std::size_t bytes, std::size_t count) noexcept {
  changes.bytes += bytes;
  changes.count += count;
  open_->bytes += bytes;
  open_->count += count;
}

void Pending::uncharge(ClientChanges& changes, std::size_t bytes, std::size_t count) noexcept {
  assert(changes.bytes >= bytes && changes.count >= count);
  changes.bytes -= bytes;
  changes.count -= count;
  open_->bytes -= bytes;
  open_->count -= count;
}

void Pending::know(std::string_view client_id, std::uint64_t ordinal_end) {
  Client& client = clients_[std::string(client_id)];
  client.stored = true;
  client.exists = true;
  client.ordinal_end = std::max(client.ordinal_end, ordinal_end);
}

void Pending::refresh(Client& client) const noexcept {
  if (client.epoch == epoch_) return;
  client.epoch = epoch_;
  // What it had has been taken since.
  if (client.changes != nullptr) client.stored = true;
  client.changes = nullptr;
  client.ordinal_end = std::max(client.ordinal_end, client.put_end);
}

Pending::Clients::value_type* Pending::find(std::string_view client_id) {
  const auto at = clients_.find(client_id);
  if (at == clients_.end()) return nullptr;
  refresh(at->second);
  return at->second.exists ? &*at : nullptr;
}

std::size_t Pending::cost_to_open(const Clients::value_type& client) const noexcept {
  return client.second.changes == nullptr ? cost_of(client.first) : 0;
}

ClientChanges& Pending::open(Clients::value_type& client) {
  ClientChanges*& changes = client.second.changes;
  if (changes != nullptr) return *changes;
  if (unused_.empty()) {
    changes = &open_->clients.emplace_back();
  } else {
    changes = unused_.back();
    unused_.pop_back();
  }
  changes->client_id = client.first;
  charge(*changes, cost_of(client.first), 0);
  return *changes;
}

void Pending::drop(ClientChanges& changes, Released& released) {
  for (const MessageChange& message : changes.messages.list()) released.add(message.range);
  coalesced_.add(changes.count);
  uncharge(changes, changes.bytes, changes.count);
  changes = {};
}

bool Pending::put_session(const flow::StoredSession& session) {
  auto at = clients_.find(session.client_id);
  if (at != clients_.end()) refresh(at->second);
  const ClientChanges* const before = at == clients_.end() ? nullptr : at->second.changes;
  const std::size_t cost =
      session.state.size() + (before == nullptr ? cost_of(session.client_id) : 0);
  const std::size_t replaced = before == nullptr ? 0 : before->state.size();
  if (cost > replaced && !room(cost - replaced, ChangeKind::put)) return refuse();
  if (at == clients_.end()) {
    at = clients_.emplace(session.client_id, Client{}).first;
    refresh(at->second);
  }
  at->second.exists = true;
  ClientChanges& changes = open(*at);
  if (changes.put_session) {
    coalesced_.add();
    uncharge(changes, changes.state.size(), 1);
  }
  changes.put_session = true;
  changes.expiry_s = session.expiry_s;
  changes.disconnected_wall_us = session.disconnected_wall_us;
  changes.state = session.state;
  charge(changes, changes.state.size(), 1);
  return true;
}

bool Pending::remove_session(std::string_view client_id, Released& released) {
  Clients::value_type* const found = find(client_id);
  if (found == nullptr) return nothing_to_do();
  Client& client = found->second;
  if (!client.stored) {
    // It came and went between two commits.
    if (client.changes != nullptr) {
      drop(*client.changes, released);
      unused_.push_back(client.changes);
    }
    clients_.erase(clients_.find(client_id));
    return nothing_to_do();
  }
  const std::size_t cost = cost_to_open(*found);
  if (cost > 0 && !room(cost, ChangeKind::remove)) return refuse();
  ClientChanges& changes = open(*found);
  drop(changes, released);
  changes.client_id = found->first;
  changes.clear_first = true;
  charge(changes, cost_of(found->first), 1);
  client.exists = false;
  client.ordinal_end = 0;
  client.put_end = 0;
  return true;
}

bool Pending::put_subscription(std::string_view client_id,
                               const flow::StoredSubscription& subscription) {
  Clients::value_type* const client = find(client_id);
  if (client == nullptr) return refuse();
  const std::size_t cost = subscription_cost + subscription.filter.size();
  if (!room(cost + cost_to_open(*client), ChangeKind::put)) return refuse();
  ClientChanges& changes = open(*client);
  const auto [at, added] = changes.subscriptions.try_emplace(subscription.filter);
  if (added) {
    charge(changes, cost, 1);
  } else {
    coalesced_.add();
  }
  at->second = {.kind = ChangeKind::put,
                .options = subscription.options,
                .identifier = subscription.identifier};
  return true;
}

bool Pending::remove_subscription(std::string_view client_id, std::string_view filter) {
  Clients::value_type* const client = find(client_id);
  if (client == nullptr) return nothing_to_do();
  const std::size_t cost = subscription_cost + filter.size();
  if (!room(cost + cost_to_open(*client), ChangeKind::remove)) return refuse();
  ClientChanges& changes = open(*client);
  const auto at = changes.subscriptions.find(filter);
  const bool on_disk = client->second.stored && !changes.clear_first;
  if (at == changes.subscriptions.end()) {
    if (!on_disk) return nothing_to_do();
    changes.subscriptions.emplace(filter, SubscriptionChange{.kind = ChangeKind::remove});
    charge(changes, cost, 1);
    return true;
  }
  coalesced_.add();
  if (on_disk) {
    at->second = {.kind = ChangeKind::remove};
  } else {
    changes.subscriptions.erase(at);
    uncharge(changes, cost, 1);
  }
  return true;
}

bool Pending::put_message(std::string_view client_id, std::uint64_t ordinal, Bytes&& bytes,
                          flow::SettlementRange* range, Released& released) {
  Clients::value_type* const client = find(client_id);
  const std::size_t cost = message_cost + bytes.size();
  if (client == nullptr || !room(cost + cost_to_open(*client), ChangeKind::put)) {
    released.add(range);
    return refuse();
  }
  ClientChanges& changes = open(*client);
  MessageChange* message = changes.messages.find(ordinal);
  if (message == nullptr) {
    message = &changes.messages.add(ordinal);
  } else {
    coalesced_.add();
    uncharge(changes, message_cost + message->bytes.size(), 1);
    // Its first version may be all that the journal's cursor waits for.
    if (range == nullptr) {
      range = message->range;
    } else {
      released.add(message->range);
    }
  }
  message->kind = ChangeKind::put;
  message->bytes = std::move(bytes);
  message->range = range;
  charge(changes, cost, 1);
  client->second.put_end = std::max(client->second.put_end, ordinal + 1);
  return true;
}

bool Pending::remove_message(std::string_view client_id, std::uint64_t ordinal,
                             Released& released) {
  Clients::value_type* const client = find(client_id);
  if (client == nullptr) return nothing_to_do();
  const bool on_disk = ordinal < client->second.ordinal_end;
  ClientChanges* const before = client->second.changes;
  MessageChange* const message = before == nullptr ? nullptr : before->messages.find(ordinal);
  if (message != nullptr) {
    coalesced_.add();
    released.add(message->range);
    uncharge(*before, message_cost + message->bytes.size(), 1);
    if (on_disk) {
      message->kind = ChangeKind::remove;
      message->bytes = {};
      message->range = nullptr;
      charge(*before, message_cost, 1);
    } else {
      before->messages.cancel(*message);
    }
    return true;
  }
  if (!on_disk) return nothing_to_do();
  if (!room(message_cost + cost_to_open(*client), ChangeKind::remove)) return refuse();
  ClientChanges& changes = open(*client);
  changes.messages.add(ordinal).kind = ChangeKind::remove;
  charge(changes, message_cost, 1);
  return true;
}

bool Pending::put_retained(std::string_view topic, Bytes&& bytes, flow::SettlementRange* range,
                           Released& released) {
  const std::size_t cost = retained_cost + topic.size() + bytes.size();
  auto at = open_->retained.find(topic);
  const std::size_t replaced =
      at == open_->retained.end() ? 0 : retained_cost + topic.size() + at->second.bytes.size();
  const ChangeKind kind = bytes.size() == 0 ? ChangeKind::remove : ChangeKind::put;
  if (cost > replaced && !room(cost - replaced, kind)) {
    released.add(range);
    return refuse();
  }
  if (at == open_->retained.end()) {
    at = open_->retained.try_emplace(std::string(topic)).first;
    ++open_->count;
  } else {
    coalesced_.add();
    released.add(at->second.range);
  }
  at->second.bytes = std::move(bytes);
  at->second.range = range;
  open_->bytes += cost;
  open_->bytes -= replaced;
  return true;
}

std::unique_ptr<ChangeBatch> Pending::take() {
  auto batch = std::exchange(open_, std::make_unique<ChangeBatch>());
  taken_bytes_ += batch->bytes;
  unused_.clear();
  ++epoch_;
  return batch;
}

void Pending::forget_removed(const ChangeBatch& batch, std::size_t begin, std::size_t end) {
  for (std::size_t i = begin; i < end; ++i) {
    const ClientChanges& changes = batch.clients[i];
    if (!changes.clear_first || changes.put_session) continue;
    const auto at = clients_.find(changes.client_id);
    // Not if something has happened to it since.
    if (at != clients_.end() && !at->second.exists && at->second.epoch != epoch_) {
      clients_.erase(at);
    }
  }
}

}  // namespace tocsin::sessions
