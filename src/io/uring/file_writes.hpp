#pragma once
// The file writes of one UringIo, which run in the ring.

#include <cstdint>
#include <span>
#include <vector>

#include "io/io.hpp"
#include "io/posix/posix_io.hpp"
#include "io/uring/op.hpp"

namespace tocsin::io::uring {

class Ring;

class FileWrites {
 public:
  FileWrites(Ring& ring, posix::FileTable& files) noexcept : ring_(ring), files_(files) {}

  /// Writes all of `bytes`, then syncs if `sync`. The sync's result counts only when it came after
  /// the last byte; a failed sync is reported, never repeated (see posix::sync_file).
  void write(FileId id, std::span<const std::byte> bytes, std::uint64_t offset, bool sync,
             FileHandler& handler);
  void complete(const Completion& completion);

 private:
  struct Write {
    FileHandler* handler = nullptr;
    std::span<const std::byte> rest;
    std::uint64_t offset = 0;
    FileId file;
    bool sync = false;
    bool buffered = false;  // Tried again through the page cache.
    unsigned completions_missing = 0;
    std::int32_t write_result = 0;
    std::int32_t sync_result = 0;
  };

  void submit(std::uint32_t slot);
  void settle(std::uint32_t slot);
  void finish(std::uint32_t slot, Errno error);

  Ring& ring_;
  posix::FileTable& files_;
  std::vector<Write> writes_;
  std::vector<std::uint32_t> writes_free_;
};

}  // namespace tocsin::io::uring
