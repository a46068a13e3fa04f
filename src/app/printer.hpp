#pragma once
// Standard output on a thread of its own: whoever reads it may stall, the loops may not.

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace tocsin::app {

class Printer {
 public:
  /// `fd` is borrowed. At most `size_max` bytes wait.
  Printer(int fd, std::size_t size_max);
  Printer(const Printer&) = delete;
  Printer& operator=(const Printer&) = delete;
  /// Stops.
  ~Printer();
  /// Writes what still waits, for two seconds at most, and takes nothing more. One thread, once or
  /// again.
  void stop();

  /// Any thread; never waits for the reader. False when the buffer is full or it has stopped:
  /// nothing was taken.
  [[nodiscard]] bool print(std::string_view text);

 private:
  void run();
  [[nodiscard]] bool out_of_time();

  int fd_;
  std::size_t size_max_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string waiting_;
  bool stop_ = false;
  std::chrono::steady_clock::time_point stop_at_latest_;
  std::thread thread_;
};

}  // namespace tocsin::app
