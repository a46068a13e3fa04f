#pragma once
// A small Io for unit tests that need a loop but no sockets: a clock that is set by hand or real, a
// wake-up that works across threads, and files in memory.

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "tests/support/still_io.hpp"

namespace tocsin::testing {

class FakeIo : public StillIo {
 public:
  enum class Time : std::uint8_t { manual, real };
  explicit FakeIo(Time kind = Time::manual) : kind_(kind) {}

  void advance(Duration by) { time += by; }
  std::map<std::string, std::string>& files() { return files_; }
  io::Errno write_error = 0;  ///< What write() reports.
  bool hold_writes = false;   ///< Writes do not complete while set.

  void write(io::FileId file, std::span<const std::byte> bytes, std::uint64_t offset,
             io::FileHandler& handler) override {
    if (write_error == 0) {
      std::string& content = files_[paths_[file.slot]];
      const auto at = static_cast<std::size_t>(offset);
      content.resize(std::max(content.size(), at + bytes.size()));
      content.replace(at, bytes.size(), reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
    completions_.emplace_back(&handler, write_error);
  }
  void write_and_sync(io::FileId file, std::span<const std::byte> bytes, std::uint64_t offset,
                      io::FileHandler& handler) override {
    write(file, bytes, offset, handler);
  }
  void gather_and_sync(io::FileId file, std::span<const io::Piece> pieces, std::uint64_t offset,
                       io::FileHandler& handler) override {
    std::vector<std::byte> bytes;
    for (const io::Piece& piece : pieces) {
      bytes.insert(bytes.end(), piece.data, piece.data + piece.size);
    }
    write(file, bytes, offset, handler);
  }
  void begin_sync_directory(const std::string&, io::FileHandler& handler) override {
    completions_.emplace_back(&handler, 0);
  }
  Result<io::FileId, io::Errno> open(const std::string& path, io::OpenMode) override {
    files_[path];
    paths_.push_back(path);
    return io::FileId{static_cast<std::uint32_t>(paths_.size() - 1)};
  }
  Result<std::size_t, io::Errno> read(io::FileId file, std::span<std::byte> into,
                                      std::uint64_t offset) override {
    const std::string& content = files_[paths_[file.slot]];
    const std::string part =
        content.substr(std::min(static_cast<std::size_t>(offset), content.size()), into.size());
    std::copy_n(reinterpret_cast<const std::byte*>(part.data()), part.size(), into.data());
    return part.size();
  }
  Result<std::uint64_t, io::Errno> size(io::FileId file) override {
    return static_cast<std::uint64_t>(files_[paths_[file.slot]].size());
  }
  Result<void, io::Errno> truncate(io::FileId, std::uint64_t) override { return {}; }
  Result<void, io::Errno> allocate(io::FileId, std::uint64_t) override { return {}; }
  Result<void, io::Errno> sync(io::FileId) override { return {}; }
  Result<void, io::Errno> make_directories(const std::string&) override { return {}; }
  Result<void, io::Errno> sync_directory(const std::string&) override { return {}; }
  Result<std::vector<std::string>, io::Errno> list(const std::string&) override {
    return std::vector<std::string>{};
  }
  Result<void, io::Errno> rename(const std::string& from, const std::string& to) override {
    auto node = files_.extract(from);
    files_[to] = node.mapped();
    return {};
  }
  Result<void, io::Errno> remove(const std::string& path) override {
    files_.erase(path);
    return {};
  }
  Result<void, io::Errno> lock(const std::string&) override { return {}; }

  MonoTime now() const noexcept override {
    if (kind_ == Time::manual) return time;
    return MonoTime{std::chrono::steady_clock::now().time_since_epoch()};
  }
  void random(std::span<std::byte> into) noexcept override {
    for (std::byte& b : into) b = static_cast<std::byte>(random_ = random_ * 29 + 11);
  }

  /// Real time waits; manual time never does.
  void poll(MonoTime deadline) override {
    if (!hold_writes) {
      for (const auto& [handler, error] : std::exchange(completions_, {})) {
        handler->on_file_done(error);
      }
    }
    if (kind_ == Time::manual) return;
    std::unique_lock guard(mutex_);
    // Bounded, so that a test's condition is looked at even if a wake-up were lost.
    const MonoTime start = now();
    const auto limit = std::clamp(deadline, start, start + std::chrono::milliseconds{50});
    condition_.wait_for(guard, limit - start, [this] { return woken_; });
    woken_ = false;
  }
  void wake() noexcept override {
    const std::lock_guard guard(mutex_);
    woken_ = true;
    condition_.notify_one();
  }

 private:
  Time kind_;
  unsigned random_ = 7;
  std::map<std::string, std::string> files_;
  std::vector<std::string> paths_;
  std::vector<std::pair<io::FileHandler*, io::Errno>> completions_;
  std::mutex mutex_;
  std::condition_variable condition_;
  bool woken_ = false;
};

}  // namespace tocsin::testing
