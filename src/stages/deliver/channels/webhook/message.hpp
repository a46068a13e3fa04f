#pragma once
// From notifications to one HTTP request.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <tocsin/channel.hpp>
#include <tocsin/time.hpp>

#include "stages/deliver/channels/webhook/signature.hpp"
#include "stages/deliver/channels/webhook/url.hpp"

namespace tocsin::json {
class Validator;
}

namespace tocsin::deliver {

struct MessageStyle {
  bool raw = false;
  std::string content_type;
  std::vector<std::string> headers;  ///< "Name: value", checked.
  std::string authorization;
  std::vector<SigningSecret> secrets;
};

/// The id that every attempt of these notifications carries: of a single one its own, of a batch
/// one derived from all of them, whatever their order.
[[nodiscard]] std::string message_id(std::span<const OutgoingNotification> notifications);

/// The request body in the standard form. `now` is the time of this attempt.
[[nodiscard]] std::string standard_body(std::span<const OutgoingNotification> notifications,
                                        WallTime now, json::Validator& validator);

/// The complete request, head and body.
[[nodiscard]] std::string build_request(const Url& url, const MessageStyle& style,
                                        std::span<const OutgoingNotification> notifications,
                                        WallTime now, json::Validator& validator);

/// Whether `header` ("Name: value") may be sent: a token, a colon, and a value without control
/// characters (RFC 9110 section 5); names that the channel sets itself are refused.
[[nodiscard]] bool header_acceptable(std::string_view header) noexcept;

}  // namespace tocsin::deliver
