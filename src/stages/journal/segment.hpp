#pragma once
// What a segment file is called, how its blocks are aligned, and the list of those on disk.

#include <charconv>
#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace tocsin::journal {

/// Commits, and blocks that are not small, begin at multiples of this. A page, not a sector: then
/// no write ever touches a page (or a 4 KiB physical sector) that holds an acknowledged block, so a
/// torn write cannot damage one.
inline constexpr std::size_t page_size = 4096;
/// Every block begins at a multiple of this.
inline constexpr std::size_t block_alignment = 64;
/// Largest block that a reader accepts.
inline constexpr std::uint32_t block_size_max = 16U << 20;

/// Of a size in memory or in a file; the result must fit too.
template <std::unsigned_integral Size>
[[nodiscard]] constexpr Size align_to_page(Size value) noexcept {
  return (value + Size{page_size - 1}) & ~Size{page_size - 1};
}
template <std::unsigned_integral Size>
[[nodiscard]] constexpr Size align_to_block(Size value) noexcept {
  return (value + Size{block_alignment - 1}) & ~Size{block_alignment - 1};
}

/// Names a segment. The id is the sequence that its first block was to have; sequences are never
/// given twice. The tag stands in the header of each of its blocks. It is the id where the file was
/// made for this segment. One that was another segment before has a random one: what is left in it
/// of that other, payloads from anywhere included, cannot pass for a block of this.
struct SegmentKey {
  std::uint64_t id = 0;
  std::uint64_t tag = 0;
  auto operator<=>(const SegmentKey&) const = default;

  [[nodiscard]] bool recycled() const noexcept { return tag != id; }
};
[[nodiscard]] inline std::string segment_name(const SegmentKey& key) {
  return key.recycled() ? fmt::format("{:020}-{:016x}.seg", key.id, key.tag)
                        : fmt::format("{:020}.seg", key.id);
}
[[nodiscard]] inline std::string segment_name(std::uint64_t id) {
  return segment_name(SegmentKey{id, id});
}
[[nodiscard]] inline std::optional<SegmentKey> parse_segment_name(std::string_view name) {
  SegmentKey key;
  const auto number = [&](std::size_t at, std::size_t size, int base, std::uint64_t& value) {
    const auto [end, error] =
        std::from_chars(name.data() + at, name.data() + at + size, value, base);
    return error == std::errc{} && end == name.data() + at + size;
  };
  if (!name.ends_with(".seg") || (name.size() != 24 && name.size() != 41)) return std::nullopt;
  if (!number(0, 20, 10, key.id) || key.id == 0) return std::nullopt;
  key.tag = key.id;
  if (name.size() == 41 && (name[20] != '-' || !number(21, 16, 16, key.tag))) return std::nullopt;
  return key;
}
/// The file that is being prepared to become the next segment.
inline constexpr std::string_view spare_name = "spare";

/// A segment on disk, as far as its blocks are committed.
struct SegmentInfo {
  SegmentKey key;
  std::uint64_t last_sequence = 0;  ///< 0: no good block in it.
  std::uint64_t bytes = 0;          ///< End of the last good block, aligned.
  std::uint64_t file_bytes = 0;     ///< What the file takes on disk.
  bool operator==(const SegmentInfo&) const = default;
};

/// Memory that direct I/O can use.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(std::size_t size)
      : bytes_(static_cast<std::byte*>(::operator new(size, std::align_val_t{page_size}))),
        size_(size) {}
  [[nodiscard]] std::byte* data() noexcept { return bytes_.get(); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::span<std::byte> span() noexcept { return {bytes_.get(), size_}; }

 private:
  struct Free {
    void operator()(std::byte* p) const noexcept {
      ::operator delete(p, std::align_val_t{page_size});
    }
  };
  std::unique_ptr<std::byte, Free> bytes_;
  std::size_t size_ = 0;
};

}  // namespace tocsin::journal
