#include "app/thread_pool.hpp"

#include <pthread.h>

#include <cassert>
#include <future>

namespace tocsin::app {
namespace {

constexpr auto poll_pause = std::chrono::milliseconds(1);

// Runs one function on a loop and says when it is done.
class Call final : public flow::Receiver {
 public:
  explicit Call(const std::function<void()>& task) : task_(task) {}
  void on_message(const flow::Message& /*message*/) noexcept override {
    task_();
    done_.set_value();
  }
  void wait() { done_.get_future().wait(); }

 private:
  const std::function<void()>& task_;
  std::promise<void> done_;
};

}  // namespace

flow::Loop& Threads::add(std::unique_ptr<io::Io> io, const std::string& name) {
  assert(!running());
  auto loop = std::make_unique<flow::Loop>(*io, name);
  entries_.push_back({std::move(io), std::move(loop)});
  return *entries_.back().loop;
}

void Threads::start() {
  for (Entry& entry : entries_) {
    threads_.emplace_back([loop = entry.loop.get()] {
      // For people who look with top or a debugger; the kernel takes 15 characters.
      pthread_setname_np(pthread_self(), loop->name().substr(0, 15).c_str());
      loop->run();
    });
  }
}

void Threads::stop() {
  if (!running()) return;
  for (Entry& entry : entries_) entry.loop->stop();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Threads::call(flow::Loop& loop, const std::function<void()>& task) {
  if (!running()) {
    task();
    return;
  }
  Call call(task);
  loop.post({.to = &call, .kind = 0, .arg = 0, .object = nullptr});
  call.wait();
}

bool Threads::wait_until(flow::Loop& loop, const std::function<bool()>& done, MonoTime deadline) {
  for (;;) {
    bool answer = false;
    call(loop, [&] { answer = done(); });
    if (answer) return true;
    if (loop.io().now() >= deadline) return false;
    if (running()) {
      std::this_thread::sleep_for(poll_pause);
    } else {
      turn(loop.io().now() + poll_pause);
    }
  }
}

void Threads::turn(MonoTime latest) {
  for (Entry& entry : entries_) entry.loop->turn(latest);
}

}  // namespace tocsin::app
