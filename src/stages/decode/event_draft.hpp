#pragma once
// What an envelope says about one event, before it becomes a record. Reused from event to event, so
// that nothing is allocated.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include <tocsin/event.hpp>
#include <tocsin/limits.hpp>
#include <tocsin/result.hpp>

#include "flow/intake.hpp"
#include "flow/sources.hpp"
#include "protocol/json/walker.hpp"

namespace tocsin::decode {

using Check = Result<void, flow::Rejection>;

[[nodiscard]] inline Unexpected<flow::Rejection> refuse(flow::Refusal reason,
                                                        std::string_view detail,
                                                        std::string_view pointer = {}) noexcept {
  return Unexpected{flow::Rejection{.reason = reason, .detail = detail, .pointer = pointer}};
}

/// All views point into the raw event, the source table or this draft's own text buffer.
class EventDraft {
 public:
  enum class Data : std::uint8_t {
    absent,
    json,    ///< `data` is validated JSON text.
    base64,  ///< `data` is a JSON string with its quotes; the payload is what it decodes to.
    opaque,  ///< `data` is the payload, of any content.
  };

  void reset() noexcept;

  /// Sets an attribute. `pointer` names the culprit when it is refused (static text). Refused: more
  /// than name_size_max bytes, control characters, not UTF-8. Empty text unsets.
  [[nodiscard]] Check set(AttributeTag tag, std::string_view text,
                          std::string_view pointer) noexcept;
  [[nodiscard]] std::string_view get(AttributeTag tag) const noexcept {
    return attributes_[static_cast<std::size_t>(tag)];
  }
  /// Sets an extension attribute; an earlier one of this name is replaced.
  [[nodiscard]] Check set_extension(std::string_view name, std::string_view text) noexcept;
  /// As set_extension, but names that have a place of their own go there: partitionkey,
  /// traceparent, severitytext and so on. `time` and what only CloudEvents know are not among them.
  [[nodiscard]] Check set_known_or_extension(std::string_view name, std::string_view text) noexcept;
  /// As set_known_or_extension, unless the event itself said something under this name: for what
  /// the transport adds.
  [[nodiscard]] Check set_default(std::string_view name, std::string_view text) noexcept;
  /// W3C trace context: ignored when malformed, as its section 4.3 demands.
  void set_traceparent(std::string_view text) noexcept;

  /// The text of a JSON string, number or boolean; empty for null; refused for others.
  [[nodiscard]] Result<std::string_view, flow::Rejection> text_of(
      json::Value value, std::string_view pointer) noexcept;
  /// A key without escapes. Refused when the buffer is full.
  [[nodiscard]] Result<std::string_view, flow::Rejection> unescape(std::string_view raw) noexcept;

  /// Valid JSON on one line: without the line breaks and tabs between its tokens. Refused when the
  /// buffer is full.
  [[nodiscard]] Result<std::string_view, flow::Rejection> one_line(std::string_view text) noexcept;

  /// Writes all attributes as length-prefixed fields. Nothing when `out` is too small.
  [[nodiscard]] std::optional<std::size_t> write_attributes(
      std::array<char, record_attrs_max>& out) const noexcept;

  Data data_kind = Data::absent;
  std::string_view data;
  const flow::SourceConfig* registered = nullptr;  ///< Null for what is no event.
  const flow::MqttMessage* message = nullptr;
  std::optional<Priority> priority;
  std::optional<Severity> severity;
  std::int64_t producer_time_us = producer_time_absent;

 private:
  [[nodiscard]] bool has(std::string_view name) const noexcept;

  // `extension` and `mqtt` have forms of their own and no place in the array.
  static constexpr std::size_t tag_count = static_cast<std::size_t>(AttributeTag::mqtt);

  std::array<std::string_view, tag_count> attributes_{};
  std::array<flow::Field, extensions_max> extensions_{};
  std::size_t extension_count_ = 0;
  std::array<char, record_attrs_max> text_;  // Unescaped strings.
  std::size_t text_used_ = 0;
};

[[nodiscard]] std::optional<Priority> parse_priority(std::string_view text) noexcept;
[[nodiscard]] std::optional<Severity> parse_severity(std::string_view text) noexcept;

}  // namespace tocsin::decode
