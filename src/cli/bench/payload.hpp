#pragma once
// Payload templates: text whose changing parts have a fixed width, so that filling them in neither
// allocates nor moves anything.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <tocsin/time.hpp>

namespace tocsin::cli::bench {

enum class SlotKind : std::uint8_t {
  sequence,  ///< "{seq}": number of the event, from 1000000000 on; ten digits.
  sent,      ///< "{sent_ns}": intended time of sending, see encode_time(); nineteen digits.
};
[[nodiscard]] constexpr std::size_t slot_width(SlotKind kind) noexcept {
  return kind == SlotKind::sequence ? 10 : 19;
}

struct Slot {
  std::size_t offset = 0;
  SlotKind kind = SlotKind::sequence;
};

struct Template {
  std::string text;  ///< Zeros stand in the slots.
  std::vector<Slot> slots;
};

/// "{seq}" and "{sent_ns}" become slots; everything else, other braces too, stays.
[[nodiscard]] Template make_template(std::string_view source);
/// Appends `part` to `whole`, its slots included.
void append_template(Template& whole, const Template& part);
/// One template a line; empty lines are skipped.
[[nodiscard]] std::vector<Template> make_templates(std::string_view lines);

/// Fills slots. The running number and the last time are kept as text, so that an event without a
/// due time of its own costs two short copies.
class Stamps {
 public:
  explicit Stamps(std::uint64_t sequence = 0) noexcept;

  /// `text` is a copy of the pattern's text. Every sequence slot gets the next number.
  void fill(std::span<char> text, const Template& pattern, MonoTime sent) noexcept;

 private:
  void advance() noexcept;

  std::array<char, slot_width(SlotKind::sequence)> number_{};
  std::array<char, slot_width(SlotKind::sent)> time_text_{};
  MonoTime time_{};
};

/// The monotonic clock in nanoseconds plus 10^18, so that it always has nineteen digits.
[[nodiscard]] std::uint64_t encode_time(MonoTime time) noexcept;

/// Calls visit(MonoTime) for each sending time that a message carries in a field named "sent_ns",
/// also inside an array of messages or where the field's quotes are escaped.
template <class Visit>
void for_each_sent(std::string_view message, Visit&& visit);

/// The first sending time in `text`, which is then shortened to what follows it.
[[nodiscard]] std::optional<MonoTime> next_sent(std::string_view& text) noexcept;

/// "a/{n}/b" with a number in its place.
[[nodiscard]] std::string number_topic(std::string_view pattern, std::uint32_t number);

template <class Visit>
void for_each_sent(std::string_view message, Visit&& visit) {
  while (const auto sent = next_sent(message)) visit(*sent);
}

}  // namespace tocsin::cli::bench
