#pragma once
// What one folder below deliver/channels provides: a name, its options and a factory. CMake finds
// the folders and generates the table (channel_table.cpp).

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <tocsin/channel.hpp>
#include <tocsin/option.hpp>
#include <tocsin/result.hpp>

#include "base/log.hpp"
#include "flow/hub.hpp"
#include "flow/loop.hpp"
#include "io/dns/resolver.hpp"
#include "io/egress/policy.hpp"

namespace tocsin::deliver {

/// What a channel may use. All of it outlives the channel.
struct ChannelContext {
  flow::Loop& loop;
  Log log;
  std::string name;                    ///< Of the configured channel.
  flow::SubscriberHub* hub = nullptr;  ///< Null when there is no MQTT listener.
  io::Resolver* resolver = nullptr;
  const io::EgressPolicy* egress =
      nullptr;  ///< Where connections may go. Never null in the engine.
  /// Writes one text to standard output without waiting for it; false when its buffer is full.
  std::function<bool(std::string_view)> print{};
};

using ChannelFactory = Result<std::unique_ptr<Channel>, std::string> (*)(
    const ChannelContext& context, const OptionValues& options);

struct ChannelType {
  std::string_view name;
  std::string_view help;
  std::span<const OptionSpec> options;
  ChannelFactory make;
  /// Whether, with these options, a message can carry one notification only. Null: it can carry
  /// many.
  bool (*single)(const OptionValues& options) = nullptr;
  /// Checks what the option table cannot say; a message, or empty. Opens nothing.
  std::string (*check)(const OptionValues& options) = nullptr;
};

/// Every channel type that was built, by name. Generated.
[[nodiscard]] std::span<const ChannelType* const> channel_types() noexcept;

}  // namespace tocsin::deliver
