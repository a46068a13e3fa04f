#pragma once
// One submission and completion ring. Headers here only name liburing's types: its header defines
// macros (BLOCK_SIZE) that break others, so .cpp files alone include it.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <tocsin/result.hpp>
#include <tocsin/time.hpp>

#include "io/uring/op.hpp"

struct io_uring;
struct io_uring_sqe;

namespace tocsin::io::uring {

/// What of the kernel's io_uring is used.
struct RingFeatures {
  bool multishot = true;      ///< Multishot accept, receive and poll; buffer rings (6.0).
  bool extended_wait = true;  ///< A wait with a timeout is one operation (5.11).
  bool plain_setup = false;   ///< No set-up flag newer than 5.10.
};

/// Made on any thread; the first thread that submits owns it (the kernel refuses others where it
/// has IORING_SETUP_SINGLE_ISSUER). The ring is created disabled and enabled by that first submit.
class Ring {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Ring>, std::string> make(
      const RingFeatures& features);
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  ~Ring();

  /// Makes sure that the next `count` calls of next_sqe() submit nothing, so that a linked chain
  /// reaches the kernel whole.
  void reserve(unsigned count);
  /// A free entry for one operation; submits what is pending when the queue is full. Never null.
  /// Pointers in the entry must stay valid until the next poll.
  [[nodiscard]] io_uring_sqe* next_sqe(OpTag tag);

  /// Submits and waits at most `timeout` for a completion; zero or less does not wait, and enters
  /// the kernel only when it has something to do. False when a signal ended the wait.
  bool submit_and_wait(Duration timeout);
  /// Takes completions out of the ring; returns how many.
  [[nodiscard]] std::size_t take(std::span<Completion> into);
  /// Empties the completion queue for the kernel; take() serves what was in it first.
  void set_aside();

  /// Turns what was not submitted yet into no-ops: at the end, its owners may be gone.
  void drop_pending() noexcept;

  /// Operations whose last completion has not been taken.
  [[nodiscard]] std::uint64_t outstanding() const noexcept { return outstanding_; }
  /// Whether this thread may submit (or nobody has submitted yet).
  [[nodiscard]] bool owned_by_this_thread() const noexcept {
    return !claimed_ || owner_ == std::this_thread::get_id();
  }
  [[nodiscard]] bool claimed() const noexcept { return claimed_; }
  [[nodiscard]] io_uring& raw() noexcept { return *ring_; }

 private:
  Ring(std::unique_ptr<io_uring> ring, const RingFeatures& features) noexcept;
  void claim();

  std::unique_ptr<io_uring> ring_;
  std::vector<Completion> aside_;
  std::size_t aside_taken_ = 0;
  std::uint64_t outstanding_ = 0;
  std::thread::id owner_;
  bool claimed_ = false;
};

}  // namespace tocsin::io::uring
