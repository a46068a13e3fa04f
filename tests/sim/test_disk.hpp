#pragma once
// For tests: a disk that tells what is cached from what is durable, so that a power cut, a failed
// write or a failed sync can be placed at any operation and any byte.

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/still_io.hpp"

namespace tocsin::test {

using Bytes = std::vector<std::byte>;

struct CachedWrite {
  std::uint64_t offset;
  Bytes bytes;
};

struct Inode {
  Bytes cached;   // What reads see.
  Bytes durable;  // What a power cut leaves for sure.
  std::vector<CachedWrite> unsynced;
};
using Directory = std::map<std::string, std::shared_ptr<Inode>>;

/// What becomes of writes that were not synced when the power goes.
enum class Leftover : std::uint8_t { none, all, odd, even, last_cut };

/// What survives; the Ios of several "boots" share it.
struct Disk {
  Directory cached;
  Directory durable;
  std::uint64_t chance = 0;  ///< Of what Ios on it made of it so far.

  static void apply(Bytes& to, std::uint64_t offset, std::span<const std::byte> bytes) {
    const std::size_t end = static_cast<std::size_t>(offset) + bytes.size();
    if (to.size() < end) to.resize(end);
    std::copy(bytes.begin(), bytes.end(), to.begin() + static_cast<std::ptrdiff_t>(offset));
  }
  void power_cut(Leftover leftover, std::size_t cut_bytes = 0) {
    if (leftover == Leftover::none) cached = durable;
    durable = cached;
    for (auto& [name, inode] : cached) {
      for (std::size_t i = 0; i < inode->unsynced.size(); ++i) {
        std::span<const std::byte> bytes = inode->unsynced[i].bytes;
        const bool last = i + 1 == inode->unsynced.size();
        if (leftover == Leftover::none || (leftover == Leftover::odd && i % 2 == 0) ||
            (leftover == Leftover::even && i % 2 == 1)) {
          continue;
        }
        if (leftover == Leftover::last_cut && last) {
          bytes = bytes.first(std::min(cut_bytes, bytes.size()));
        }
        apply(inode->durable, inode->unsynced[i].offset, bytes);
      }
      inode->unsynced.clear();
      inode->cached = inode->durable;
    }
  }
};

struct Faults {
  static constexpr std::uint64_t never = UINT64_MAX;
  std::uint64_t fail_write = never;  ///< Ordinal of the data write that fails, from 0.
  std::uint64_t fail_sync = never;   ///< Ordinal of the sync (file or directory) that fails.
  std::uint64_t stop_at = never;     ///< Ordinal of the operation at which the power goes.
  io::Errno error = EIO;
  bool newest_first = false;  ///< Completions of one poll come in reverse.
};

class TestIo final : public testing::StillIo {
 public:
  explicit TestIo(Disk& disk, Faults faults = {}) : faults_(faults), disk_(disk) { wall = {}; }

  Faults faults_;
  std::uint64_t writes = 0;
  std::uint64_t syncs = 0;
  std::uint64_t operations = 0;
  bool full = false;  ///< Every new byte of a file is refused with ENOSPC.
  [[nodiscard]] bool dead() const noexcept { return operations > faults_.stop_at; }
  [[nodiscard]] bool idle() const noexcept { return pending_.empty() && lost_.empty(); }
  /// Ends with `error` what never completed because the power went.
  void abandon(io::Errno error) {
    for (const Operation& op : std::exchange(lost_, {})) op.handler->on_file_done(error);
  }

  void write(io::FileId file, std::span<const std::byte> bytes, std::uint64_t offset,
             io::FileHandler& handler) override {
    pending_.push_back({file, {bytes.begin(), bytes.end()}, offset, &handler, false, {}});
  }
  void write_and_sync(io::FileId file, std::span<const std::byte> bytes, std::uint64_t offset,
                      io::FileHandler& handler) override {
    pending_.push_back({file, {bytes.begin(), bytes.end()}, offset, &handler, true, {}});
  }
  void gather_and_sync(io::FileId file, std::span<const io::Piece> pieces, std::uint64_t offset,
                       io::FileHandler& handler) override {
    Bytes bytes;
    for (const io::Piece& piece : pieces) {
      bytes.insert(bytes.end(), piece.data, piece.data + piece.size);
    }
    pending_.push_back({file, std::move(bytes), offset, &handler, true, {}});
  }
  void begin_sync_directory(const std::string& path, io::FileHandler& handler) override {
    pending_.push_back({{}, {}, 0, &handler, true, path});
  }
  Result<io::FileId, io::Errno> open(const std::string& path, io::OpenMode mode) override {
    const auto found = disk_.cached.find(path);
    const bool exists = found != disk_.cached.end();
    const bool creates = mode == io::OpenMode::create_new || mode == io::OpenMode::create_or_open;
    if (mode == io::OpenMode::create_new && exists) return Unexpected{EEXIST};
    if (!exists && !creates) return Unexpected{ENOENT};
    if (!exists && !step()) return Unexpected{EIO};
    auto& inode = disk_.cached[path];
    if (!inode) inode = std::make_shared<Inode>();
    files_.push_back(inode);
    return io::FileId{static_cast<std::uint32_t>(files_.size() - 1)};
  }
  void close_file(io::FileId file) override { files_[file.slot].reset(); }
  Result<std::size_t, io::Errno> read(io::FileId file, std::span<std::byte> into,
                                      std::uint64_t offset) override {
    const Bytes& bytes = files_.at(file.slot)->cached;
    if (offset >= bytes.size()) return std::size_t{0};
    const std::size_t size = std::min(into.size(), bytes.size() - static_cast<std::size_t>(offset));
    std::memcpy(into.data(), bytes.data() + offset, size);
    return size;
  }
  Result<std::uint64_t, io::Errno> size(io::FileId file) override {
    return std::uint64_t{files_.at(file.slot)->cached.size()};
  }
  Result<void, io::Errno> truncate(io::FileId file, std::uint64_t size) override {
    if (!step()) return Unexpected{EIO};
    files_.at(file.slot)->cached.resize(static_cast<std::size_t>(size));
    return {};
  }
  Result<void, io::Errno> allocate(io::FileId file, std::uint64_t size) override {
    if (!step()) return Unexpected{EIO};
    auto& cached = files_.at(file.slot)->cached;
    if (full && size > cached.size()) return Unexpected{ENOSPC};
    cached.resize(std::max(cached.size(), static_cast<std::size_t>(size)));
    return {};
  }
  Result<void, io::Errno> sync(io::FileId file) override {
    if (!step()) return Unexpected{EIO};
    return sync_inode(*files_.at(file.slot));
  }
  Result<void, io::Errno> make_directories(const std::string&) override { return {}; }
  Result<void, io::Errno> sync_directory(const std::string& path) override {
    if (!step()) return Unexpected{EIO};
    if (syncs++ == faults_.fail_sync) return Unexpected{faults_.error};
    const std::string prefix = path + "/";
    const auto below = [&](const auto& entry) {
      return entry.first.starts_with(prefix) &&
             entry.first.find('/', prefix.size()) == std::string::npos;
    };
    std::erase_if(disk_.durable, below);
    for (const auto& entry : disk_.cached) {
      if (below(entry)) disk_.durable.insert(entry);
    }
    return {};
  }
  Result<std::vector<std::string>, io::Errno> list(const std::string& directory) override {
    std::vector<std::string> names;
    for (const auto& [path, inode] : disk_.cached) {
      if (path.starts_with(directory + "/")) names.push_back(path.substr(directory.size() + 1));
    }
    return names;
  }
  Result<void, io::Errno> rename(const std::string& from, const std::string& to) override {
    if (!step()) return Unexpected{EIO};
    const auto node = disk_.cached.extract(from);
    if (node.empty()) return Unexpected{ENOENT};
    disk_.cached[to] = node.mapped();
    return {};
  }
  Result<void, io::Errno> remove(const std::string& path) override {
    if (!step()) return Unexpected{EIO};
    if (disk_.cached.erase(path) == 0) return Unexpected{ENOENT};
    return {};
  }
  Result<void, io::Errno> lock(const std::string&) override { return {}; }

  void random(std::span<std::byte> into) noexcept override {
    for (std::byte& byte : into) {
      disk_.chance = disk_.chance * 6364136223846793005U + 1442695040888963407U;
      byte = static_cast<std::byte>(disk_.chance >> 56U);
    }
  }
  void poll(MonoTime deadline) override {
    auto batch = std::exchange(pending_, {});
    if (batch.empty() && deadline > time && deadline != MonoTime::max()) time = deadline;
    time += std::chrono::microseconds(200);
    if (faults_.newest_first) batch = {batch.rbegin(), batch.rend()};
    for (const Operation& op : batch) {
      // After the power went, nothing completes any more.
      if (const auto error = execute(op)) {
        op.handler->on_file_done(*error);
      } else {
        lost_.push_back(op);
      }
    }
  }

 private:
  struct Operation {
    io::FileId file;
    Bytes bytes;
    std::uint64_t offset;
    io::FileHandler* handler;
    bool sync;
    std::string directory;  // Not empty: its sync, and nothing else.
  };
  static constexpr std::size_t page_bytes = 4096;

  bool step() noexcept { return operations++ < faults_.stop_at; }

  std::optional<io::Errno> execute(const Operation& op) {
    if (!op.directory.empty()) {
      const auto synced = sync_directory(op.directory);
      if (dead()) return std::nullopt;
      return synced ? 0 : synced.error();
    }
    Inode& inode = *files_.at(op.file.slot);
    // The write at which the power goes may still reach the disk, in part or whole.
    const bool was_alive = !dead();
    const bool alive = step();
    if (alive && writes++ == faults_.fail_write) return faults_.error;
    if (alive && full && op.offset + op.bytes.size() > inode.cached.size()) return ENOSPC;
    if (was_alive) {
      Disk::apply(inode.cached, op.offset, op.bytes);
      // A disk keeps pages of one write in any order.
      for (std::size_t at = 0; at < op.bytes.size(); at += page_bytes) {
        const auto begin = op.bytes.begin() + static_cast<std::ptrdiff_t>(at);
        const auto size = std::min(page_bytes, op.bytes.size() - at);
        inode.unsynced.push_back(
            {op.offset + at, {begin, begin + static_cast<std::ptrdiff_t>(size)}});
      }
    }
    if (!alive) return std::nullopt;
    if (!op.sync) return 0;
    if (!step()) return std::nullopt;
    const auto synced = sync_inode(inode);
    return synced ? 0 : synced.error();
  }
  Result<void, io::Errno> sync_inode(Inode& inode) {
    const bool fails = syncs++ == faults_.fail_sync;
    // As Linux does: after an error the pages count as clean, and the data never reaches the disk.
    if (!fails) inode.durable = inode.cached;
    inode.unsynced.clear();
    if (fails) return Unexpected{faults_.error};
    return {};
  }

  Disk& disk_;
  std::vector<std::shared_ptr<Inode>> files_;
  std::vector<Operation> pending_;
  std::vector<Operation> lost_;
};

}  // namespace tocsin::test
