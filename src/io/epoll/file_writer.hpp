#pragma once
// Writes files on a thread of its own, because epoll cannot wait for disks and a reactor may share
// the loop with the journal.

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "io/io.hpp"
#include "io/posix/posix_io.hpp"

namespace tocsin::io::epoll {

/// The thread starts with the first write. Writes begin in the order in which they were given;
/// those that wait together share one sync per file. Bounded by the memory that their bytes come
/// from.
class FileWriter {
 public:
  /// `wake` is called on the writer's thread when something is done.
  FileWriter(posix::FileTable& files, std::function<void()> wake);
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;
  /// Waits for the operation that runs; drops those that have not begun. Calls no handler.
  ~FileWriter();

  void write(FileId file, std::span<const std::byte> bytes, std::uint64_t offset, bool sync,
             FileHandler& handler);
  /// Writes all pieces, then syncs.
  void gather(FileId file, std::span<const Piece> pieces, std::uint64_t offset,
              FileHandler& handler);
  void sync_directory(const std::string& path, FileHandler& handler);
  /// Calls the handlers of what is done; returns how many.
  std::size_t deliver();

 private:
  struct Job {
    FileId file;
    int fd = -1;
    bool sync = false;
    Errno error = 0;
    std::span<const std::byte> bytes;
    std::span<const Piece> pieces;
    std::uint64_t offset = 0;
    std::string directory;  // Not empty: sync this, and nothing else.
    FileHandler* handler = nullptr;
  };

  void start();
  [[nodiscard]] Job begin(FileId file, std::uint64_t offset, bool sync, FileHandler& handler);
  void give(Job job);
  void run();
  [[nodiscard]] static Errno write_all(const Job& job);
  /// Writes all, then syncs each file once.
  [[nodiscard]] static bool carry_out(std::vector<Job>& jobs, const std::atomic<bool>& stop);

  posix::FileTable& files_;
  std::function<void()> wake_;
  std::mutex mutex_;
  std::condition_variable given_;
  std::vector<Job> waiting_;       // Under mutex_.
  std::vector<Job> done_;          // Under mutex_.
  std::atomic<bool> stop_{false};  // Set under mutex_; read between two operations.
  std::atomic<bool> any_done_{false};
  std::vector<Job> delivering_;
  std::thread thread_;
};

}  // namespace tocsin::io::epoll
