#include "app/thread_pool.hpp"

#include <pthread.h>
#include <sched.h>

#include <cassert>
#include <future>

namespace tocsin::app {
namespace {

constexpr auto poll_pause = std::chrono::milliseconds(1);

std::vector<std::size_t> usable_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<std::size_t> processors;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return processors;
  for (std::size_t i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &set)) processors.push_back(i);
  }
  return processors;
}

// Without it the thread works as well, if perhaps slower.
void pin_to(std::thread& thread, std::size_t processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  static_cast<void>(::pthread_setaffinity_np(thread.native_handle(), sizeof set, &set));
}

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

void Threads::start(bool pin) {
  const std::vector<std::size_t> processors =
      pin ? usable_processors() : std::vector<std::size_t>{};
  for (Entry& entry : entries_) {
    threads_.emplace_back([loop = entry.loop.get()] {
      // For people who look with top or a debugger; the kernel takes 15 characters.
      pthread_setname_np(pthread_self(), loop->name().substr(0, 15).c_str());
      loop->run();
    });
    if (processors.empty()) continue;
    pin_to(threads_.back(), processors[(threads_.size() - 1) % processors.size()]);
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
