#include "stages/deliver/stage.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <set>
#include <utility>

#include <fmt/format.h>

namespace tocsin::deliver {
namespace {

// How often a closing channel is asked whether it may be destroyed.
constexpr Duration closing_poll = std::chrono::milliseconds{20};

const ChannelType* find_type(std::span<const ChannelType* const> types, std::string_view name) {
  const auto it = std::find_if(types.begin(), types.end(),
                               [&](const ChannelType* type) { return type->name == name; });
  return it == types.end() ? nullptr : *it;
}

std::uint64_t seed_from(io::Io& io) {
  std::array<std::byte, 8> bytes{};
  io.random(bytes);
  return std::bit_cast<std::uint64_t>(bytes);
}

}  // namespace

std::string check_channel(const flow::ChannelConfig& config,
                          std::span<const ChannelType* const> types) {
  const ChannelType* const type = find_type(types, config.type);
  if (type == nullptr) return fmt::format("there is no channel type \"{}\"", config.type);
  if (const auto policy = make_policy(config.delivery); !policy) return policy.error();
  if (type->single != nullptr && type->single(config.options) &&
      config.delivery.number("batch_count") > 1) {
    return "batch_count must be 1: with these options a message carries one notification";
  }
  return type->check == nullptr ? std::string{} : type->check(config.options);
}

DeliverStage::DeliverStage(StageContext context)
    : context_(std::move(context)),
      dead_letters_(context_.loop.io(), context_.log, context_.dead_letters_path,
                    context_.dead_letters_bytes_max),
      shared_{.loop = context_.loop,
              .log = context_.log,
              .pool = context_.pool,
              .pacing = context_.pacing,
              .outcomes = context_.outcomes,
              .dead_letters = dead_letters_,
              .random_state = seed_from(context_.loop.io())} {
  context_.loop.add_ticker(*this);
}

DeliverStage::~DeliverStage() { context_.loop.remove_ticker(*this); }

LaneCounters& DeliverStage::counters_of(const std::string& channel) {
  const std::lock_guard guard(counters_mutex_);
  auto& entry = counters_[channel];
  if (entry == nullptr) entry = std::make_unique<LaneCounters>();
  return *entry;
}

const LaneCounters* DeliverStage::counters(std::string_view channel) const {
  const std::lock_guard guard(counters_mutex_);
  const auto it = counters_.find(channel);
  return it == counters_.end() ? nullptr : it->second.get();
}

Result<DeliverStage::Prepared, std::string> DeliverStage::prepare(
    const flow::ChannelConfig& config) {
  const auto fail = [&](const std::string& why) {
    return Unexpected{fmt::format("channel \"{}\": {}", config.name, why)};
  };
  if (std::string why = check_channel(config, context_.types); !why.empty()) return fail(why);
  Prepared prepared;
  prepared.policy = std::move(make_policy(config.delivery)).value();
  const auto existing = lanes_.find(config.name);
  if (existing != lanes_.end() && existing->second.config == config) return prepared;
  const ChannelType* const type = find_type(context_.types, config.type);
  ChannelContext channel_context{.loop = context_.loop,
                                 .log = context_.log,
                                 .name = config.name,
                                 .hub = context_.hub,
                                 .resolver = context_.resolver,
                                 .egress = context_.egress,
                                 .print = context_.print};
  auto channel = type->make(channel_context, config.options);
  if (!channel) return fail(channel.error());
  prepared.channel = std::move(*channel);
  prepared.maker = [type, channel_context, options = config.options]() -> std::unique_ptr<Channel> {
    auto again = type->make(channel_context, options);
    return again ? std::move(*again) : nullptr;
  };
  return prepared;
}

// Channels made for a configuration that is refused: they may have begun to connect.
void DeliverStage::discard(Prepareds& prepared) {
  for (auto& [name, entry] : prepared) {
    if (entry.channel == nullptr) continue;
    entry.channel->close();
    discarded_.push_back(std::move(entry.channel));
  }
}

Result<void, std::string> DeliverStage::set_channels(
    const std::vector<flow::ChannelConfig>& configs) {
  Prepareds prepared;
  for (const flow::ChannelConfig& config : configs) {
    std::string why;
    if (prepared.contains(config.name)) {
      why = fmt::format("channel \"{}\" is defined twice", config.name);
    } else if (auto made = prepare(config); !made) {
      why = made.error();
    } else {
      prepared.emplace(config.name, std::move(*made));
    }
    if (why.empty()) continue;
    discard(prepared);
    return Unexpected{std::move(why)};
  }
  for (auto it = lanes_.begin(); it != lanes_.end();) {
    if (prepared.contains(it->first)) {
      ++it;
      continue;
    }
    it->second.lane->retire();
    retired_.push_back(std::move(it->second.lane));
    it = lanes_.erase(it);
  }
  for (const flow::ChannelConfig& config : configs) {
    Prepared& made = prepared.at(config.name);
    if (made.channel == nullptr) continue;
    Entry& entry = lanes_[config.name];
    entry.config = config;
    if (entry.lane != nullptr) {
      entry.lane->reconfigure(std::move(made.policy), std::move(made.channel),
                              std::move(made.maker));
      continue;
    }
    entry.lane = std::make_unique<Lane>(shared_, counters_of(config.name), config.name,
                                        std::move(made.policy), std::move(made.channel),
                                        std::move(made.maker));
    if (draining_) entry.lane->drain();
  }
  return {};
}

void DeliverStage::accept(flow::Notification& notification) {
  const auto it = lanes_.find(notification.channel);
  if (it != lanes_.end()) return it->second.lane->add(notification, context_.loop.now());
  // Its channel was removed while it was on its way here. An unknown name is not made a label: the
  // set of labels stays closed.
  const std::string label = counters(notification.channel) != nullptr ? notification.channel : "";
  LaneCounters& counted = counters_of(label);
  counted.created.add();
  counted.cancelled.add();
  shared_.end(notification, flow::Outcome::cancelled, DeliveryError::none);
}

void DeliverStage::on_message(const flow::Message& message) noexcept {
  assert(message.kind == message_notification);
  auto* notification = static_cast<flow::Notification*>(message.object);
  flow::Pacing::Amount arrived;
  while (notification != nullptr) {
    flow::Notification* const next = std::exchange(notification->next, nullptr);
    ++arrived.notifications;
    arrived.body_bytes += notification->body.size();
    accept(*notification);
    notification = next;
  }
  context_.pacing.on_arrived(arrived);
}

void DeliverStage::tend_retired() {
  std::erase_if(retired_, [](const auto& lane) { return lane->closed(); });
  std::erase_if(discarded_, [](const auto& channel) { return channel->closed(); });
}

MonoTime DeliverStage::on_tick(MonoTime now) noexcept {
  MonoTime next = MonoTime::max();
  bool quiet = true;
  for (auto& [name, entry] : lanes_) {
    next = std::min(next, entry.lane->on_tick(now));
    quiet = quiet && entry.lane->quiet();
  }
  for (const auto& lane : retired_) {
    next = std::min(next, lane->on_tick(now));
    quiet = quiet && lane->quiet();
  }
  if (draining_ && !closing_) {
    next = std::min(next, drain_deadline_);
    if (quiet || now >= drain_deadline_) {
      closing_ = true;
      for (auto& [name, entry] : lanes_) entry.lane->close();
      for (const auto& lane : retired_) lane->close();
    }
  }
  tend_retired();
  if (closing_ || !retired_.empty() || !discarded_.empty()) {
    next = std::min(next, now + closing_poll);
  }
  dead_letters_.flush();
  return next;
}

void DeliverStage::drain(MonoTime deadline) {
  draining_ = true;
  drain_deadline_ = deadline;
  for (auto& [name, entry] : lanes_) entry.lane->drain();
}

bool DeliverStage::drained() const noexcept {
  if (!closing_ || dead_letters_.busy() || !retired_.empty() || !discarded_.empty()) return false;
  return std::all_of(lanes_.begin(), lanes_.end(),
                     [](const auto& item) { return item.second.lane->closed(); });
}

void DeliverStage::describe(MetricSink& sink) const {
  const std::lock_guard guard(counters_mutex_);
  for (const auto& [channel, counted] : counters_) counted->describe(channel, sink);
  dead_letters_.describe(sink);
}

}  // namespace tocsin::deliver
