#include "io/posix/posix_io.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include "io/posix/clocks.hpp"
#include "io/posix/files.hpp"

namespace tocsin::io::posix {
namespace {

/// The kernel's waits count CLOCK_MONOTONIC, which stands still while the machine is suspended, and
/// our deadlines do not. Waiting in slices bounds how late a deadline is noticed after a resume.
constexpr Duration wait_slice_max = std::chrono::seconds{30};

}  // namespace

FileId FileTable::adopt(UniqueFd fd) {
  const auto unused =
      std::find_if(files_.begin(), files_.end(), [](const File& file) { return !file.fd.valid(); });
  const auto slot = static_cast<std::uint32_t>(unused - files_.begin());
  if (unused == files_.end()) files_.emplace_back();
  files_[slot].fd = std::move(fd);
  return FileId{slot};
}

void FileTable::close(FileId id) {
  if (id.slot >= files_.size()) return;
  assert(files_[id.slot].operations == 0);
  files_[id.slot].fd.reset();
}

int FileTable::descriptor(FileId id) const {
  assert(id.slot < files_.size() && files_[id.slot].fd.valid());
  return files_[id.slot].fd.get();
}

void FileTable::begin_operation(FileId id) {
  assert(id.slot < files_.size() && files_[id.slot].fd.valid());
  ++files_[id.slot].operations;
}

void FileTable::end_operation(FileId id) {
  assert(id.slot < files_.size() && files_[id.slot].operations > 0);
  --files_[id.slot].operations;
}

PosixIo::PosixIo() : boot_id_(read_boot_id()) {}

Result<FileId, Errno> PosixIo::open(const std::string& path, OpenMode mode) {
  auto fd = open_file(path, mode);
  if (!fd) return Unexpected{fd.error()};
  return files_.adopt(std::move(*fd));
}

void PosixIo::close_file(FileId file) { files_.close(file); }

void PosixIo::write_directly(FileId file) { set_direct(files_.descriptor(file)); }

Result<std::size_t, Errno> PosixIo::read(FileId file, std::span<std::byte> into,
                                         std::uint64_t offset) {
  return read_file(files_.descriptor(file), into, offset);
}

Result<std::uint64_t, Errno> PosixIo::size(FileId file) {
  return file_size(files_.descriptor(file));
}

Result<void, Errno> PosixIo::truncate(FileId file, std::uint64_t size) {
  return truncate_file(files_.descriptor(file), size);
}

Result<void, Errno> PosixIo::allocate(FileId file, std::uint64_t size) {
  return allocate_file(files_.descriptor(file), size);
}

Result<void, Errno> PosixIo::sync(FileId file) { return sync_file(files_.descriptor(file)); }

Result<void, Errno> PosixIo::make_directories(const std::string& path) {
  return posix::make_directories(path);
}

Result<void, Errno> PosixIo::sync_directory(const std::string& path) {
  return posix::sync_directory(path);
}

Result<std::vector<std::string>, Errno> PosixIo::list(const std::string& directory) {
  return list_directory(directory);
}

Result<void, Errno> PosixIo::rename(const std::string& from, const std::string& to) {
  return rename_file(from, to);
}

Result<void, Errno> PosixIo::remove(const std::string& path) { return remove_file(path); }

Result<void, Errno> PosixIo::lock(const std::string& path) {
  auto held = lock_file(path);
  if (!held) return Unexpected{held.error()};
  locks_.push_back(std::move(*held));
  return {};
}

MonoTime PosixIo::now() const noexcept { return mono_now(); }
WallTime PosixIo::wall_now() const noexcept { return posix::wall_now(); }
bool PosixIo::wall_trusted() const noexcept { return posix::wall_trusted(); }
void PosixIo::random(std::span<std::byte> into) noexcept { fill_random(into); }

Duration PosixIo::wait_slice(MonoTime deadline) const noexcept {
  if (deadline == MonoTime::min()) return Duration::zero();
  const MonoTime time = mono_now();
  if (deadline <= time) return Duration::zero();
  return std::min(deadline - time, wait_slice_max);
}

}  // namespace tocsin::io::posix
