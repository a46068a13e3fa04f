#pragma once
// A disk in memory below SQLite, for tests: operations fail when a test says so, syncs that failed
// have lost their data for good, and a power cut keeps only what was synced, plus any part of what
// was not. That holds for names too: they are synced with their directory, and one that was removed
// may come back with the file it had.

#include <sqlite3.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tocsin::store {

enum class DiskOperation : std::uint8_t { open, read, write, truncate, sync, remove };

class SimDisk {
 public:
  using Contents = std::map<std::string, std::string>;  ///< By path.

  /// SQLite's only file system while this lives.
  explicit SimDisk(const Contents& contents = {});
  SimDisk(const SimDisk&) = delete;
  SimDisk& operator=(const SimDisk&) = delete;
  ~SimDisk() { sqlite3_vfs_unregister(&vfs_); }

  /// Asked before each operation, with its number from 1: what it ends with. Null: all succeed.
  void set_faults(std::function<int(DiskOperation, std::uint64_t)> faults) {
    const std::scoped_lock guard(mutex_);
    faults_ = std::move(faults);
  }
  [[nodiscard]] std::uint64_t operations() const {
    const std::scoped_lock guard(mutex_);
    return operations_;
  }
  /// What a power cut at this moment leaves.
  [[nodiscard]] Contents cut_power(std::uint64_t seed) const;

 private:
  struct Change {
    std::size_t offset = 0;  // With bytes; the new size without.
    std::string bytes;
    bool truncate = false;
  };
  struct File {
    std::string cached;   // What reads see.
    std::string durable;  // What the platters have.
    std::vector<Change> unsynced;
  };
  struct Name {
    File* now = nullptr;
    std::vector<File*> maybe;  // What it may stand for after a power cut; null: for nothing.
  };
  // What SQLite allocates for an open file: plain data.
  struct Handle {
    sqlite3_file base;
    SimDisk* disk;
    File* file;
    bool names;  // Its first sync is one of the directory too.
  };
  static Handle& handle(sqlite3_file* file) { return *reinterpret_cast<Handle*>(file); }
  static SimDisk& disk(sqlite3_vfs* vfs) { return *static_cast<SimDisk*>(vfs->pAppData); }
  static const sqlite3_io_methods& methods();
  static void apply(std::string& content, const Change& change);

  int fault(DiskOperation operation) {
    ++operations_;
    return faults_ ? faults_(operation, operations_) : SQLITE_OK;
  }
  int open(const char* path, sqlite3_file* file, int flags, int* out_flags);
  int remove(const char* path, bool sync);
  int access(const char* path) const {
    const auto at = names_.find(path);
    return at != names_.end() && at->second.now != nullptr ? 1 : 0;
  }
  int read(File& file, void* into, std::size_t size, std::size_t offset);
  int write(File& file, const void* from, std::size_t size, std::uint64_t offset);
  int truncate(File& file, std::uint64_t size);
  int sync(Handle& handle);
  File* make_file() { return files_.emplace_back(std::make_unique<File>()).get(); }
  void sync_names() {
    for (auto& [path, name] : names_) name.maybe = {name.now};
  }

  mutable std::mutex mutex_;
  std::function<int(DiskOperation, std::uint64_t)> faults_;
  std::uint64_t operations_ = 0;
  std::vector<std::unique_ptr<File>> files_;  // Also those without a name.
  std::map<std::string, Name> names_;
  sqlite3_vfs vfs_{};
};

inline SimDisk::SimDisk(const Contents& contents) {
  for (const auto& [path, content] : contents) {
    File* const file = make_file();
    file->cached = content;
    file->durable = content;
    names_[path] = {.now = file, .maybe = {file}};
  }
  sqlite3_vfs* const real = sqlite3_vfs_find("unix");
  vfs_.iVersion = 1;
  vfs_.szOsFile = sizeof(Handle);
  vfs_.mxPathname = 512;
  vfs_.zName = "tocsin-sim";
  vfs_.pAppData = this;
  vfs_.xOpen = [](sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags, int* out) {
    return disk(vfs).open(path, file, flags, out);
  };
  vfs_.xDelete = [](sqlite3_vfs* vfs, const char* path, int sync) {
    return disk(vfs).remove(path, sync != 0);
  };
  vfs_.xAccess = [](sqlite3_vfs* vfs, const char* path, int, int* found) {
    const std::scoped_lock guard(disk(vfs).mutex_);
    *found = disk(vfs).access(path);
    return SQLITE_OK;
  };
  vfs_.xFullPathname = [](sqlite3_vfs*, const char* path, int size, char* out) {
    sqlite3_snprintf(size, out, "%s", path);
    return SQLITE_OK;
  };
  vfs_.xRandomness = real->xRandomness;
  vfs_.xSleep = real->xSleep;
  vfs_.xCurrentTime = real->xCurrentTime;
  vfs_.xGetLastError = [](sqlite3_vfs*, int, char*) { return 0; };
  sqlite3_vfs_register(&vfs_, 1);
}

inline const sqlite3_io_methods& SimDisk::methods() {
  static const sqlite3_io_methods table{
      .iVersion = 1,
      .xClose = [](sqlite3_file*) { return SQLITE_OK; },
      .xRead =
          [](sqlite3_file* f, void* into, int size, sqlite3_int64 offset) {
            return handle(f).disk->read(*handle(f).file, into, static_cast<std::size_t>(size),
                                        static_cast<std::size_t>(offset));
          },
      .xWrite =
          [](sqlite3_file* f, const void* from, int size, sqlite3_int64 offset) {
            return handle(f).disk->write(*handle(f).file, from, static_cast<std::size_t>(size),
                                         static_cast<std::uint64_t>(offset));
          },
      .xTruncate =
          [](sqlite3_file* f, sqlite3_int64 size) {
            return handle(f).disk->truncate(*handle(f).file, static_cast<std::uint64_t>(size));
          },
      .xSync = [](sqlite3_file* f, int) { return handle(f).disk->sync(handle(f)); },
      .xFileSize =
          [](sqlite3_file* f, sqlite3_int64* size) {
            const std::scoped_lock guard(handle(f).disk->mutex_);
            *size = static_cast<sqlite3_int64>(handle(f).file->cached.size());
            return SQLITE_OK;
          },
      .xLock = [](sqlite3_file*, int) { return SQLITE_OK; },
      .xUnlock = [](sqlite3_file*, int) { return SQLITE_OK; },
      .xCheckReservedLock =
          [](sqlite3_file*, int* held) {
            *held = 0;
            return SQLITE_OK;
          },
      .xFileControl = [](sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; },
      .xSectorSize = [](sqlite3_file*) { return 512; },
      .xDeviceCharacteristics = [](sqlite3_file*) { return 0; },
      .xShmMap = nullptr,
      .xShmLock = nullptr,
      .xShmBarrier = nullptr,
      .xShmUnmap = nullptr,
      .xFetch = nullptr,
      .xUnfetch = nullptr,
  };
  return table;
}

inline int SimDisk::open(const char* path, sqlite3_file* file, int flags, int* out_flags) {
  const std::scoped_lock guard(mutex_);
  file->pMethods = nullptr;
  if (fault(DiskOperation::open) != SQLITE_OK) return SQLITE_CANTOPEN;
  const std::string name = path == nullptr ? "" : path;
  Name& entry = names_[name];
  if (entry.maybe.empty()) entry.maybe.push_back(nullptr);
  const bool create = (flags & SQLITE_OPEN_CREATE) != 0;
  if (entry.now == nullptr) {
    if (!create) return SQLITE_CANTOPEN;
    entry.now = make_file();
    entry.maybe.push_back(entry.now);
  }
  Handle& opened = handle(file);
  opened.disk = this;
  opened.file = entry.now;
  // As in SQLite's own file system: a new log or journal brings its name with it, a database not.
  opened.names = create && (flags & SQLITE_OPEN_MAIN_DB) == 0;
  file->pMethods = &methods();
  if (out_flags != nullptr) *out_flags = flags;
  return SQLITE_OK;
}

inline int SimDisk::remove(const char* path, bool sync) {
  const std::scoped_lock guard(mutex_);
  if (fault(DiskOperation::remove) != SQLITE_OK) return SQLITE_IOERR_DELETE;
  const auto at = names_.find(path);
  if (at == names_.end() || at->second.now == nullptr) return SQLITE_IOERR_DELETE_NOENT;
  at->second.now = nullptr;
  at->second.maybe.push_back(nullptr);
  if (sync) sync_names();
  return SQLITE_OK;
}

inline int SimDisk::read(File& file, void* into, std::size_t size, std::size_t offset) {
  const std::scoped_lock guard(mutex_);
  if (fault(DiskOperation::read) != SQLITE_OK) return SQLITE_IOERR_READ;
  const std::size_t there =
      offset < file.cached.size() ? std::min(size, file.cached.size() - offset) : 0;
  if (there > 0) std::memcpy(into, file.cached.data() + offset, there);
  if (there == size) return SQLITE_OK;
  std::memset(static_cast<char*>(into) + there, 0, size - there);
  return SQLITE_IOERR_SHORT_READ;
}

inline void SimDisk::apply(std::string& content, const Change& change) {
  if (change.truncate) {
    content.resize(change.offset);
    return;
  }
  const std::size_t end = change.offset + change.bytes.size();
  if (content.size() < end) content.resize(end);
  content.replace(change.offset, change.bytes.size(), change.bytes);
}

inline int SimDisk::write(File& file, const void* from, std::size_t size, std::uint64_t offset) {
  const std::scoped_lock guard(mutex_);
  const int code = fault(DiskOperation::write);
  if (code != SQLITE_OK) return code == SQLITE_FULL ? SQLITE_FULL : SQLITE_IOERR_WRITE;
  Change change{.offset = static_cast<std::size_t>(offset),
                .bytes = std::string(static_cast<const char*>(from), size)};
  apply(file.cached, change);
  file.unsynced.push_back(std::move(change));
  return SQLITE_OK;
}

inline int SimDisk::truncate(File& file, std::uint64_t size) {
  const std::scoped_lock guard(mutex_);
  if (fault(DiskOperation::truncate) != SQLITE_OK) return SQLITE_IOERR_TRUNCATE;
  Change change{.offset = static_cast<std::size_t>(size), .bytes = {}, .truncate = true};
  apply(file.cached, change);
  file.unsynced.push_back(std::move(change));
  return SQLITE_OK;
}

inline int SimDisk::sync(Handle& opened) {
  const std::scoped_lock guard(mutex_);
  File& file = *opened.file;
  if (fault(DiskOperation::sync) != SQLITE_OK) {
    // The kernel calls the pages clean now: no later sync will write them. Reads still see them.
    file.unsynced.clear();
    return SQLITE_IOERR_FSYNC;
  }
  for (const Change& change : file.unsynced) apply(file.durable, change);
  file.unsynced.clear();
  if (opened.names) sync_names();
  opened.names = false;
  return SQLITE_OK;
}

inline SimDisk::Contents SimDisk::cut_power(std::uint64_t seed) const {
  constexpr std::size_t sector = 512;
  const std::scoped_lock guard(mutex_);
  std::mt19937_64 random(seed);
  const auto chance = [&](unsigned percent) { return random() % 100 < percent; };
  Contents left;
  for (const auto& [path, name] : names_) {
    const File* const file = name.maybe[static_cast<std::size_t>(random() % name.maybe.size())];
    if (file == nullptr) continue;
    std::string content = file->durable;
    const unsigned kept = static_cast<unsigned>(random() % 101);
    for (const Change& change : file->unsynced) {
      if (change.truncate) {
        if (chance(kept)) apply(content, change);
        continue;
      }
      for (std::size_t at = 0; at < change.bytes.size(); at += sector) {
        if (!chance(kept)) continue;
        apply(content, {.offset = change.offset + at, .bytes = change.bytes.substr(at, sector)});
      }
    }
    left[path] = std::move(content);
  }
  return left;
}

}  // namespace tocsin::store
