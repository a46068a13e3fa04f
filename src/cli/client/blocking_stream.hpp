#pragma once
// One TCP connection of a command that does one thing and ends: plain blocking calls with one
// deadline for everything.

#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <tocsin/result.hpp>

#include "base/unique_fd.hpp"
#include "cli/client/target.hpp"

namespace tocsin::cli {

class BlockingStream {
 public:
  /// Tries each address of the target until one answers. Errors are sentences.
  [[nodiscard]] static Result<BlockingStream, std::string> connect(
      const Target& target, std::chrono::milliseconds timeout);

  [[nodiscard]] Result<void, std::string> send(std::string_view bytes);
  /// Waits for bytes and appends them to received(). False at the end of the stream.
  [[nodiscard]] Result<bool, std::string> receive();
  /// What has arrived and has not been consumed. 64 more bytes are readable.
  [[nodiscard]] std::span<const std::byte> received() const noexcept {
    return std::span(bytes_).first(filled_);
  }
  void consume(std::size_t size) noexcept;

 private:
  using Clock = std::chrono::steady_clock;
  BlockingStream(UniqueFd socket, std::string peer, Clock::time_point deadline);
  [[nodiscard]] Result<void, std::string> wait(short events) const;

  UniqueFd socket_;
  std::string peer_;
  Clock::time_point deadline_;
  std::vector<std::byte> bytes_;
  std::size_t filled_ = 0;
};

}  // namespace tocsin::cli
