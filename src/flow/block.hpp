#pragma once
// The block: a batch of records as it stands in memory and on disk, version 1. Little endian.
//
//   [BlockHeader, 128][payloads, newline-joined][attributes][padding to 8][RecordHeader x count]
//
// While a batch is being filled, attributes and record headers grow in scratch areas at the end of
// the buffer; sealing moves them behind the payloads. Payloads never move.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

#include <tocsin/event.hpp>
#include <tocsin/time.hpp>

namespace tocsin::flow {

inline constexpr std::uint32_t block_magic = 0x31425354;  // "TSB1" in the file.
inline constexpr std::uint16_t block_version = 1;

struct BlockHeader {
  std::uint32_t magic;
  std::uint16_t version;
  std::uint16_t header_size;
  std::uint32_t crc;  ///< CRC32C of this header with crc = 0.
  std::uint32_t record_count;
  std::uint64_t base_sequence;  ///< Sequence of the first record. Assigned by the journal.
  std::uint64_t segment_id;     ///< Segment it was written to: a stale block is recognized by it.
  std::uint32_t block_size;     ///< Header to the last record header, without padding after it.
  std::uint32_t payload_offset;
  std::uint32_t payload_size;
  std::uint32_t attrs_offset;
  std::uint32_t attrs_size;
  std::uint32_t records_offset;
  std::int64_t base_wall_us;  ///< Clocks when the batch was opened.
  std::int64_t base_mono_us;
  BootId boot_id;
  std::uint16_t flags;  ///< 1: wall clock was not trusted; 2: `records_check` is there.
  std::uint8_t level;
  std::array<std::uint8_t, 5> reserved;
  /// Ties the records to this header: what an older block left at their place has other checksums.
  std::uint64_t records_check;
  std::array<std::uint8_t, 24> reserved_too;
};
inline constexpr std::uint16_t block_has_records_check = 2;
static_assert(sizeof(BlockHeader) == 128 && std::is_trivially_copyable_v<BlockHeader>);

/// Read access to a sealed block's bytes. Does not own them.
class BlockView {
 public:
  /// Checks the header (magic, version, CRC) and that every offset and record lies inside `bytes`;
  /// nothing when not. Record CRCs are not checked; see record_intact().
  [[nodiscard]] static std::optional<BlockView> parse(std::span<const std::byte> bytes) noexcept;
  /// For bytes that were just sealed by this process: no checks.
  [[nodiscard]] static BlockView trusted(std::span<const std::byte> bytes) noexcept {
    return BlockView(bytes);
  }

  [[nodiscard]] const BlockHeader& header() const noexcept { return *header_; }
  [[nodiscard]] std::uint32_t size() const noexcept { return header_->record_count; }
  [[nodiscard]] RecordView record(std::uint32_t index) const noexcept {
    const auto* base = reinterpret_cast<const char*>(bytes_.data());
    const auto* records = reinterpret_cast<const RecordHeader*>(base + header_->records_offset);
    const RecordHeader& r = records[index];
    const auto received = from_us<MonoTime>(header_->base_mono_us + r.received_delta_us);
    const std::uint64_t sequence = header_->base_sequence == 0 ? 0 : header_->base_sequence + index;
    return {r,
            {base + header_->attrs_offset + r.attrs_offset, r.attrs_size},
            {base + header_->payload_offset + r.payload_offset, r.payload_size},
            sequence,
            received};
  }
  [[nodiscard]] bool record_intact(std::uint32_t index) const noexcept;
  /// Whether these records were sealed with this header; true where that was not noted.
  [[nodiscard]] bool records_belong() const noexcept;
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept {
    return bytes_.first(header_->block_size);
  }

 private:
  explicit BlockView(std::span<const std::byte> bytes) noexcept
      : bytes_(bytes), header_(reinterpret_cast<const BlockHeader*>(bytes.data())) {}
  std::span<const std::byte> bytes_;
  const BlockHeader* header_;
};

[[nodiscard]] std::uint32_t record_crc(const RecordHeader& header, std::string_view attrs,
                                       std::string_view payload) noexcept;
/// Fills in the checksums of records whose payloads and attributes stand at these places.
void fill_record_crcs(std::span<RecordHeader> records, const char* attrs,
                      const char* payloads) noexcept;
/// Of the checksums of all records, in their order.
[[nodiscard]] std::uint64_t records_check(std::span<const RecordHeader> records) noexcept;
[[nodiscard]] std::uint32_t block_header_crc(const BlockHeader& header) noexcept;

}  // namespace tocsin::flow
