#include "stages/deliver/lane.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include "flow/loop.hpp"

namespace tocsin::deliver {
namespace {

// A channel that says busy with nothing in flight gives no sign when it is ready again.
constexpr Duration busy_pause = std::chrono::milliseconds{20};
// A channel that was told to close has this long before its successor no longer waits for it.
constexpr Duration close_max = std::chrono::seconds{5};
constexpr std::size_t detail_size_max = 512;

std::uint64_t elapsed_ns(MonoTime from, MonoTime to) noexcept {
  return to > from ? static_cast<std::uint64_t>((to - from).count()) : 0;
}

OutgoingNotification outgoing(const flow::Notification& n) noexcept {
  return {.id = n.id,
          .event_id = n.event_id,
          .rule = n.rule,
          .event_type = n.event_type,
          .subject = n.subject,
          .body = n.body,
          .traceparent = n.traceparent,
          .priority = n.priority,
          .severity = n.severity};
}

}  // namespace

Result<LanePolicy, std::string> make_policy(const OptionValues& values) {
  const auto size = [&](std::string_view key) {
    return static_cast<std::size_t>(values.number(key));
  };
  const auto duration = [&](std::string_view key) -> Duration {
    return std::chrono::milliseconds{values.number(key)};
  };
  auto schedule = parse_schedule(values.text("retry_schedule"));
  if (!schedule) {
    return Unexpected{std::string(
        "retry_schedule: give up to 32 waits such as \"60s,300s,900s\" (units ms, s, m, h, d)")};
  }
  return LanePolicy{
      .batch = {.count = std::max<std::size_t>(1, size("batch_count")),
                .size_bytes = size("batch_bytes"),
                .linger = duration("linger_ms")},
      .retry = {.schedule = std::move(*schedule),
                .attempts_max = static_cast<std::uint32_t>(values.number("attempts_max")),
                .jitter = values.flag("retry_jitter")},
      .inflight_max = size("inflight_max"),
      .queue_max = size("queue_max"),
      .queue_bytes_max = size("queue_bytes_max"),
      .expiry = duration("expiry"),
      .priority_quantum = static_cast<std::uint32_t>(values.number("priority_quantum")),
      .stuck_timeout = duration("stuck_timeout_ms")};
}

std::uint64_t LaneShared::random() noexcept {
  std::uint64_t z = (random_state += 0x9E3779B97F4A7C15);
  z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27U)) * 0x94D049BB133111EB;
  return z ^ (z >> 31U);
}

void LaneShared::end(flow::Notification& notification, flow::Outcome outcome, DeliveryError error) {
  outcomes.on_outcome(notification, outcome, error);
  if (notification.range != nullptr) notification.range->settle();
  abandon(notification);
}

void LaneShared::abandon(flow::Notification& notification) {
  pool.refund(notification.body.size());
  pool.release(&notification);
}

/// One attempt under way.
class Lane::Slot final : public DeliveryCompletion {
 public:
  explicit Slot(Lane& owner) noexcept : lane(owner) {}
  void on_attempt(Attempt attempt) noexcept override { lane.on_attempt(*this, std::move(attempt)); }

  Lane& lane;
  Parcel* parcel = nullptr;
  Connection* connection = nullptr;
  MonoTime started{};
  std::vector<OutgoingNotification> views;
};

Lane::Lane(LaneShared& shared, LaneCounters& counters, std::string name, LanePolicy policy,
           std::unique_ptr<Channel> channel, ChannelMaker maker)
    : shared_(shared),
      counters_(counters),
      name_(std::move(name)),
      policy_(std::move(policy)),
      queue_(policy_.batch, policy_.priority_quantum),
      maker_(std::move(maker)),
      patience_(shared.pacing) {
  assert(channel != nullptr);
  connections_.push_back(std::make_unique<Connection>());
  connections_.back()->channel = std::move(channel);
}

Lane::~Lane() {
  for (const auto& slot : slots_) {
    if (slot->parcel == nullptr) continue;
    for (flow::Notification* item : slot->parcel->items) shared_.abandon(*item);
  }
  connections_.clear();
  queue_.clear([this](Parcel& parcel) {
    for (flow::Notification* item : parcel.items) shared_.abandon(*item);
  });
}

void Lane::add(flow::Notification& notification, MonoTime now) {
  counters_.created.add();
  if (state_ == State::retired) {
    return end_one(notification, flow::Outcome::cancelled, DeliveryError::none, {});
  }
  if (pending_ >= policy_.queue_max ||
      pending_bytes_ + notification.body.size() > policy_.queue_bytes_max) {
    return end_one(notification, flow::Outcome::dead, DeliveryError::overflow,
                   "the channel's queue was full");
  }
  if (pending_ == 0) patience_.on_answer(now);
  ++pending_;
  pending_bytes_ += notification.body.size();
  counters_.pending.add();
  queue_.add(notification, now);
  update_patience(now);
}

void Lane::update_patience(MonoTime now) noexcept {
  using Fill = Patience::Fill;
  const auto above = [&](std::size_t part) {
    return pending_ > policy_.queue_max / part || pending_bytes_ > policy_.queue_bytes_max / part;
  };
  patience_.update(above(2) ? Fill::high : above(8) ? Fill::middle : Fill::low, now);
}

void Lane::reconfigure(LanePolicy policy, std::unique_ptr<Channel> channel, ChannelMaker maker) {
  assert(channel != nullptr);
  policy_ = std::move(policy);
  queue_.set_limits(policy_.batch, policy_.priority_quantum);
  maker_ = std::move(maker);
  connections_.push_back(std::make_unique<Connection>());
  connections_.back()->channel = std::move(channel);
  resume_at_ = MonoTime::min();
}

void Lane::retire() {
  assert(state_ == State::active || state_ == State::draining);
  state_ = State::retired;
  queue_.clear([this](Parcel& parcel) {
    for (flow::Notification* item : parcel.items) {
      --pending_;
      pending_bytes_ -= item->body.size();
      counters_.pending.sub();
      end_one(*item, flow::Outcome::cancelled, DeliveryError::none, {});
    }
  });
}

void Lane::drain() {
  if (state_ == State::active) state_ = State::draining;
}

void Lane::close() {
  state_ = State::closed;
  for (const auto& connection : connections_) close_connection(*connection);
}

void Lane::end_one(flow::Notification& notification, flow::Outcome outcome, DeliveryError error,
                   std::string_view detail) {
  switch (outcome) {
    case flow::Outcome::sent:
      counters_.sent.add();
      break;
    case flow::Outcome::dead:
      counters_.dead[static_cast<std::size_t>(error)].add();
      shared_.dead_letters.add(notification, error, detail.substr(0, detail_size_max));
      break;
    case flow::Outcome::expired:
      counters_.expired.add();
      break;
    case flow::Outcome::cancelled:
    case flow::Outcome::suppressed:
      counters_.cancelled.add();
      break;
  }
  shared_.end(notification, outcome, error);
}

void Lane::finish(Parcel& parcel, flow::Outcome outcome, DeliveryError error,
                  std::string_view detail) {
  pending_ -= parcel.items.size();
  counters_.pending.sub(parcel.items.size());
  for (flow::Notification* item : parcel.items) {
    item->attempts = parcel.attempts;
    pending_bytes_ -= item->body.size();
    end_one(*item, outcome, error, detail);
  }
  queue_.finish(parcel);
}

bool Lane::expired(const flow::Notification& notification, MonoTime now) const noexcept {
  return policy_.expiry > Duration::zero() && notification.received + policy_.expiry <= now;
}

bool Lane::any_expired(const Parcel& parcel, MonoTime now) const noexcept {
  return std::any_of(parcel.items.begin(), parcel.items.end(),
                     [&](const flow::Notification* item) { return expired(*item, now); });
}

bool Lane::drop_expired(Parcel& parcel, MonoTime now) {
  if (!any_expired(parcel, now)) return true;
  if (parcel.submitted) {
    // The peer may know this message already, so it is repeated whole or not at all: it lives as
    // long as its oldest notification.
    finish(parcel, flow::Outcome::expired, DeliveryError::none, {});
    return false;
  }
  const auto fresh_end =
      std::stable_partition(parcel.items.begin(), parcel.items.end(),
                            [&](const flow::Notification* item) { return !expired(*item, now); });
  for (auto it = fresh_end; it != parcel.items.end(); ++it) {
    --pending_;
    pending_bytes_ -= (*it)->body.size();
    counters_.pending.sub();
    end_one(**it, flow::Outcome::expired, DeliveryError::none, {});
  }
  parcel.items.erase(fresh_end, parcel.items.end());
  if (!parcel.items.empty()) return true;
  queue_.finish(parcel);
  return false;
}

Lane::Slot& Lane::free_slot() {
  if (free_slots_.empty()) {
    slots_.push_back(std::make_unique<Slot>(*this));
    free_slots_.push_back(slots_.back().get());
  }
  Slot& slot = *free_slots_.back();
  free_slots_.pop_back();
  return slot;
}

Lane::Connection* Lane::current() noexcept {
  Connection* const last = connections_.empty() ? nullptr : connections_.back().get();
  return last == nullptr || last->closing ? nullptr : last;
}

bool Lane::start(Parcel& parcel, Connection& connection, MonoTime now) {
  Slot& slot = free_slot();
  slot.views.clear();
  for (const flow::Notification* item : parcel.items) slot.views.push_back(outgoing(*item));
  slot.parcel = &parcel;
  slot.connection = &connection;
  slot.started = now;
  if (!connection.channel->submit(parcel.items.front()->recipient, slot.views, slot)) {
    slot.parcel = nullptr;
    free_slots_.push_back(&slot);
    return false;
  }
  ++parcel.attempts;
  parcel.submitted = true;
  ++connection.inflight;
  ++inflight_;
  counters_.inflight.add(parcel.items.size());
  stuck_check_at_ = std::min(stuck_check_at_, now + policy_.stuck_timeout);
  return true;
}

void Lane::pump(MonoTime now) {
  Connection* const connection = current();
  if (connection == nullptr || now < resume_at_) return;
  resume_at_ = MonoTime::min();
  while (connection->inflight < policy_.inflight_max) {
    Parcel* const parcel = queue_.take();
    if (parcel == nullptr) return;
    if (!drop_expired(*parcel, now)) continue;
    const std::size_t count_max = policy_.batch.count;
    // Collected before a reload. What the peer may know is repeated whole, unless messages now
    // carry one notification only.
    if (parcel->items.size() > count_max && (!parcel->submitted || count_max == 1)) {
      queue_.split(*parcel, count_max);
    }
    if (start(*parcel, *connection, now)) continue;
    queue_.untake(*parcel);
    resume_at_ = now + busy_pause;
    return;
  }
}

void Lane::on_attempt(Slot& slot, Attempt attempt) noexcept {
  assert(slot.parcel != nullptr);
  const MonoTime now = shared_.loop.io().now();
  Parcel& parcel = *std::exchange(slot.parcel, nullptr);
  Connection& connection = *slot.connection;
  assert(connection.inflight > 0);
  --connection.inflight;
  --inflight_;
  counters_.inflight.sub(parcel.items.size());
  free_slots_.push_back(&slot);
  resume_at_ = MonoTime::min();
  const bool interrupted =
      attempt.verdict != Verdict::delivered && attempt.error == DeliveryError::shutdown;
  if (interrupted && connection.stuck) {
    attempt.verdict = Verdict::transient;
    attempt.error = DeliveryError::timeout;
  } else if (interrupted && state_ != State::retired) {
    // It taught nothing about the peer. While the lane is closed the parcel just stays pending.
    --parcel.attempts;
    return queue_.retry_at(parcel, now);
  }
  counters_.attempts[static_cast<std::size_t>(attempt.verdict)].add();
  if (attempt.verdict != Verdict::delivered) {
    counters_.errors[static_cast<std::size_t>(attempt.error)].add();
  }
  counters_.attempt.record(elapsed_ns(slot.started, now));
  settle_attempt(parcel, attempt, now);
}

void Lane::settle_attempt(Parcel& parcel, const Attempt& attempt, MonoTime now) {
  const Decision decision = policy_.retry.decide(attempt, parcel.attempts, now, shared_.random());
  switch (decision.kind) {
    case Decision::Kind::sent:
      for (const flow::Notification* item : parcel.items) {
        counters_.delivery.record(elapsed_ns(item->received, now));
      }
      patience_.on_answer(now);
      return finish(parcel, flow::Outcome::sent, DeliveryError::none, {});
    case Decision::Kind::retry:
      if (state_ == State::retired) {
        return finish(parcel, flow::Outcome::cancelled, DeliveryError::none, {});
      }
      if (any_expired(parcel, decision.retry_at)) {
        return finish(parcel, flow::Outcome::expired, DeliveryError::none, {});
      }
      return queue_.retry_at(parcel, decision.retry_at);
    case Decision::Kind::dead: {
      if (state_ == State::retired) {
        return finish(parcel, flow::Outcome::cancelled, DeliveryError::none, {});
      }
      std::string detail(to_string(attempt.error));
      if (!attempt.detail.empty()) detail += ": " + attempt.detail;
      return finish(parcel, flow::Outcome::dead, decision.reason, detail);
    }
  }
}

void Lane::close_connection(Connection& connection) noexcept {
  if (std::exchange(connection.closing, true)) return;
  connection.close_awaited_to = shared_.loop.now() + close_max;
  connection.channel->close();
}

// Closes what no longer takes attempts once its last answer is in, and frees what is closed.
void Lane::tend_connections(MonoTime now) {
  check_stuck(now);
  for (const auto& connection : connections_) {
    const bool replaced = connection != connections_.back() || state_ == State::retired;
    // One that waits for its opening has sent nothing: its attempts begin again on its successor.
    const bool sending =
        connection->inflight > 0 && (connection->opened || !connection->channel->waits_for_open());
    if (replaced && !sending) close_connection(*connection);
  }
  std::erase_if(connections_, [](const auto& connection) {
    return connection->closing && connection->inflight == 0 && connection->channel->closed();
  });
  const bool wants_channel = state_ == State::active || state_ == State::draining;
  if (wants_channel && current() == nullptr) replace_channel(now);
  open_newest(now);
}

void Lane::replace_channel(MonoTime now) {
  if (connections_.size() > stuck_connections_max) return;
  std::unique_ptr<Channel> channel = maker_ ? maker_() : nullptr;
  if (channel == nullptr) {
    stuck_check_at_ = now + policy_.stuck_timeout;
    return;
  }
  connections_.push_back(std::make_unique<Connection>());
  connections_.back()->channel = std::move(channel);
}

void Lane::open_newest(MonoTime now) {
  open_check_at_ = MonoTime::max();
  Connection* const newest = current();
  if (newest == nullptr || newest->opened) return;
  MonoTime awaited_to = MonoTime::min();
  for (const auto& connection : connections_) {
    if (connection.get() == newest) continue;
    if (!connection->closing) return;  // Its last answer brings us here again.
    awaited_to = std::max(awaited_to, connection->close_awaited_to);
  }
  if (awaited_to > now) {
    open_check_at_ = awaited_to;
    return;
  }
  newest->opened = true;
  newest->channel->open();
}

void Lane::check_stuck(MonoTime now) {
  if (now < stuck_check_at_) return;
  MonoTime oldest = MonoTime::max();
  for (const auto& slot : slots_) {
    if (slot->parcel == nullptr || slot->connection->stuck) continue;
    if (slot->started + policy_.stuck_timeout > now) {
      oldest = std::min(oldest, slot->started);
      continue;
    }
    slot->connection->stuck = true;
    counters_.restarts.add();
    shared_.log->error("channel \"{}\": no answer within its deadlines; restarting it", name_);
    close_connection(*slot->connection);
  }
  stuck_check_at_ = oldest == MonoTime::max() ? oldest : oldest + policy_.stuck_timeout;
}

MonoTime Lane::on_tick(MonoTime now) {
  tend_connections(now);
  const bool waits_for_retries = state_ == State::active;
  if (state_ == State::active || state_ == State::draining) {
    queue_.promote(now, state_ == State::draining, waits_for_retries);
    pump(now);
  }
  update_patience(now);
  MonoTime next = std::min(
      {queue_.next_due(waits_for_retries), stuck_check_at_, open_check_at_, patience_.due()});
  if (resume_at_ != MonoTime::min()) next = std::min(next, resume_at_);
  return next;
}

bool Lane::quiet() const noexcept {
  if (inflight_ > 0) return false;
  return state_ != State::draining || (!queue_.has_ready() && !queue_.has_lingering());
}

bool Lane::closed() const noexcept {
  if (inflight_ > 0) return false;
  return std::all_of(connections_.begin(), connections_.end(), [](const auto& connection) {
    return connection->closing && connection->channel->closed();
  });
}

}  // namespace tocsin::deliver
