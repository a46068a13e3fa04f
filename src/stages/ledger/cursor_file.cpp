#include "stages/ledger/cursor_file.hpp"

#include <cassert>
#include <cstring>
#include <optional>

#include <fmt/format.h>

#include "base/crc32c.hpp"
#include "base/errno_text.hpp"

namespace tocsin::ledger {
namespace {

using SlotBytes = std::span<const std::byte>;

std::uint32_t slot_crc(SlotBytes bytes) noexcept {
  constexpr std::size_t at = offsetof(CursorSlot, crc);
  constexpr std::array<std::byte, sizeof(CursorSlot::crc)> no_crc{};
  return crc32c(crc32c(crc32c(0, bytes.first(at)), no_crc), bytes.subspan(at + no_crc.size()));
}

// A later version keeps magic, version, size and crc where they are, so an intact slot of one can
// be told from a damaged one.
std::optional<CursorSlot> parse(SlotBytes bytes) noexcept {
  if (bytes.size() < cursor_slot_size) return std::nullopt;
  CursorSlot slot;
  std::memcpy(&slot, bytes.data(), sizeof(slot));
  const bool intact = slot.magic == cursor_magic && slot.size == cursor_slot_size &&
                      slot.crc == slot_crc(bytes.first(cursor_slot_size));
  return intact ? std::optional{slot} : std::nullopt;
}

}  // namespace

CursorFile::CursorFile(io::Io& io, std::string directory, Listener& listener)
    : io_(io),
      directory_(std::move(directory)),
      path_(directory_ + "/cursor"),
      listener_(listener) {}

CursorFile::~CursorFile() {
  assert(!writing_);
  if (open_) io_.close_file(file_);
}

Result<void, std::string> CursorFile::open(const Log& log) {
  const auto file = io_.open(path_, io::OpenMode::create_or_open);
  if (!file) {
    return Unexpected{fmt::format("cannot open {}: {}", path_, errno_text(file.error()))};
  }
  file_ = *file;
  open_ = true;
  if (const auto synced = io_.sync_directory(directory_); !synced) {
    return Unexpected{fmt::format("cannot sync {}: {}", directory_, errno_text(synced.error()))};
  }
  return read_slots(log);
}

Result<void, std::string> CursorFile::read_slots(const Log& log) {
  alignas(4096) std::array<std::byte, 4096> bytes{};
  const auto got = io_.read(file_, bytes, 0);
  if (!got) {
    return Unexpected{fmt::format("cannot read {}: {}", path_, errno_text(got.error()))};
  }
  bool any = false;
  for (std::uint32_t i = 0; i < 2; ++i) {
    const std::size_t at = i * cursor_slot_size;
    if (*got < at + cursor_slot_size) break;
    const auto slot = parse(std::span<const std::byte>{bytes}.subspan(at, cursor_slot_size));
    if (!slot) continue;
    if (slot->version > cursor_version) {
      return Unexpected{fmt::format(
          "{} has version {}, and this program knows version {}: a newer Tocsin wrote it. Nothing "
          "was changed; start that version again",
          path_, slot->version, cursor_version)};
    }
    if (any && slot->generation < generation_) continue;
    any = true;
    generation_ = slot->generation;
    value_ = slot->cursor;
    good_slot_ = i;
  }
  // An empty file, or one whose very first write was torn, is how a first start may end.
  if (!any && *got > 0) {
    log->error("{} is damaged: events that are still in the journal are processed again", path_);
  }
  return {};
}

void CursorFile::write(std::uint64_t cursor) {
  assert(open_ && !writing_);
  writing_ = true;
  pending_ = cursor;
  buffer_.fill(std::byte{0});
  CursorSlot slot{.magic = cursor_magic,
                  .version = cursor_version,
                  .size = cursor_slot_size,
                  .crc = 0,
                  .reserved = 0,
                  .generation = generation_ + 1,
                  .cursor = cursor};
  std::memcpy(buffer_.data(), &slot, sizeof(slot));
  slot.crc = slot_crc(buffer_);
  std::memcpy(buffer_.data(), &slot, sizeof(slot));
  io_.write_and_sync(file_, buffer_, (1 - good_slot_) * cursor_slot_size, *this);
}

void CursorFile::on_file_done(io::Errno error) noexcept {
  writing_ = false;
  // After a failure the slot's content is unknown, so the next write goes to the same slot again.
  if (error == 0) {
    value_ = pending_;
    ++generation_;
    good_slot_ = 1 - good_slot_;
  }
  listener_.on_cursor_written(error);
}

}  // namespace tocsin::ledger
