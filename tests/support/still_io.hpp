#pragma once
// What the Ios of unit tests have in common: clocks that a test sets, and nothing else works. A
// test derives from it and overrides what it is about.

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "io/io.hpp"

namespace tocsin::testing {

class StillIo : public io::Io {
 public:
  MonoTime time{std::chrono::hours(1)};
  WallTime wall{std::chrono::seconds(1'700'000'000)};
  bool trusted = true;

  Result<io::ListenerId, io::Errno> listen(const io::Endpoint&, bool, io::AcceptHandler&) override {
    return Unexpected{ENOTSUP};
  }
  io::Endpoint local_endpoint(io::ListenerId) const override { return {}; }
  void close_listener(io::ListenerId) override {}
  Result<io::StreamId, io::Errno> connect(const io::Endpoint&, io::StreamHandler&) override {
    return Unexpected{ENOTSUP};
  }
  void receive_start(io::StreamId) override {}
  void receive_stop(io::StreamId) override {}
  void send(io::StreamId, std::span<const std::byte>) override {}
  void close(io::StreamId) override {}

  void write(io::FileId, std::span<const std::byte>, std::uint64_t, io::FileHandler&) override {}
  void write_and_sync(io::FileId, std::span<const std::byte>, std::uint64_t,
                      io::FileHandler&) override {}
  void gather_and_sync(io::FileId, std::span<const io::Piece>, std::uint64_t,
                       io::FileHandler&) override {}
  void begin_sync_directory(const std::string&, io::FileHandler&) override {}
  Result<io::FileId, io::Errno> open(const std::string&, io::OpenMode) override {
    return Unexpected{ENOTSUP};
  }
  void close_file(io::FileId) override {}
  Result<std::size_t, io::Errno> read(io::FileId, std::span<std::byte>, std::uint64_t) override {
    return Unexpected{ENOTSUP};
  }
  Result<std::uint64_t, io::Errno> size(io::FileId) override { return Unexpected{ENOTSUP}; }
  Result<void, io::Errno> truncate(io::FileId, std::uint64_t) override {
    return Unexpected{ENOTSUP};
  }
  Result<void, io::Errno> allocate(io::FileId, std::uint64_t) override {
    return Unexpected{ENOTSUP};
  }
  Result<void, io::Errno> sync(io::FileId) override { return Unexpected{ENOTSUP}; }
  Result<void, io::Errno> make_directories(const std::string&) override {
    return Unexpected{ENOTSUP};
  }
  Result<void, io::Errno> sync_directory(const std::string&) override {
    return Unexpected{ENOTSUP};
  }
  Result<std::vector<std::string>, io::Errno> list(const std::string&) override {
    return Unexpected{ENOTSUP};
  }
  Result<void, io::Errno> rename(const std::string&, const std::string&) override {
    return Unexpected{ENOTSUP};
  }
  Result<void, io::Errno> remove(const std::string&) override { return Unexpected{ENOTSUP}; }
  Result<void, io::Errno> lock(const std::string&) override { return Unexpected{ENOTSUP}; }

  MonoTime now() const noexcept override { return time; }
  WallTime wall_now() const noexcept override { return wall; }
  bool wall_trusted() const noexcept override { return trusted; }
  BootId boot_id() const noexcept override { return {}; }
  void random(std::span<std::byte> into) noexcept override {
    std::fill(into.begin(), into.end(), std::byte{42});
  }
  void poll(MonoTime) override {}
  void wake() noexcept override {}
  io::Backend backend() const noexcept override { return io::Backend::sim; }
};

}  // namespace tocsin::testing
