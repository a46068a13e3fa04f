#include "io/posix/files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <string_view>

namespace tocsin::io::posix {
namespace {

constexpr mode_t file_mode = 0640;
constexpr mode_t directory_mode = 0750;
/// The kernel caps one write just below 2 GiB.
constexpr std::size_t vector_bytes_max = std::size_t{1} << 30U;

int open_flags(OpenMode mode) noexcept {
  switch (mode) {
    case OpenMode::read:
      return O_RDONLY;
    case OpenMode::write_existing:
      return O_RDWR;
    case OpenMode::create_new:
      return O_RDWR | O_CREAT | O_EXCL;
    case OpenMode::create_or_open:
      return O_RDWR | O_CREAT;
  }
  return O_RDONLY;
}

/// Repeats a call that a signal interrupted.
template <class Call>
auto uninterrupted(Call call) noexcept {
  for (;;) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

Result<void, Errno> checked(int result) {
  if (result < 0) return Unexpected{errno};
  return {};
}

Result<UniqueFd, Errno> open_path(const std::string& path, int flags) {
  UniqueFd fd{uninterrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC, file_mode); })};
  if (!fd.valid()) return Unexpected{errno};
  return fd;
}

struct DirectoryCloser {
  void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};

}  // namespace

Result<UniqueFd, Errno> open_file(const std::string& path, OpenMode mode) {
  return open_path(path, open_flags(mode));
}

Result<std::size_t, Errno> read_file(int fd, std::span<std::byte> into, std::uint64_t offset) {
  std::size_t done = 0;
  while (done < into.size()) {
    const auto rest = into.subspan(done);
    const ssize_t n = uninterrupted(
        [&] { return ::pread(fd, rest.data(), rest.size(), static_cast<off_t>(offset + done)); });
    if (n < 0) return Unexpected{errno};
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  return done;
}

Result<void, Errno> write_file(int fd, std::span<const std::byte> bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t n = uninterrupted(
        [&] { return ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
    if (n < 0 && errno == EINVAL && clear_direct(fd)) continue;
    if (n < 0) return Unexpected{errno};
    if (n == 0) return Unexpected{EIO};
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return {};
}

const iovec* as_iovecs(const Piece* pieces) noexcept {
  static_assert(sizeof(Piece) == sizeof(iovec));
  static_assert(alignof(Piece) == alignof(iovec));
  static_assert(offsetof(Piece, size) == offsetof(iovec, iov_len));
  return reinterpret_cast<const iovec*>(pieces);
}

std::size_t vector_size(std::span<const Piece> pieces) noexcept {
  std::size_t bytes = 0;
  std::size_t count = 0;
  while (count < std::min<std::size_t>(pieces.size(), IOV_MAX)) {
    bytes += pieces[count].size;
    if (count > 0 && bytes > vector_bytes_max) break;
    ++count;
  }
  return count;
}

Result<void, Errno> write_pieces(int fd, std::span<const Piece> pieces, std::uint64_t offset) {
  while (!pieces.empty()) {
    const std::size_t count = vector_size(pieces);
    const ssize_t n = uninterrupted([&] {
      return ::pwritev(fd, as_iovecs(pieces.data()), static_cast<int>(count),
                       static_cast<off_t>(offset));
    });
    if (n < 0 && errno == EINVAL && clear_direct(fd)) continue;
    if (n < 0) return Unexpected{errno};
    auto left = static_cast<std::size_t>(n);
    offset += left;
    std::size_t whole = 0;
    for (; whole < count && left >= pieces[whole].size; ++whole) left -= pieces[whole].size;
    if (n == 0 && whole == 0) return Unexpected{EIO};
    pieces = pieces.subspan(whole);
    if (left == 0) continue;
    // Cut within a piece: its rest alone, because the pieces are the caller's.
    const std::span<const std::byte> rest{pieces[0].data + left, pieces[0].size - left};
    if (const auto written = write_file(fd, rest, offset); !written) return written;
    offset += rest.size();
    pieces = pieces.subspan(1);
  }
  return {};
}

Result<std::uint64_t, Errno> file_size(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return Unexpected{errno};
  return static_cast<std::uint64_t>(status.st_size);
}

Result<void, Errno> truncate_file(int fd, std::uint64_t size) {
  return checked(uninterrupted([&] { return ::ftruncate(fd, static_cast<off_t>(size)); }));
}

Result<void, Errno> allocate_file(int fd, std::uint64_t size) {
  return checked(uninterrupted([&] { return ::fallocate(fd, 0, 0, static_cast<off_t>(size)); }));
}

Result<void, Errno> sync_file(int fd) { return checked(::fdatasync(fd)); }

void set_direct(int fd) noexcept {
  // Elsewhere such a write may block whoever submits it (FUSE does), or is worth nothing.
  constexpr std::array<std::uint32_t, 3> known{0xEF53, 0x58465342, 0xF2F52010};  // ext4, XFS, F2FS.
  struct statfs system {};
  if (::fstatfs(fd, &system) != 0) return;
  if (std::ranges::find(known, static_cast<std::uint32_t>(system.f_type)) == known.end()) return;
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags >= 0) static_cast<void>(::fcntl(fd, F_SETFL, flags | O_DIRECT));
}

bool clear_direct(int fd) noexcept {
  const int flags = ::fcntl(fd, F_GETFL);
  return flags >= 0 && (flags & O_DIRECT) != 0 && ::fcntl(fd, F_SETFL, flags & ~O_DIRECT) == 0;
}

Result<void, Errno> make_directories(const std::string& path) {
  if (path.empty()) return Unexpected{ENOENT};
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    if (::mkdir(part.c_str(), directory_mode) != 0) {
      const Errno error = errno;
      struct stat status {};
      // A parent that exists may also answer EACCES or EROFS to mkdir.
      if (::stat(part.c_str(), &status) != 0) return Unexpected{error};
      if (!S_ISDIR(status.st_mode)) return Unexpected{ENOTDIR};
    }
    if (end == std::string::npos) return {};
  }
}

Result<UniqueFd, Errno> open_directory(const std::string& path) {
  return open_path(path, O_RDONLY | O_DIRECTORY);
}

Result<void, Errno> sync_directory(const std::string& path) {
  const auto fd = open_directory(path);
  if (!fd) return Unexpected{fd.error()};
  return checked(::fsync((*fd).get()));
}

Result<std::vector<std::string>, Errno> list_directory(const std::string& path) {
  const std::unique_ptr<DIR, DirectoryCloser> directory{::opendir(path.c_str())};
  if (!directory) return Unexpected{errno};
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* const entry = ::readdir(directory.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) return Unexpected{errno};
  std::sort(names.begin(), names.end());
  return names;
}

Result<void, Errno> rename_file(const std::string& from, const std::string& to) {
  return checked(::rename(from.c_str(), to.c_str()));
}

Result<void, Errno> remove_file(const std::string& path) { return checked(::unlink(path.c_str())); }

Result<UniqueFd, Errno> lock_file(const std::string& path) {
  auto fd = open_path(path, O_RDWR | O_CREAT);
  if (!fd) return fd;
  const int raw = fd->get();
  if (uninterrupted([&] { return ::flock(raw, LOCK_EX | LOCK_NB); }) != 0) {
    return Unexpected{errno};
  }
  return fd;
}

}  // namespace tocsin::io::posix
