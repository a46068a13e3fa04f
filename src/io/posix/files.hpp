#pragma once
// Blocking file calls by plain POSIX: what every backend that talks to a real kernel shares. For
// start, segment roll and small files, and for threads that may block; never on a reactor's path.
// Errors are positive errno values.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "io/io.hpp"

struct iovec;

namespace tocsin::io::posix {

/// Files are created with mode 0640 less the umask, and close on exec.
[[nodiscard]] Result<UniqueFd, Errno> open_file(const std::string& path, OpenMode mode);
/// Reads until `into` is full or the file ends.
[[nodiscard]] Result<std::size_t, Errno> read_file(int fd, std::span<std::byte> into,
                                                   std::uint64_t offset);
/// Writes all of `bytes`. EIO when the file takes none and tells no error.
[[nodiscard]] Result<void, Errno> write_file(int fd, std::span<const std::byte> bytes,
                                             std::uint64_t offset);
/// Writes all of all pieces, one behind the other.
[[nodiscard]] Result<void, Errno> write_pieces(int fd, std::span<const Piece> pieces,
                                               std::uint64_t offset);
/// A piece is laid out as the kernel wants it.
[[nodiscard]] const iovec* as_iovecs(const Piece* pieces) noexcept;
/// How many of `pieces` one vectored write may carry.
[[nodiscard]] std::size_t vector_size(std::span<const Piece> pieces) noexcept;
[[nodiscard]] Result<std::uint64_t, Errno> file_size(int fd);
[[nodiscard]] Result<void, Errno> truncate_file(int fd, std::uint64_t size);
/// Unlike posix_fallocate it never falls back to writing.
[[nodiscard]] Result<void, Errno> allocate_file(int fd, std::uint64_t size);
/// Makes the data and the size durable (fdatasync). Never retried: after a failed sync the kernel
/// may have dropped the dirty pages, and a second call would report success.
[[nodiscard]] Result<void, Errno> sync_file(int fd);
/// Turns O_DIRECT on, on file systems that are known to be good at it.
void set_direct(int fd) noexcept;
/// Turns O_DIRECT off; false when it was off. For a write that failed with EINVAL: some file
/// systems take the flag and refuse the write, and a short write leaves an odd rest.
[[nodiscard]] bool clear_direct(int fd) noexcept;
/// Like `mkdir -p`.
[[nodiscard]] Result<void, Errno> make_directories(const std::string& path);
/// Makes creations, renames and removals in the directory durable.
[[nodiscard]] Result<void, Errno> sync_directory(const std::string& path);
/// For a sync of its own.
[[nodiscard]] Result<UniqueFd, Errno> open_directory(const std::string& path);
/// Names of the entries, sorted, without "." and "..".
[[nodiscard]] Result<std::vector<std::string>, Errno> list_directory(const std::string& path);
[[nodiscard]] Result<void, Errno> rename_file(const std::string& from, const std::string& to);
[[nodiscard]] Result<void, Errno> remove_file(const std::string& path);
/// An exclusive flock() on `path`, held as long as the descriptor lives. flock belongs to the open
/// file, not to the process, so that a second Io of the same process conflicts too.
[[nodiscard]] Result<UniqueFd, Errno> lock_file(const std::string& path);

}  // namespace tocsin::io::posix
