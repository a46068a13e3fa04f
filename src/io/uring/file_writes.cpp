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

std::uint32_t FileWrites::take_slot(FileHandler& handler) {
  if (writes_free_.empty()) {
    writes_free_.push_back(static_cast<std::uint32_t>(writes_.size()));
    writes_.emplace_back();
  }
  const std::uint32_t slot = writes_free_.back();
  writes_free_.pop_back();
  writes_[slot] = Write{};
  writes_[slot].handler = &handler;
  return slot;
}

FileWrites::Write& FileWrites::begin(FileId id, std::uint64_t offset, bool sync,
                                     std::uint32_t slot) {
  files_.begin_operation(id);
  Write& write = writes_[slot];
  write.offset = offset;
  write.file = id;
  write.sync = sync;
  return write;
}

void FileWrites::write(FileId id, std::span<const std::byte> bytes, std::uint64_t offset, bool sync,
                       FileHandler& handler) {
  const std::uint32_t slot = take_slot(handler);
  begin(id, offset, sync, slot).rest = bytes;
  submit(slot);
}

void FileWrites::gather(FileId id, std::span<const Piece> pieces, std::uint64_t offset,
                        FileHandler& handler) {
  const std::uint32_t slot = take_slot(handler);
  begin(id, offset, true, slot).pieces = pieces;
  submit(slot);
}

void FileWrites::sync_directory(const std::string& path, FileHandler& handler) {
  const std::uint32_t slot = take_slot(handler);
  Write& write = writes_[slot];
  auto directory = posix::open_directory(path);
  ring_.reserve(1);
  io_uring_sqe* const sqe = ring_.next_sqe({OpKind::file_sync, 0, slot});
  write.completions_missing = 1;
  if (directory) {
    write.directory = std::move(*directory);
    io_uring_prep_fsync(sqe, write.directory.get(), 0);
  } else {
    // The answer comes from poll(), as any other.
    write.open_error = directory.error();
    io_uring_prep_nop(sqe);
  }
}

bool FileWrites::prepare_write(io_uring_sqe* sqe, const Write& write) const {
  const int fd = files_.descriptor(write.file);
  if (!write.rest.empty() || write.pieces.empty()) {
    const std::size_t length = std::min(write.rest.size(), write_size_max);
    io_uring_prep_write(sqe, fd, write.rest.data(), static_cast<unsigned>(length), write.offset);
    return length == write.rest.size() && write.pieces.empty();
  }
  const std::size_t count = posix::vector_size(write.pieces);
  io_uring_prep_writev(sqe, fd, posix::as_iovecs(write.pieces.data()), static_cast<unsigned>(count),
                       write.offset);
  return count == write.pieces.size();
}

void FileWrites::submit(std::uint32_t slot) {
  Write& write = writes_[slot];
  ring_.reserve(2);
  io_uring_sqe* const sqe = ring_.next_sqe({OpKind::file_write, 0, slot});
  const bool last = prepare_write(sqe, write);
  write.completions_missing = 1;
  write.sync_result = -ECANCELED;
  if (!write.sync || !last) return;
  // The kernel breaks the link, and cancels the sync, when the write fails or is short.
  sqe->flags |= IOSQE_IO_LINK;
  io_uring_sqe* const sync = ring_.next_sqe({OpKind::file_sync, 0, slot});
  io_uring_prep_fsync(sync, files_.descriptor(write.file), IORING_FSYNC_DATASYNC);
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
  if (write.directory.valid() || write.open_error != 0) {
    finish(slot, write.open_error != 0 ? write.open_error : -write.sync_result);
    return;
  }
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
  const bool sync_canceled = write.sync_result == -ECANCELED;
  if (!sync_canceled && write.sync_result < 0) {
    finish(slot, -write.sync_result);
    return;
  }
  const auto written = interrupted ? 0 : static_cast<std::size_t>(write.write_result);
  advance(write, written);
  const bool complete = write.rest.empty() && write.pieces.empty();
  if (!interrupted && written == 0 && !complete) {
    finish(slot, EIO);  // Neither progress nor an error: do not spin.
    return;
  }
  if (interrupted || !complete) {
    submit(slot);
    return;
  }
  finish(slot, write.sync && sync_canceled ? ECANCELED : 0);
}

void FileWrites::advance(Write& write, std::size_t written) noexcept {
  write.offset += written;
  const std::size_t of_rest = std::min(written, write.rest.size());
  write.rest = write.rest.subspan(of_rest);
  written -= of_rest;
  if (!write.rest.empty()) return;
  while (!write.pieces.empty() && written >= write.pieces[0].size) {
    written -= write.pieces[0].size;
    write.pieces = write.pieces.subspan(1);
  }
  if (written == 0) return;
  // Cut within a piece. The pieces are the caller's, so its rest becomes a write of its own.
  const Piece& cut = write.pieces[0];
  write.rest = {cut.data + written, cut.size - written};
  write.pieces = write.pieces.subspan(1);
}

void FileWrites::finish(std::uint32_t slot, Errno error) {
  Write& write = writes_[slot];
  FileHandler* const handler = write.handler;
  if (write.file != FileId{}) files_.end_operation(write.file);
  write.directory = {};
  writes_free_.push_back(slot);
  handler->on_file_done(error);
}

}  // namespace tocsin::io::uring
