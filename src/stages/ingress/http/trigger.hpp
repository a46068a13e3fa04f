#pragma once
// From an HTTP request to the events in it: content modes of FEATURES part 5 and of the CloudEvents
// HTTP binding 1.0.

#include <array>
#include <optional>
#include <string>
#include <vector>

#include <tocsin/limits.hpp>
#include <tocsin/result.hpp>

#include "flow/intake.hpp"
#include "protocol/http/request_parser.hpp"
#include "stages/ingress/http/problem.hpp"

namespace tocsin::ingress {

enum class EventRoute : std::uint8_t { single, batch };

struct Trigger {
  flow::RawEvent event;
  std::optional<flow::BatchForm> form;  ///< Nothing: one event.
};

/// What the head alone says. With Envelope::cloudevents_binary the attributes are still to be read.
[[nodiscard]] Result<Trigger, flow::Rejection> trigger_of_head(const http::Request& request,
                                                               EventRoute route) noexcept;

/// One per reactor: holds the room that decoded attributes stand in.
class TriggerReader {
 public:
  /// `head_size_max`: no request's attributes are longer than that.
  explicit TriggerReader(std::size_t head_size_max);

  /// Views are valid until the next call and as long as the request.
  [[nodiscard]] Result<Trigger, flow::Rejection> read(const http::Request& request,
                                                      EventRoute route) noexcept;

 private:
  [[nodiscard]] Result<Trigger, flow::Rejection> read_binary(Trigger trigger,
                                                             const http::Headers& headers) noexcept;

  std::string text_;
  // ce-* fields: the required and optional attributes besides the extensions.
  std::array<flow::Field, extensions_max + 8> fields_;
};

/// The level that a Tocsin-Ack field asks for. Nothing when there is none; a failure when its value
/// is neither "accepted" nor "stored".
[[nodiscard]] Result<std::optional<Level>, Problem> requested_level(
    const http::Request& request) noexcept;

}  // namespace tocsin::ingress
