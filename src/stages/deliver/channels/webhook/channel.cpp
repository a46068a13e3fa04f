// The webhook channel: pools connections per origin and turns submits into exchanges.

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "protocol/json/validator.hpp"
#include "stages/deliver/channel_type.hpp"
#include "stages/deliver/channels/webhook/connection.hpp"
#include "stages/deliver/channels/webhook/message.hpp"
#include "stages/deliver/channels/webhook/options.hpp"

namespace tocsin::deliver {
namespace {

constexpr std::size_t json_capacity = 64 * 1024;

struct Parsed {
  std::optional<Url> url;
  MessageStyle style;
};

Result<Parsed, std::string> parse_settings(const OptionValues& options) {
  Parsed parsed;
  const auto check = [&](const Url& url) -> std::string {
    return url.tls || options.flag("plain_http") ? std::string()
                                                 : "url is not https:// and plain_http is false";
  };
  if (!options.text("url").empty()) {
    auto url = parse_url(options.text("url"));
    if (!url) return Unexpected{"url " + url.error()};
    if (const auto problem = check(*url); !problem.empty()) return Unexpected{problem};
    parsed.url = *url;
  }
  for (const char* key : {"secret", "secret_previous"}) {
    if (options.text(key).empty()) continue;
    auto secret = SigningSecret::parse(options.text(key));
    if (!secret) return Unexpected{fmt::format("{} {}", key, secret.error())};
    parsed.style.secrets.push_back(std::move(*secret));
  }
  for (const std::string& header : options.list("headers")) {
    if (!header_acceptable(header)) {
      return Unexpected{
          fmt::format("headers: \"{}\" cannot be sent", header.substr(0, header.find(':')))};
    }
  }
  parsed.style.headers = options.list("headers");
  parsed.style.raw = options.text("format") == "raw";
  parsed.style.content_type = options.text("content_type");
  parsed.style.authorization = options.text("authorization");
  if (!header_acceptable("x: " + parsed.style.content_type)) {
    return Unexpected{std::string("content_type cannot be sent")};
  }
  if (!header_acceptable("x: " + parsed.style.authorization)) {
    return Unexpected{std::string("authorization cannot be sent")};
  }
  if (options.text("certificate_file").empty() != options.text("key_file").empty()) {
    return Unexpected{std::string("certificate_file and key_file belong together")};
  }
  return parsed;
}

std::string check_options(const OptionValues& options) {
  const auto parsed = parse_settings(options);
  return parsed ? std::string() : parsed.error();
}

class WebhookChannel final : public Channel,
                             public WebhookConnection::Owner,
                             public flow::Receiver {
 public:
  WebhookChannel(const ChannelContext& context, Parsed parsed, const OptionValues& options,
                 std::unique_ptr<io::TlsClientContext> tls)
      : context_(context),
        parsed_(std::move(parsed)),
        bare_style_{.raw = parsed_.style.raw,
                    .content_type = parsed_.style.content_type,
                    .headers = {},
                    .authorization = {},
                    .secrets = {}},
        plain_http_(options.flag("plain_http")),
        connections_max_(static_cast<std::size_t>(options.number("connections_max"))),
        tls_(std::move(tls)),
        settings_{
            .attempt_timeout = std::chrono::milliseconds(options.number("attempt_timeout_ms")),
            .idle_timeout = std::chrono::milliseconds(options.number("idle_timeout_ms")),
            .egress = context.egress,
            .tls = tls_.get()},
        validator_(json_capacity) {}

  Result<void, SubmitError> submit(std::string_view recipient,
                                   std::span<const OutgoingNotification> notifications,
                                   DeliveryCompletion& done) noexcept override {
    auto url = target(recipient);
    if (!url) {
      defer(done, {.verdict = Verdict::permanent,
                   .error = DeliveryError::protocol,
                   .retry_after = {},
                   .detail = "recipient: URL " + url.error()});
      return {};
    }
    WebhookConnection* const connection = take_connection(*url);
    if (connection == nullptr) return Unexpected{SubmitError::busy};
    running_.push_back({connection->id(), &done});
    // A recipient can come out of an event: whoever sends events must not be able to choose who
    // gets our credentials.
    const bool own = parsed_.url && same_origin(*parsed_.url, *url);
    connection->start(build_request(*url, own ? parsed_.style : bare_style_, notifications,
                                    context_.loop.io().wall_now(), validator_));
    return {};
  }

  void close() noexcept override {
    closing_ = true;
    // shut_down() may remove the connection from the list.
    std::vector<std::uint64_t> ids;
    for (const auto& c : connections_) ids.push_back(c->id());
    for (const std::uint64_t id : ids) {
      if (WebhookConnection* c = find(id)) c->shut_down();
    }
  }

  bool closed() const noexcept override {
    return closing_ && connections_.empty() && messages_ == 0;
  }

 private:
  enum Kind : std::uint32_t { resolved, deferred, discard };
  struct Resolved {
    std::uint64_t connection = 0;
    io::ResolveResult result;
  };
  struct Deferred {
    DeliveryCompletion* done = nullptr;
    Attempt attempt;
  };
  struct Running {
    std::uint64_t connection = 0;
    DeliveryCompletion* done = nullptr;
  };

  Result<Url, std::string> target(std::string_view recipient) const {
    if (recipient.empty()) {
      return parsed_.url ? Result<Url, std::string>(*parsed_.url)
                         : Unexpected{std::string("is missing")};
    }
    auto url = parse_url(recipient);
    if (url && !url->tls && !plain_http_) return Unexpected{std::string("is not https://")};
    return url;
  }

  WebhookConnection* take_connection(const Url& url) {
    for (const auto& c : connections_) {
      if (c->idle_for(url)) return c.get();
    }
    if (connections_.size() >= connections_max_) {
      // Idle connections to other origins make room; the slot is free once they are closed.
      const auto idle = std::ranges::find_if(connections_, [](const auto& c) { return c->idle(); });
      if (idle != connections_.end()) (*idle)->shut_down();
      if (connections_.size() >= connections_max_) return nullptr;
    }
    connections_.push_back(
        std::make_unique<WebhookConnection>(context_.loop, *this, settings_, url, ++last_id_));
    return connections_.back().get();
  }

  WebhookConnection* find(std::uint64_t id) const noexcept {
    const auto it =
        std::ranges::find_if(connections_, [&](const auto& c) { return c->id() == id; });
    return it == connections_.end() ? nullptr : it->get();
  }

  void defer(DeliveryCompletion& done, Attempt attempt) {
    post(deferred, new Deferred{&done, std::move(attempt)});
  }

  void post(Kind kind, void* object) {
    ++messages_;
    context_.loop.post({.to = this, .kind = kind, .arg = 0, .object = object});
  }

  void resolve(WebhookConnection& connection, const Url& url) noexcept override {
    ++messages_;
    context_.resolver->resolve(
        url.host, url.port, [this, id = connection.id()](io::ResolveResult result) {
          context_.loop.post({.to = this,
                              .kind = resolved,
                              .arg = 0,
                              .object = new Resolved{id, std::move(result)}});
        });
  }

  void on_exchange(WebhookConnection& connection, Attempt attempt) noexcept override {
    const auto it = std::ranges::find_if(
        running_, [&](const Running& r) { return r.connection == connection.id(); });
    if (it == running_.end()) return;
    DeliveryCompletion* const done = it->done;
    running_.erase(it);
    // On a later turn: an exchange can fail inside start(), which runs inside submit().
    defer(*done, std::move(attempt));
  }

  // The connection is still on the stack: destroy it on a later turn.
  void on_gone(WebhookConnection& connection) noexcept override {
    const auto it =
        std::ranges::find_if(connections_, [&](const auto& c) { return c.get() == &connection; });
    if (it == connections_.end()) return;
    WebhookConnection* const gone = it->release();
    connections_.erase(it);
    post(discard, gone);
  }

  void on_message(const flow::Message& message) noexcept override {
    --messages_;
    if (message.kind == resolved) {
      const std::unique_ptr<Resolved> answer(static_cast<Resolved*>(message.object));
      if (WebhookConnection* c = find(answer->connection)) c->on_resolved(answer->result);
    } else if (message.kind == deferred) {
      const std::unique_ptr<Deferred> end(static_cast<Deferred*>(message.object));
      end->done->on_attempt(std::move(end->attempt));
    } else {
      const std::unique_ptr<WebhookConnection> gone(
          static_cast<WebhookConnection*>(message.object));
    }
  }

  ChannelContext context_;
  Parsed parsed_;
  MessageStyle bare_style_;  // Without anything secret.
  bool plain_http_;
  std::size_t connections_max_;
  std::unique_ptr<io::TlsClientContext> tls_;
  WebhookConnection::Settings settings_;
  json::Validator validator_;
  std::vector<std::unique_ptr<WebhookConnection>> connections_;
  std::vector<Running> running_;
  std::uint64_t last_id_ = 0;
  // Messages under way to this channel, look-ups included: it must not be destroyed before them.
  std::size_t messages_ = 0;
  bool closing_ = false;
};

Result<std::unique_ptr<Channel>, std::string> make(const ChannelContext& context,
                                                   const OptionValues& options) {
  auto parsed = parse_settings(options);
  if (!parsed) return Unexpected{parsed.error()};
  auto tls = io::make_tls_client_context({.ca_file = options.text("ca_file"),
                                          .certificate_file = options.text("certificate_file"),
                                          .key_file = options.text("key_file")});
  if (!tls) return Unexpected{tls.error()};
  return std::unique_ptr<Channel>(
      std::make_unique<WebhookChannel>(context, std::move(*parsed), options, std::move(*tls)));
}

}  // namespace

extern const ChannelType channel_type_webhook;
const ChannelType channel_type_webhook{
    .name = "webhook",
    .help = "POST over HTTPS, signed as Standard Webhooks say.",
    .options = webhook_options,
    .make = make,
    .single = [](const OptionValues& options) { return options.text("format") == "raw"; },
    .check = check_options};

}  // namespace tocsin::deliver
