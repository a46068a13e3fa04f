#pragma once
// What every Io on a real kernel shares: file handles, blocking file calls, clocks.

#include <memory>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "io/io.hpp"

namespace tocsin::io::posix {

/// Open files by handle, each with the number of its operations in flight.
class FileTable {
 public:
  [[nodiscard]] FileId adopt(UniqueFd fd);
  void close(FileId id);
  [[nodiscard]] int descriptor(FileId id) const;
  void begin_operation(FileId id);
  void end_operation(FileId id);

 private:
  struct File {
    UniqueFd fd;
    unsigned operations = 0;
  };
  std::vector<File> files_;
};

class PosixIo : public Io {
 public:
  Result<FileId, Errno> open(const std::string& path, OpenMode mode) final;
  void close_file(FileId file) final;
  void write_directly(FileId file) final;
  Result<std::size_t, Errno> read(FileId file, std::span<std::byte> into,
                                  std::uint64_t offset) final;
  Result<std::uint64_t, Errno> size(FileId file) final;
  Result<void, Errno> truncate(FileId file, std::uint64_t size) final;
  Result<void, Errno> allocate(FileId file, std::uint64_t size) final;
  Result<void, Errno> sync(FileId file) final;
  Result<void, Errno> make_directories(const std::string& path) final;
  Result<void, Errno> sync_directory(const std::string& path) final;
  Result<std::vector<std::string>, Errno> list(const std::string& directory) final;
  Result<void, Errno> rename(const std::string& from, const std::string& to) final;
  Result<void, Errno> remove(const std::string& path) final;
  Result<void, Errno> lock(const std::string& path) final;

  [[nodiscard]] MonoTime now() const noexcept final;
  [[nodiscard]] WallTime wall_now() const noexcept final;
  [[nodiscard]] bool wall_trusted() const noexcept final;
  [[nodiscard]] BootId boot_id() const noexcept final { return boot_id_; }
  void random(std::span<std::byte> into) noexcept final;

 protected:
  PosixIo();
  /// How long one call may wait for `deadline`; zero when it has passed.
  [[nodiscard]] Duration wait_slice(MonoTime deadline) const noexcept;
  [[nodiscard]] FileTable& files() noexcept { return files_; }

 private:
  FileTable files_;
  std::vector<UniqueFd> locks_;
  BootId boot_id_;
};

}  // namespace tocsin::io::posix
