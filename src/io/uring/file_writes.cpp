#include "io/uring/file_writes.hpp"

#include <liburing.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <utility>

#include "io/posix/files.hpp"
#include "io/uring/ring.hpp"

namespace tocsin::io::uring {
namespace {

/// One operation carries a 32-bit length, and the kernel caps it just below 2 GiB.
constexpr std::size_t write_size_max = std::size_t{1} << 30U;

}  // namespace

void FileWrites::write(FileId id, std::span<const std::byte> bytes, std::uint64_t offset, bool sync,
                       FileHandler& handler) {
  files_.begin_operation(id);
  if (writes_free_.empty()) {
    writes_free_.push_back(static_cast<std::uint32_t>(writes_.size()));
    writes_.emplace_back();
  }
  const std::uint32_t slot = writes_free_.back();
  writes_free_.pop_back();
  writes_[slot] = Write{};
  writes_[slot].handler = &handler;
  writes_[slot].rest = bytes;
  writes_[slot].offset = offset;
  writes_[slot].file = id;
  writes_[slot].sync = sync;
  submit(slot);
}

void FileWrites::submit(std::uint32_t slot) {
  Write& write = writes_[slot];
  const int fd = files_.descriptor(write.file);
  const auto length = static_cast<unsigned>(std::min(write.rest.size(), write_size_max));
  ring_.reserve(2);
  io_uring_sqe* const sqe = ring_.next_sqe({OpKind::file_write, 0, slot});
  io_uring_prep_write(sqe, fd, write.rest.data(), length, write.offset);
  write.completions_missing = 1;
  if (!write.sync) return;
  // The kernel breaks the link, and cancels the sync, when the write fails or is short.
  sqe->flags |= IOSQE_IO_LINK;
  io_uring_sqe* const sync = ring_.next_sqe({OpKind::file_sync, 0, slot});
  io_uring_prep_fsync(sync, fd, IORING_FSYNC_DATASYNC);
  write.completions_missing = 2;
}

void FileWrites::complete(const Completion& completion) {
  Write& write = writes_[completion.tag.slot];
  assert(write.completions_missing > 0);
  if (completion.tag.kind == OpKind::file_write) {
    write.write_result = completion.result;
  } else {
    write.sync_result = completion.result;
  }
  if (--write.completions_missing == 0) settle(completion.tag.slot);
}

void FileWrites::settle(std::uint32_t slot) {
  Write& write = writes_[slot];
  const bool interrupted = write.write_result == -EINTR || write.write_result == -EAGAIN;
  if (write.write_result == -EINVAL && !std::exchange(write.buffered, true)) {
    // Also when it changes nothing: another write that was in flight may have done it.
    static_cast<void>(posix::clear_direct(files_.descriptor(write.file)));
    submit(slot);
    return;
  }
  if (write.write_result < 0 && !interrupted) {
    finish(slot, -write.write_result);
    return;
  }
  // A sync that ran and failed is final, even when bytes are missing still.
  const bool sync_ran = write.sync && write.sync_result != -ECANCELED;
  if (sync_ran && write.sync_result < 0) {
    finish(slot, -write.sync_result);
    return;
  }
  const auto written = interrupted ? 0 : static_cast<std::size_t>(write.write_result);
  assert(written <= write.rest.size());
  if (!interrupted && written == 0 && !write.rest.empty()) {
    finish(slot, EIO);  // Neither progress nor an error: do not spin.
    return;
  }
  write.rest = write.rest.subspan(written);
  write.offset += written;
  if (interrupted || !write.rest.empty()) {
    submit(slot);
    return;
  }
  finish(slot, write.sync_result < 0 ? -write.sync_result : 0);
}

void FileWrites::finish(std::uint32_t slot, Errno error) {
  const Write& write = writes_[slot];
  FileHandler* const handler = write.handler;
  files_.end_operation(write.file);
  writes_free_.push_back(slot);
  handler->on_file_done(error);
}

}  // namespace tocsin::io::uring
