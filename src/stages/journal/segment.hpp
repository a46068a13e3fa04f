#pragma once
// What a segment file is called, how its blocks are aligned, and the list of those on disk.

#include <charconv>
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

/// A segment's id is the sequence that its first block was to have. Sequences are never given
/// twice, so an id names one file for ever.
[[nodiscard]] inline std::string segment_name(std::uint64_t id) {
  return fmt::format("{:020}.seg", id);
}
[[nodiscard]] inline std::optional<std::uint64_t> parse_segment_name(std::string_view name) {
  if (name.size() != 24 || !name.ends_with(".seg")) return std::nullopt;
  std::uint64_t id = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + 20, id);
  if (error != std::errc{} || end != name.data() + 20 || id == 0) return std::nullopt;
  return id;
}
/// The file that is being prepared to become the next segment.
inline constexpr std::string_view spare_name = "spare";

/// A segment on disk, as far as its blocks are committed.
struct SegmentInfo {
  std::uint64_t id = 0;
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
