#include "stages/ingress/mqtt/server.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <utility>

#include "base/errno_text.hpp"
#include "flow/hub.hpp"
#include "protocol/mqtt/bytes.hpp"
#include "stages/ingress/mqtt/connection.hpp"
#include "stages/ingress/mqtt/submission.hpp"

namespace tocsin::ingress {
namespace {
// Kinds of messages.
constexpr std::uint32_t message_wake = 0;
constexpr std::uint32_t message_notify = 1;
constexpr std::uint32_t message_transfer = 2;
constexpr std::uint32_t message_group_news = 3;
constexpr std::uint32_t message_authenticated = 4;

// How long a connection without traffic keeps the memory of its buffers, at least.
constexpr Duration trim_pause = std::chrono::seconds(5);

std::uint64_t random_seed(io::Io& io) {
  std::uint64_t seed = 0;
  io.random(std::as_writable_bytes(std::span{&seed, 1}));
  return seed;
}

}  // namespace

MqttServer::MqttServer(flow::Loop& loop, flow::Intake& intake, const MqttOptions& options, Log log,
                       BrokerShared& shared, MqttHub* hub)
    : loop_(loop),
      intake_(intake),
      options_(options),
      log_(std::move(log)),
      shared_(shared),
      hub_(hub),
      budget_(options.carry_bytes_max),
      router_(*this, shared, random_seed(loop.io())),
      sessions_(*this, shared) {
  shared_.servers.push_back(this);
  loop_.add_ticker(*this);
  intake_.add_ready_listener(*this);
  if (hub_ != nullptr) hub_->add(*this);
}

MqttServer::~MqttServer() { loop_.remove_ticker(*this); }

Result<io::Endpoint, std::string> MqttServer::listen(const io::Endpoint& endpoint, bool shared) {
  io::AcceptHandler& handler = gated_ != nullptr ? static_cast<io::AcceptHandler&>(*gated_) : *this;
  const auto listener = loop_.io().listen(endpoint, shared, handler);
  if (!listener) {
    return Unexpected{fmt::format("cannot listen for MQTT on {}: {}", io::to_string(endpoint),
                                  errno_text(listener.error()))};
  }
  listeners_.push_back(*listener);
  return loop_.io().local_endpoint(*listener);
}

io::StreamHandler* MqttServer::on_accept(io::StreamId stream, const io::Endpoint& peer) noexcept {
  return accept(loop_.io(), stream, peer, {});
}

io::StreamHandler* MqttServer::accept(io::StreamControl& control, io::StreamId stream,
                                      const io::Endpoint& peer,
                                      std::string_view certificate_name) noexcept {
  stats_.accepted.add();
  if (draining_ || (expected_ != nullptr ? expected_() : 0) >= room()) {
    const auto reason = draining_ ? MqttClose::shutdown : MqttClose::connections;
    stats_.closed[static_cast<std::size_t>(reason)].add();
    return nullptr;
  }
  if (free_slots_.empty()) {
    const auto slot = static_cast<std::uint32_t>(connections_.size());
    connections_.push_back(std::make_unique<MqttConnection>(*this, slot));
    free_slots_.push_back(slot);
  }
  MqttConnection& connection = *connections_[free_slots_.back()];
  free_slots_.pop_back();
  ++open_;
  stats_.connections_opened.add();
  if (next_trim_ == MonoTime::max()) next_trim_ = loop_.now() + trim_pause;
  connection.open(control, stream, peer, certificate_name);
  return &connection;
}

void MqttServer::on_accept_error(io::Errno error) noexcept {
  log_->warn("MQTT: cannot accept a connection: {}", errno_text(error));
}

MqttConnection* MqttServer::find(std::uint32_t slot, std::uint32_t generation) noexcept {
  if (slot >= connections_.size()) return nullptr;
  MqttConnection* const connection = connections_[slot].get();
  return connection->generation() == generation ? connection : nullptr;
}

void MqttServer::on_ack(const flow::AckToken& token, bool stored) noexcept {
  const auto packet_id = static_cast<std::uint16_t>(token.detail);
  if ((token.detail >> 16U) == 0) {
    // The connection may be gone, and its slot in use by another.
    MqttConnection* const connection = find(token.slot, token.generation);
    if (connection != nullptr) connection->on_ack(packet_id, stored);
    return;
  }
  sessions_.on_commit(token.detail >> 17U, packet_id, stored);
  MqttConnection* const connection = find(token.slot, token.generation);
  if (connection != nullptr) connection->on_ack(0, stored);
}

void MqttServer::on_refused(const flow::AckToken& token,
                            const flow::Rejection& rejection) noexcept {
  stats_.refused[static_cast<std::size_t>(rejection.reason)].add();
  MqttConnection* const connection = find(token.slot, token.generation);
  if (connection != nullptr) {
    connection->on_refused(static_cast<std::uint16_t>(token.detail), rejection);
  }
}

void MqttServer::on_ready() noexcept {
  wills_ready_ = sessions_.wills_waiting();
  if (wills_ready_) wake();
  if (waiting_.empty()) return;
  resuming_.insert(resuming_.end(), waiting_.begin(), waiting_.end());
  for (const std::uint32_t slot : waiting_) connections_[slot]->on_capacity();
  waiting_.clear();
  wake();
}

void MqttServer::carried(std::size_t before, std::size_t after) noexcept {
  // Buffers double as they grow, and one turn's receives still come after the stop.
  constexpr std::size_t share_to_hold = 4;
  carried_ = carried_ - before + after;
  if (holding_ || carried_ <= budget_.max() / share_to_hold) return;
  holding_ = true;
  for (const auto& connection : connections_) connection->hold_receiving();
}

void MqttServer::end_holding() noexcept {
  constexpr std::size_t share_to_go_on = 16;
  if (!holding_ || carried_ > budget_.max() / share_to_go_on) return;
  holding_ = false;
  for (const auto& connection : connections_) connection->end_hold();
}

bool MqttServer::has_early_room(std::size_t before, std::size_t after) const noexcept {
  constexpr std::size_t share_of_early = 8;
  const std::size_t max = std::max(budget_.max() / share_of_early, mqtt_first_packet_size_max);
  return carried_early_ - before + after <= max;
}

MonoTime MqttServer::on_tick(MonoTime now) noexcept {
  woken_ = false;
  if (std::exchange(wills_ready_, false)) sessions_.publish_waiting_wills();
  const MonoTime pause_due = end_pauses(now);
  // What asks to resume while we are at it (or to wait again) has its turn in the next round.
  scratch_.clear();
  scratch_.swap(resuming_);
  for (const std::uint32_t slot : scratch_) connections_[slot]->resume();
  const bool routed = router_.work();
  const bool caught_up = router_.work_retained();
  const MonoTime sweep_due = router_.drop_expired(now);
  sessions_.hand_over_ready();
  scratch_.clear();
  scratch_.swap(dirty_);
  for (const std::uint32_t slot : scratch_) connections_[slot]->flush();
  end_holding();
  const MonoTime due =
      std::min({pause_due, sweep_due, trim(now), sessions_.keeper().note_routed(now)});
  const bool fed = feed_starved();
  return routed && caught_up && fed ? due : now;
}

// False: there is more to do.
bool MqttServer::feed_starved() noexcept {
  constexpr std::size_t fed_per_turn = 64;
  std::size_t fed = 0;
  for (std::size_t i = 0; i < starved_.size();) {
    const Starved starved = starved_[i];
    if (budget_.used() >= starved.used) {
      ++i;
      continue;
    }
    if (fed++ == fed_per_turn) return false;
    starved_[i] = starved_.back();
    starved_.pop_back();
    // Comes back to the end when there still is too little.
    connections_[starved.slot]->end_starving();
  }
  return true;
}

MonoTime MqttServer::end_pauses(MonoTime now) noexcept {
  MonoTime next = MonoTime::max();
  for (std::size_t i = 0; i < pauses_.size();) {
    const Pause pause = pauses_[i];
    if (pause.due > now) {
      next = std::min(next, pause.due);
      ++i;
      continue;
    }
    pauses_[i] = pauses_.back();
    pauses_.pop_back();
    if (MqttConnection* const c = find(pause.slot, pause.generation)) c->end_pause();
  }
  return next;
}

MonoTime MqttServer::trim(MonoTime now) noexcept {
  if (next_trim_ > now) return next_trim_;
  for (const auto& connection : connections_) connection->trim();
  next_trim_ = open_ > 0 ? now + trim_pause : MonoTime::max();
  return next_trim_;
}

void MqttServer::pause(std::uint32_t slot, MonoTime due) {
  pauses_.push_back({.slot = slot, .generation = connections_[slot]->generation(), .due = due});
  wake();
}

void MqttServer::on_message(const flow::Message& message) noexcept {
  switch (message.kind) {
    case message_batch:
      return router_.on_batch(static_cast<flow::Batch*>(message.object));
    case message_notify: {
      auto* const notification = static_cast<HubMessage*>(message.object);
      notify(*notification);
      hub_->release(notification);
      return;
    }
    case message_transfer:
      return sessions_.on_transfer(message.object);
    case message_group_news:
      return router_.groups().on_message(message.object);
    case message_authenticated: {
      const std::unique_ptr<flow::AuthAnswer> answer(
          static_cast<flow::AuthAnswer*>(message.object));
      MqttConnection* const connection = find(static_cast<std::uint32_t>(answer->ticket >> 32U),
                                              static_cast<std::uint32_t>(answer->ticket));
      if (connection != nullptr) connection->on_authenticated(*answer);
      return;
    }
    default:
      woken_ = false;
      return;
  }
}

void MqttServer::notify(const HubMessage& message) noexcept {
  RoutedMessage routed;
  routed.topic = message.topic;
  routed.payload = message.payload;
  routed.qos = message.qos;
  router_.route(routed);
}

void MqttServer::post_transfer(void* transfer) noexcept {
  loop_.post({.to = this, .kind = message_transfer, .arg = 0, .object = transfer});
}

void MqttServer::post_group_news(void* news) noexcept {
  loop_.post({.to = this, .kind = message_group_news, .arg = 0, .object = news});
}

flow::Authenticator::ReplyTo MqttServer::auth_reply() noexcept {
  return {.loop = &loop_, .receiver = this, .kind = message_authenticated};
}

Duration MqttServer::wall_offset() noexcept {
  return loop_.io().wall_now().time_since_epoch() - loop_.io().now().time_since_epoch();
}

bool MqttServer::reserved_topic(std::string_view topic) noexcept {
  return topic.starts_with(flow::notification_topic_prefix) || topic.starts_with('$');
}

bool MqttServer::publish_will(Will& will) noexcept {
  mqtt::Reader reader(will.bytes());
  const auto properties = mqtt::Properties::read(reader, mqtt::PropertyPlace::will);
  assert(properties.has_value());
  const std::string_view topic = reader.sized();
  bool event_taken = false;
  const auto accepted = submit(intake_,
                               {.topic = topic,
                                .payload = reader.rest(),
                                .properties = *properties,
                                .qos = will.qos,
                                .retain = will.retain,
                                .publisher = will.client_id,
                                .token = {}},
                               options_.route_unmatched, event_taken);
  if (accepted) return true;
  if (accepted.error().reason == flow::Refusal::capacity) return false;
  stats_.wills_lost.add();
  return true;
}

void MqttServer::post_notification(HubMessage& message) noexcept {
  loop_.post({.to = this, .kind = message_notify, .arg = 0, .object = &message});
}

// A ticker that runs after ours may call on_ack or on_ready: without a message the loop would sleep
// on what that left behind.
void MqttServer::wake() noexcept {
  if (std::exchange(woken_, true)) return;
  loop_.post({.to = this, .kind = message_wake, .arg = 0, .object = nullptr});
}

void MqttServer::flush_later(std::uint32_t slot) noexcept {
  dirty_.push_back(slot);
  wake();
}

void MqttServer::resume_later(std::uint32_t slot) noexcept {
  resuming_.push_back(slot);
  wake();
}

void MqttServer::wait_for_capacity(std::uint32_t slot) noexcept { waiting_.push_back(slot); }

void MqttServer::recycle(std::uint32_t slot) noexcept {
  free_slots_.push_back(slot);
  --open_;
  stats_.connections_closed.add();
}

void MqttServer::drain() noexcept {
  if (std::exchange(draining_, true)) return;
  for (const io::ListenerId listener : listeners_) loop_.io().close_listener(listener);
  listeners_.clear();
  sessions_.drop_wills();
  for (const auto& connection : connections_) connection->drain();
}

void MqttServer::close_now() noexcept {
  drain();
  for (const auto& connection : connections_) connection->abort(MqttClose::shutdown);
}

void MqttServer::end_revoked() noexcept {
  for (const auto& connection : connections_) connection->end_if_revoked();
}

void MqttServer::describe(MetricSink& sink) const {
  stats_.describe(sink);
  sink.gauge("tocsin_mqtt_buffer_bytes", "Memory held by the buffers of connections.", {},
             static_cast<double>(budget_.used()));
}

}  // namespace tocsin::ingress
