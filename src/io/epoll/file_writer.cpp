#include "io/epoll/file_writer.hpp"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <iterator>
#include <utility>

#include "io/posix/files.hpp"

namespace tocsin::io::epoll {

FileWriter::FileWriter(posix::FileTable& files, std::function<void()> wake)
    : files_(files), wake_(std::move(wake)) {}

FileWriter::~FileWriter() {
  if (!thread_.joinable()) return;
  {
    const std::scoped_lock lock(mutex_);
    stop_.store(true, std::memory_order_relaxed);
  }
  given_.notify_one();
  thread_.join();
}

void FileWriter::start() {
  if (thread_.joinable()) return;
  // Signals are for the thread that waits for them.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(thread_.native_handle(), "file-writer");
}

FileWriter::Job FileWriter::begin(FileId file, std::uint64_t offset, bool sync,
                                  FileHandler& handler) {
  files_.begin_operation(file);
  Job job;
  job.file = file;
  job.fd = files_.descriptor(file);
  job.sync = sync;
  job.offset = offset;
  job.handler = &handler;
  return job;
}

void FileWriter::write(FileId file, std::span<const std::byte> bytes, std::uint64_t offset,
                       bool sync, FileHandler& handler) {
  Job job = begin(file, offset, sync, handler);
  job.bytes = bytes;
  give(std::move(job));
}

void FileWriter::gather(FileId file, std::span<const Piece> pieces, std::uint64_t offset,
                        FileHandler& handler) {
  Job job = begin(file, offset, true, handler);
  job.pieces = pieces;
  give(std::move(job));
}

void FileWriter::sync_directory(const std::string& path, FileHandler& handler) {
  Job job;
  job.directory = path;
  job.handler = &handler;
  give(std::move(job));
}

void FileWriter::give(Job job) {
  start();
  {
    const std::scoped_lock lock(mutex_);
    waiting_.push_back(std::move(job));
  }
  given_.notify_one();
}

Errno FileWriter::write_all(const Job& job) {
  Result<void, Errno> done;
  if (!job.directory.empty()) {
    done = posix::sync_directory(job.directory);
  } else if (!job.pieces.empty()) {
    done = posix::write_pieces(job.fd, job.pieces, job.offset);
  } else {
    done = posix::write_file(job.fd, job.bytes, job.offset);
  }
  return done ? 0 : done.error();
}

void FileWriter::run() {
  std::vector<Job> jobs;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      given_.wait(lock,
                  [this] { return !waiting_.empty() || stop_.load(std::memory_order_relaxed); });
      if (stop_.load(std::memory_order_relaxed)) return;
      jobs.swap(waiting_);
    }
    if (!carry_out(jobs, stop_)) return;
    {
      const std::scoped_lock lock(mutex_);
      std::ranges::move(jobs, std::back_inserter(done_));
    }
    jobs.clear();
    any_done_.store(true, std::memory_order_release);  // Pairs with deliver().
    wake_();
  }
}

bool FileWriter::carry_out(std::vector<Job>& jobs, const std::atomic<bool>& stop) {
  for (Job& job : jobs) {
    if (stop.load(std::memory_order_relaxed)) return false;
    job.error = write_all(job);
  }
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    if (!jobs[i].sync || jobs[i].error != 0) continue;
    if (stop.load(std::memory_order_relaxed)) return false;
    const auto synced = posix::sync_file(jobs[i].fd);
    // A failed sync is final for all whose bytes it was to cover; see posix::sync_file.
    for (std::size_t j = i; j < jobs.size(); ++j) {
      if (!jobs[j].sync || jobs[j].fd != jobs[i].fd) continue;
      if (!synced && jobs[j].error == 0) jobs[j].error = synced.error();
      if (j != i) jobs[j].sync = false;
    }
  }
  return true;
}

std::size_t FileWriter::deliver() {
  if (!any_done_.load(std::memory_order_relaxed)) return 0;
  any_done_.exchange(false, std::memory_order_acquire);  // Pairs with run().
  {
    const std::scoped_lock lock(mutex_);
    delivering_.swap(done_);
  }
  for (const Job& job : delivering_) {
    if (job.directory.empty()) files_.end_operation(job.file);
    job.handler->on_file_done(job.error);
  }
  const std::size_t count = delivering_.size();
  delivering_.clear();
  return count;
}

}  // namespace tocsin::io::epoll
