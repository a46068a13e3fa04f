// Prints each notification as one line: the channel that works without any configuration.

#include <cassert>
#include <vector>

#include "stages/deliver/channel_type.hpp"
#include "stages/deliver/channels/log/format.hpp"
#include "stages/deliver/channels/log/options.hpp"

namespace tocsin::deliver {
namespace {

class LogChannel final : public Channel, public flow::Receiver {
 public:
  LogChannel(const ChannelContext& context, std::size_t line_size_max)
      : loop_(context.loop), print_(context.print), line_size_max_(line_size_max) {}

  Result<void, SubmitError> submit(std::string_view recipient,
                                   std::span<const OutgoingNotification> notifications,
                                   DeliveryCompletion& done) noexcept override {
    assert(!notifications.empty());
    // One text, so that a full buffer refuses all of it and a retry prints nothing twice.
    std::string lines;
    for (const OutgoingNotification& notification : notifications) {
      lines += log_line(recipient, notification, line_size_max_);
    }
    if (!print_(lines)) return Unexpected{SubmitError::busy};
    ++outstanding_;
    loop_.post({.to = this, .kind = 0, .arg = 0, .object = &done});
    return {};
  }

  void on_message(const flow::Message& message) noexcept override {
    assert(outstanding_ > 0);
    --outstanding_;
    static_cast<DeliveryCompletion*>(message.object)->on_attempt({});
  }

  // What was submitted has been printed: its completion says so.
  void close() noexcept override {}
  bool closed() const noexcept override { return outstanding_ == 0; }

 private:
  flow::Loop& loop_;
  std::function<bool(std::string_view)> print_;
  std::size_t line_size_max_;
  std::size_t outstanding_ = 0;
};

Result<std::unique_ptr<Channel>, std::string> make_log_channel(const ChannelContext& context,
                                                               const OptionValues& options) {
  if (!context.print) return Unexpected{std::string("there is nowhere to print")};
  return std::unique_ptr<Channel>(std::make_unique<LogChannel>(
      context, static_cast<std::size_t>(options.number("line_size_max"))));
}

}  // namespace

extern const ChannelType channel_type_log;
const ChannelType channel_type_log{.name = "log",
                                   .help = "Prints each notification as one line.",
                                   .options = log_options,
                                   .make = make_log_channel};

}  // namespace tocsin::deliver
