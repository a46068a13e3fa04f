#pragma once
// Looks through the memory of the test program, to count the copies of something.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tocsin::decode::test {

/// Text to look for, made at run time: JSON array elements, each ended by a comma. So it stands in
/// a payload across many tokens, and is longer than what vector registers hold together, of which a
/// signal or the dynamic linker may leave an image on the stack.
class Marker {
 public:
  static constexpr std::size_t size = 1024;
  Marker();
  /// Writes the text to `to`, and to no other place on the way.
  void write(char* to) const noexcept;
  /// Whether the text stands at `text`, of which `size` characters are readable.
  [[nodiscard]] bool is_at(const char* text) const noexcept;

 private:
  // Kept in disguise: the marker itself is no copy.
  std::array<std::uint8_t, size> disguised_{};
};

/// How often the marker stands in the writable memory of this process, except within `except`.
[[nodiscard]] std::size_t copies_in_memory(const Marker& marker, std::string_view except);

}  // namespace tocsin::decode::test
