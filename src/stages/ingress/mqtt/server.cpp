#include "stages/ingress/mqtt/server.hpp"

#include <fmt/format.h>

#include <cstring>
#include <system_error>
#include <utility>

#include "stages/ingress/mqtt/connection.hpp"

namespace tocsin::ingress {
namespace {
// Kinds of messages.
constexpr std::uint32_t message_wake = 0;
constexpr std::uint32_t message_notify = 1;
constexpr std::uint32_t message_take_over = 2;  // arg: slot; object: the generation.
}  // namespace

MqttServer::MqttServer(flow::Loop& loop, flow::Intake& intake, const MqttOptions& options, Log log,
                       SessionDirectory& directory, MqttHub* hub)
    : loop_(loop),
      intake_(intake),
      options_(options),
      log_(std::move(log)),
      directory_(directory),
      hub_(hub),
      budget_(options.carry_bytes_max) {
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
                                  std::generic_category().message(listener.error()))};
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
  if (draining_ || open_ >= options_.connections_max) {
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
  connection.open(control, stream, peer, certificate_name);
  return &connection;
}

void MqttServer::on_accept_error(io::Errno error) noexcept {
  log_->warn("MQTT: cannot accept a connection: {}", std::generic_category().message(error));
}

MqttConnection* MqttServer::find(std::uint32_t slot, std::uint32_t generation) noexcept {
  if (slot >= connections_.size()) return nullptr;
  MqttConnection* const connection = connections_[slot].get();
  return connection->generation() == generation ? connection : nullptr;
}

void MqttServer::on_ack(const flow::AckToken& token, bool stored) noexcept {
  // The connection may be gone, and its slot in use by another.
  MqttConnection* const connection = find(token.slot, token.generation);
  if (connection != nullptr) {
    connection->on_ack(static_cast<std::uint16_t>(token.detail), stored);
  }
}

void MqttServer::on_ready() noexcept {
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
  scratch_.clear();
  scratch_.swap(held_);
  for (const std::uint32_t slot : scratch_) connections_[slot]->end_hold();
}

MonoTime MqttServer::on_tick(MonoTime) noexcept {
  woken_ = false;
  // What asks to resume while we are at it (or to wait again) has its turn in the next round.
  scratch_.clear();
  scratch_.swap(resuming_);
  for (const std::uint32_t slot : scratch_) connections_[slot]->resume();
  scratch_.clear();
  scratch_.swap(dirty_);
  for (const std::uint32_t slot : scratch_) connections_[slot]->flush();
  end_holding();
  return MonoTime::max();
}

void MqttServer::on_message(const flow::Message& message) noexcept {
  if (message.kind == message_wake) {
    woken_ = false;
  } else if (message.kind == message_notify) {
    auto* const notification = static_cast<HubMessage*>(message.object);
    notify(*notification);
    hub_->release(notification);
  } else if (message.kind == message_take_over) {
    const auto generation =
        static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(message.object));
    if (MqttConnection* const previous = find(message.arg, generation)) previous->taken_over();
  }
}

void MqttServer::notify(HubMessage& message) noexcept {
  // deliver() may begin to close a connection, but only on_closed() shortens this list.
  for (const std::uint32_t slot : subscriber_slots_) {
    connections_[slot]->deliver(message.topic, message.payload, message.qos);
  }
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

void MqttServer::take_over(const SessionDirectory::Owner& previous) noexcept {
  if (previous.server == this) {
    if (MqttConnection* const c = find(previous.slot, previous.generation)) c->taken_over();
    return;
  }
  previous.server->loop_.post(
      {.to = previous.server,
       .kind = message_take_over,
       .arg = previous.slot,
       .object = reinterpret_cast<void*>(static_cast<std::uintptr_t>(previous.generation))});
}

void MqttServer::recycle(std::uint32_t slot) noexcept {
  free_slots_.push_back(slot);
  --open_;
  stats_.connections_closed.add();
}

void MqttServer::subscriber_added(std::uint32_t slot) noexcept {
  subscriber_slots_.push_back(slot);
  subscribers_.store(static_cast<std::uint32_t>(subscriber_slots_.size()),
                     std::memory_order_relaxed);
}

void MqttServer::subscriber_removed(std::uint32_t slot) noexcept {
  std::erase(subscriber_slots_, slot);
  subscribers_.store(static_cast<std::uint32_t>(subscriber_slots_.size()),
                     std::memory_order_relaxed);
}

void MqttServer::drain() noexcept {
  if (std::exchange(draining_, true)) return;
  for (const io::ListenerId listener : listeners_) loop_.io().close_listener(listener);
  listeners_.clear();
  for (const auto& connection : connections_) connection->drain();
}

void MqttServer::close_now() noexcept {
  drain();
  for (const auto& connection : connections_) connection->abort(MqttClose::shutdown);
}

void MqttServer::describe(MetricSink& sink) const {
  stats_.describe(sink);
  sink.gauge("tocsin_mqtt_subscribers", "Connections with at least one subscription.", {},
             static_cast<double>(subscribers_.load(std::memory_order_relaxed)));
  sink.gauge("tocsin_mqtt_buffer_bytes", "Memory held by the buffers of connections.", {},
             static_cast<double>(budget_.used()));
}

}  // namespace tocsin::ingress
