#pragma once
// The engine's loops and their threads; and calls into them from outside.

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "flow/loop.hpp"
#include "io/io.hpp"

namespace tocsin::app {

/// Owns Ios, loops and threads. Stages are destroyed before it.
class Threads {
 public:
  Threads() = default;
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
  ~Threads() { stop(); }

  /// Adds a loop of its own thread. Before start().
  flow::Loop& add(std::unique_ptr<io::Io> io, const std::string& name);
  /// `pin`: each thread stays on one of the processors that this one may use, in turn.
  void start(bool pin);
  /// Ends the threads after the turn that each is in.
  void stop();
  [[nodiscard]] bool running() const noexcept { return !threads_.empty(); }

  /// Runs `task` on the loop's thread and waits for it. Without threads it runs here.
  void call(flow::Loop& loop, const std::function<void()>& task);
  /// Asks `done` on the loop's thread again and again until it says true or the deadline passes;
  /// without threads the loops are turned in between. False at the deadline.
  [[nodiscard]] bool wait_until(flow::Loop& loop, const std::function<bool()>& done,
                                MonoTime deadline);
  void turn(MonoTime latest);

 private:
  struct Entry {
    std::unique_ptr<io::Io> io;
    std::unique_ptr<flow::Loop> loop;
  };
  std::vector<Entry> entries_;
  std::vector<std::thread> threads_;
};

}  // namespace tocsin::app
