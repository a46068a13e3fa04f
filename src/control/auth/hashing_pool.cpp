#include "control/auth/hashing_pool.hpp"

#include <pthread.h>
#include <sodium.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <system_error>
#include <utility>

namespace tocsin::auth {
namespace {

// Who waits to log in may wait a little longer than events do.
void yield_to_the_data_path() {
  constexpr int niceness = 5;
  static_cast<void>(setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), niceness));
}

void wipe(std::string& secret) noexcept { sodium_memzero(secret.data(), secret.size()); }

}  // namespace

HashingPool::HashingPool(std::uint64_t memory_max, std::uint32_t queue_max,
                         std::uint32_t threads_max)
    : memory_max_(memory_max), queue_max_(queue_max), threads_max_(threads_max) {}

bool HashingPool::submit(Job&& job) {
  const std::scoped_lock lock(mutex_);
  bool possible = !stopping_ && queue_.size() < queue_max_ && job.cost.memory_bytes <= memory_max_;
  if (possible && threads_.empty()) possible = start();
  if (!possible) {
    wipe(job.password);
    return false;
  }
  queue_.push_back(std::move(job));
  changed_.notify_one();
  return true;
}

bool HashingPool::start() {
  // Signals are for the main thread; a thread that starts late inherits the mask of its creator.
  try {
    while (threads_.size() < threads_max_) {
      threads_.emplace_back([this] {
        pthread_setname_np(pthread_self(), "password");
        yield_to_the_data_path();
        work();
      });
    }
  } catch (const std::system_error&) {
    // The limit of processes, or memory for stacks: those that run do all the work.
  }
  return !threads_.empty();
}

void HashingPool::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    // First come, first served: a dear job is not overtaken for ever by cheap ones.
    changed_.wait(lock, [&] {
      return stopping_ ||
             (!queue_.empty() && queue_.front().cost.memory_bytes <= memory_max_ - memory_used_);
    });
    if (stopping_) return;
    Job job = std::move(queue_.front());
    queue_.pop_front();
    memory_used_ += job.cost.memory_bytes;
    lock.unlock();
    const PasswordCheck result = verify_password(job.password_hash, job.password);
    wipe(job.password);
    job.done(result);
    lock.lock();
    memory_used_ -= job.cost.memory_bytes;
    changed_.notify_all();
  }
}

void HashingPool::drop_waiting() {
  std::deque<Job> dropped;
  {
    const std::scoped_lock lock(mutex_);
    dropped.swap(queue_);
  }
  for (Job& job : dropped) {
    wipe(job.password);
    job.done(PasswordCheck::impossible);
  }
}

void HashingPool::stop() {
  std::vector<std::thread> threads;
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
    for (Job& job : queue_) wipe(job.password);
    queue_.clear();
    threads.swap(threads_);
  }
  changed_.notify_all();
  for (std::thread& thread : threads) thread.join();
}

std::size_t HashingPool::waiting() const {
  const std::scoped_lock lock(mutex_);
  return queue_.size();
}

}  // namespace tocsin::auth
