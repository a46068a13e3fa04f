#pragma once
// The durable cursor: one number that survives a torn write.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include <tocsin/result.hpp>

#include "base/log.hpp"
#include "io/io.hpp"

namespace tocsin::ledger {

inline constexpr std::size_t cursor_slot_size = 512;
inline constexpr std::uint32_t cursor_magic = 0x31435354;  // "TSC1" in the file.
inline constexpr std::uint16_t cursor_version = 1;

/// One of the file's two slots; zeros follow up to cursor_slot_size. Little endian.
struct CursorSlot {
  std::uint32_t magic;
  std::uint16_t version;
  std::uint16_t size;  ///< Of the slot.
  std::uint32_t crc;   ///< CRC32C of the whole slot with crc = 0.
  std::uint32_t reserved;
  std::uint64_t generation;  ///< The valid slot with the higher one counts.
  std::uint64_t cursor;
};
static_assert(sizeof(CursorSlot) == 32);

/// Written alternately: whatever happens to one write, the other slot holds the value before it.
/// Writing is asynchronous; on the thread of its Io.
class CursorFile final : io::FileHandler {
 public:
  class Listener {
   public:
    virtual void on_cursor_written(io::Errno error) noexcept = 0;

   protected:
    ~Listener() = default;
  };

  CursorFile(io::Io& io, std::string directory, Listener& listener);
  CursorFile(const CursorFile&) = delete;
  CursorFile& operator=(const CursorFile&) = delete;
  ~CursorFile();

  /// Reads, creating the file when it is missing. Blocking. A damaged file is reported and counts
  /// as 0 (events are processed again, which creates nothing twice); a newer version is an error.
  [[nodiscard]] Result<void, std::string> open(const Log& log);
  /// The last value known to be on the disk.
  [[nodiscard]] std::uint64_t value() const noexcept { return value_; }
  [[nodiscard]] bool writing() const noexcept { return writing_; }
  /// Not while writing().
  void write(std::uint64_t cursor);

 private:
  void on_file_done(io::Errno error) noexcept override;
  [[nodiscard]] Result<void, std::string> read_slots(const Log& log);

  io::Io& io_;
  const std::string directory_;
  const std::string path_;
  Listener& listener_;
  io::FileId file_;
  bool open_ = false;
  bool writing_ = false;
  std::uint64_t value_ = 0;
  std::uint64_t generation_ = 0;
  std::uint32_t good_slot_ = 1;
  std::uint64_t pending_ = 0;
  // Aligned as direct I/O wants it.
  alignas(4096) std::array<std::byte, cursor_slot_size> buffer_{};
};

}  // namespace tocsin::ledger
