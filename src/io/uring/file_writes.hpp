#pragma once
// The file writes of one UringIo, which run in the ring.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "io/io.hpp"
#include "io/posix/posix_io.hpp"
#include "io/uring/op.hpp"

struct io_uring_sqe;

namespace tocsin::io::uring {

class Ring;

class FileWrites {
 public:
  FileWrites(Ring& ring, posix::FileTable& files) noexcept : ring_(ring), files_(files) {}

  /// Writes all of `bytes`, then syncs if `sync`. The sync's result counts only when it came after
  /// the last byte; a failed sync is reported, never repeated (see posix::sync_file).
  void write(FileId id, std::span<const std::byte> bytes, std::uint64_t offset, bool sync,
             FileHandler& handler);
  /// Writes all pieces, as many as one operation can carry at a time, then syncs.
  void gather(FileId id, std::span<const Piece> pieces, std::uint64_t offset, FileHandler& handler);
  void sync_directory(const std::string& path, FileHandler& handler);
  void complete(const Completion& completion);

 private:
  struct Write {
    FileHandler* handler = nullptr;
    std::span<const std::byte> rest;  // First this,
    std::span<const Piece> pieces;    // then these.
    std::uint64_t offset = 0;
    FileId file;
    UniqueFd directory;  // Valid: only this is synced.
    Errno open_error = 0;
    bool sync = false;
    bool buffered = false;  // Tried again through the page cache.
    unsigned completions_missing = 0;
    std::int32_t write_result = 0;
    std::int32_t sync_result = 0;
  };

  [[nodiscard]] std::uint32_t take_slot(FileHandler& handler);
  [[nodiscard]] Write& begin(FileId id, std::uint64_t offset, bool sync, std::uint32_t slot);
  void submit(std::uint32_t slot);
  /// Whether the operation carries all that is left.
  [[nodiscard]] bool prepare_write(io_uring_sqe* sqe, const Write& write) const;
  void settle(std::uint32_t slot);
  /// Steps over what was written.
  static void advance(Write& write, std::size_t written) noexcept;
  void finish(std::uint32_t slot, Errno error);

  Ring& ring_;
  posix::FileTable& files_;
  std::vector<Write> writes_;
  std::vector<std::uint32_t> writes_free_;
};

}  // namespace tocsin::io::uring
