#include "cli/bench/payload.hpp"

#include <array>
#include <cassert>
#include <charconv>
#include <cstring>

namespace tocsin::cli::bench {
namespace {

constexpr std::uint64_t sequence_base = 1'000'000'000;
constexpr std::uint64_t time_base = 1'000'000'000'000'000'000;
constexpr std::string_view sent_field = "sent_ns";

struct Placeholder {
  std::string_view text;
  SlotKind kind;
};
constexpr std::array placeholders{Placeholder{"{seq}", SlotKind::sequence},
                                  Placeholder{"{sent_ns}", SlotKind::sent}};

}  // namespace

Template make_template(std::string_view source) {
  Template made;
  while (!source.empty()) {
    bool found = false;
    for (const Placeholder& placeholder : placeholders) {
      if (!source.starts_with(placeholder.text)) continue;
      made.slots.push_back({made.text.size(), placeholder.kind});
      made.text.append(slot_width(placeholder.kind), '0');
      source.remove_prefix(placeholder.text.size());
      found = true;
      break;
    }
    if (found) continue;
    made.text += source[0];
    source.remove_prefix(1);
  }
  return made;
}

void append_template(Template& whole, const Template& part) {
  for (Slot slot : part.slots) {
    slot.offset += whole.text.size();
    whole.slots.push_back(slot);
  }
  whole.text += part.text;
}

std::vector<Template> make_templates(std::string_view lines) {
  std::vector<Template> templates;
  while (!lines.empty()) {
    const auto end = std::min(lines.find('\n'), lines.size());
    std::string_view line = lines.substr(0, end);
    lines.remove_prefix(std::min(end + 1, lines.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) templates.push_back(make_template(line));
  }
  return templates;
}

Stamps::Stamps(std::uint64_t sequence) noexcept {
  // Ten and nineteen digits by construction: see the two bases.
  const std::uint64_t number = sequence_base + sequence % (9 * sequence_base);
  std::to_chars(number_.data(), number_.data() + number_.size(), number);
  std::to_chars(time_text_.data(), time_text_.data() + time_text_.size(), encode_time(time_));
}

void Stamps::advance() noexcept {
  for (std::size_t i = number_.size(); i > 0; --i) {
    char& digit = number_[i - 1];
    if (digit != '9') {
      ++digit;
      return;
    }
    digit = '0';
  }
  number_[0] = '1';  // Begins anew, still with ten digits.
}

void Stamps::fill(std::span<char> text, const Template& pattern, MonoTime sent) noexcept {
  assert(text.size() == pattern.text.size());
  if (sent != time_) {
    time_ = sent;
    std::to_chars(time_text_.data(), time_text_.data() + time_text_.size(), encode_time(sent));
  }
  for (const Slot& slot : pattern.slots) {
    char* const field = text.data() + slot.offset;
    if (slot.kind == SlotKind::sent) {
      std::memcpy(field, time_text_.data(), time_text_.size());
    } else {
      std::memcpy(field, number_.data(), number_.size());
      advance();
    }
  }
}

std::uint64_t encode_time(MonoTime time) noexcept {
  return time_base + static_cast<std::uint64_t>(time.time_since_epoch().count());
}

std::optional<MonoTime> next_sent(std::string_view& text) noexcept {
  for (;;) {
    const auto found = text.find(sent_field);
    if (found == text.npos) return std::nullopt;
    text.remove_prefix(found + sent_field.size());
    const auto digits = text.find_first_not_of("\\\": ");
    if (digits == text.npos) return std::nullopt;
    text.remove_prefix(digits);
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || value < time_base) continue;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return MonoTime{Duration{static_cast<Duration::rep>(value - time_base)}};
  }
}

std::string number_topic(std::string_view pattern, std::uint32_t number) {
  constexpr std::string_view mark = "{n}";
  std::string topic(pattern);
  for (auto at = topic.find(mark); at != topic.npos; at = topic.find(mark, at)) {
    topic.replace(at, mark.size(), std::to_string(number));
  }
  return topic;
}

}  // namespace tocsin::cli::bench
