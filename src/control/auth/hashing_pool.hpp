#pragma once
// Checks passwords on threads of their own: one Argon2 takes as long as thousands of events, and as
// much memory as thousands of connections.

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "control/auth/password_hash.hpp"

namespace tocsin::auth {

class HashingPool {
 public:
  struct Job {
    std::string password_hash;
    std::string password;  ///< Wiped when the job has ended.
    HashCost cost;
    /// Gets the result, on the pool's thread. Not called when stop() came first.
    std::function<void(PasswordCheck result)> done;
  };

  /// Threads start with the first job. Jobs under way take at most `memory_max` together; one that
  /// alone takes more is refused.
  HashingPool(std::uint64_t memory_max, std::uint32_t queue_max, std::uint32_t threads_max);
  HashingPool(const HashingPool&) = delete;
  HashingPool& operator=(const HashingPool&) = delete;
  ~HashingPool() { stop(); }

  /// Any thread. False when the queue is full, the pool stopped, or no thread can be had.
  [[nodiscard]] bool submit(Job&& job);
  /// Ends what waits as impossible, on this thread; the pool goes on.
  void drop_waiting();
  /// Drops what waits, and returns when what is under way has ended.
  void stop();
  [[nodiscard]] std::size_t waiting() const;

 private:
  /// False when there is none.
  [[nodiscard]] bool start();
  void work();

  const std::uint64_t memory_max_;
  const std::uint32_t queue_max_;
  const std::uint32_t threads_max_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> queue_;
  std::uint64_t memory_used_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace tocsin::auth
