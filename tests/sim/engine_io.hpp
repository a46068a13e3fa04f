#pragma once
// What an engine gets for an Io: one that the test owns, so that an engine whose machine has died
// can be left behind while its world goes on.

#include <functional>
#include <string>

#include "io/io.hpp"
#include "io/sim/sim_io.hpp"

namespace tocsin::sim_test {

class BorrowedIo final : public io::Io {
 public:
  /// `before_poll` lets the others of the world run when the engine turns itself, as in a drain.
  BorrowedIo(io::SimIo& io, std::function<void()> before_poll)
      : io_(io), before_poll_(std::move(before_poll)) {}

  Result<io::ListenerId, io::Errno> listen(const io::Endpoint& endpoint, bool shared,
                                           io::AcceptHandler& handler) override {
    return io_.listen(endpoint, shared, handler);
  }
  [[nodiscard]] io::Endpoint local_endpoint(io::ListenerId listener) const override {
    return io_.local_endpoint(listener);
  }
  void close_listener(io::ListenerId listener) override { io_.close_listener(listener); }
  Result<io::StreamId, io::Errno> connect(const io::Endpoint& endpoint,
                                          io::StreamHandler& handler) override {
    return io_.connect(endpoint, handler);
  }
  void receive_start(io::StreamId stream) override { io_.receive_start(stream); }
  void receive_stop(io::StreamId stream) override { io_.receive_stop(stream); }
  void send(io::StreamId stream, std::span<const std::byte> bytes) override {
    io_.send(stream, bytes);
  }
  void close(io::StreamId stream) override { io_.close(stream); }

  void write(io::FileId file, std::span<const std::byte> bytes, std::uint64_t offset,
             io::FileHandler& handler) override {
    io_.write(file, bytes, offset, handler);
  }
  void write_and_sync(io::FileId file, std::span<const std::byte> bytes, std::uint64_t offset,
                      io::FileHandler& handler) override {
    io_.write_and_sync(file, bytes, offset, handler);
  }
  void gather_and_sync(io::FileId file, std::span<const io::Piece> pieces, std::uint64_t offset,
                       io::FileHandler& handler) override {
    io_.gather_and_sync(file, pieces, offset, handler);
  }
  void begin_sync_directory(const std::string& path, io::FileHandler& handler) override {
    io_.begin_sync_directory(path, handler);
  }
  Result<io::FileId, io::Errno> open(const std::string& path, io::OpenMode mode) override {
    return io_.open(path, mode);
  }
  void close_file(io::FileId file) override { io_.close_file(file); }
  Result<std::size_t, io::Errno> read(io::FileId file, std::span<std::byte> into,
                                      std::uint64_t offset) override {
    return io_.read(file, into, offset);
  }
  Result<std::uint64_t, io::Errno> size(io::FileId file) override { return io_.size(file); }
  Result<void, io::Errno> truncate(io::FileId file, std::uint64_t size) override {
    return io_.truncate(file, size);
  }
  Result<void, io::Errno> allocate(io::FileId file, std::uint64_t size) override {
    return io_.allocate(file, size);
  }
  Result<void, io::Errno> sync(io::FileId file) override { return io_.sync(file); }
  Result<void, io::Errno> make_directories(const std::string& path) override {
    return io_.make_directories(path);
  }
  Result<void, io::Errno> sync_directory(const std::string& path) override {
    return io_.sync_directory(path);
  }
  Result<std::vector<std::string>, io::Errno> list(const std::string& directory) override {
    return io_.list(directory);
  }
  Result<void, io::Errno> rename(const std::string& from, const std::string& to) override {
    return io_.rename(from, to);
  }
  Result<void, io::Errno> remove(const std::string& path) override { return io_.remove(path); }
  Result<void, io::Errno> lock(const std::string& path) override { return io_.lock(path); }

  [[nodiscard]] MonoTime now() const noexcept override { return io_.now(); }
  [[nodiscard]] WallTime wall_now() const noexcept override { return io_.wall_now(); }
  [[nodiscard]] bool wall_trusted() const noexcept override { return io_.wall_trusted(); }
  [[nodiscard]] BootId boot_id() const noexcept override { return io_.boot_id(); }
  void random(std::span<std::byte> into) noexcept override { io_.random(into); }
  void poll(MonoTime deadline) override {
    before_poll_();
    io_.poll(deadline);
  }
  void wake() noexcept override { io_.wake(); }
  [[nodiscard]] io::Backend backend() const noexcept override { return io_.backend(); }

 private:
  io::SimIo& io_;
  std::function<void()> before_poll_;
};

}  // namespace tocsin::sim_test
