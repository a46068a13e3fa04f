#pragma once
// A server of the load generator's own: a child process with a configuration made for measuring, in
// a temporary directory that goes with it.

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <tocsin/result.hpp>
#include <tocsin/time.hpp>

#include "base/unique_fd.hpp"
#include "cli/bench/workload.hpp"

namespace tocsin::cli::bench {

/// With two processors or more, keeps this thread and those that it starts off the first one, which
/// is returned: the server's.
[[nodiscard]] std::optional<int> give_up_one_processor();

class PrivateServer {
 public:
  /// Starts it and waits until it listens. `directory`: where its own directory is made; empty =
  /// the system's place for temporary files. `processor`: where it runs; nothing = anywhere. Fails
  /// with a sentence.
  [[nodiscard]] static Result<std::unique_ptr<PrivateServer>, std::string> start(
      ServerSetup setup, const std::string& directory, std::optional<int> processor);
  PrivateServer(const PrivateServer&) = delete;
  PrivateServer& operator=(const PrivateServer&) = delete;
  /// Ends the child and removes the directory.
  ~PrivateServer();

  [[nodiscard]] const std::string& mqtt() const noexcept { return mqtt_; }
  [[nodiscard]] const std::string& http() const noexcept { return http_; }
  /// Processor time wanted so far.
  [[nodiscard]] Duration demand() const;
  /// Resident memory now, in bytes.
  [[nodiscard]] std::uint64_t resident_bytes() const;

 private:
  PrivateServer() = default;
  [[nodiscard]] Result<void, std::string> spawn(std::optional<int> processor);
  [[nodiscard]] Result<void, std::string> read_addresses();

  std::string directory_;
  UniqueFd output_;  // Held open, so that what the child prints never fails.
  pid_t child_ = -1;
  std::string mqtt_;
  std::string http_;
};

}  // namespace tocsin::cli::bench
