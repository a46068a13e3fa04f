#include "io/uring/ring.hpp"

#include <liburing.h>
#include <sched.h>

#include <array>
#include <cassert>
#include <cerrno>
#include <cstdlib>

#include <fmt/format.h>

#include "base/errno_text.hpp"

namespace tocsin::io::uring {
namespace {

static_assert(IORING_CQE_F_BUFFER == 1U && IORING_CQE_F_MORE == 2U);
static_assert(IORING_CQE_BUFFER_SHIFT == 16);

// The submission queue bounds what one turn batches, not what is in flight. The completion queue is
// longer because one multishot operation completes many times; what does not fit waits in the
// kernel.
constexpr unsigned submissions_max = 1024;
constexpr unsigned completions_max = 4096;
constexpr unsigned flags_always =
    IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_R_DISABLED;

/// Best first: completions run when we ask for them (6.1), at the next entry by the one submitter
/// (6.0), at the next entry (5.19), whenever the kernel likes. SUBMIT_ALL (5.18) spares a turn
/// after an operation that fails at once.
constexpr std::array flags_wanted{
    IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
        IORING_SETUP_TASKRUN_FLAG,
    IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN |
        IORING_SETUP_TASKRUN_FLAG,
    IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    0U,
};

bool kernel_has_work(const io_uring& ring) noexcept {
  const unsigned flags = IO_URING_READ_ONCE(*ring.sq.kflags);
  return (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

}  // namespace

Ring::Ring(std::unique_ptr<io_uring> ring, const RingFeatures& features) noexcept
    : ring_(std::move(ring)) {
  // liburing then waits by an operation of its own.
  if (!features.extended_wait) ring_->features &= ~IORING_FEAT_EXT_ARG;
}

Ring::~Ring() { io_uring_queue_exit(ring_.get()); }

Result<std::unique_ptr<Ring>, std::string> Ring::make(const RingFeatures& features) {
  const unsigned needed = IORING_FEAT_NODROP | (features.extended_wait ? IORING_FEAT_EXT_ARG : 0U);
  int error = EINVAL;
  for (const unsigned flags : flags_wanted) {
    if (features.plain_setup && flags != 0) continue;
    auto ring = std::make_unique<io_uring>();
    io_uring_params params{};
    params.flags = flags_always | flags;
    params.cq_entries = completions_max;
    error = -io_uring_queue_init_params(submissions_max, ring.get(), &params);
    if (error == EINVAL) continue;
    if (error != 0) break;
    std::unique_ptr<Ring> made{new Ring(std::move(ring), features)};
    if ((params.features & needed) != needed) {
      return Unexpected{std::string{"the kernel's io_uring is too old"}};
    }
    return made;
  }
  return Unexpected{fmt::format("io_uring_setup: {}", errno_text(error))};
}

void Ring::claim() {
  if (claimed_) return;
  claimed_ = true;
  owner_ = std::this_thread::get_id();
  // io_uring_enable_rings() by hand: the shared library of liburing 2.3 does not export it.
  [[maybe_unused]] const int result = io_uring_register(static_cast<unsigned>(ring_->ring_fd),
                                                        IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
  assert(result == 0);
  // Saves the look-up of the descriptor at each entry; merely slower when refused.
  io_uring_register_ring_fd(ring_.get());
}

void Ring::reserve(unsigned count) {
  // The kernel takes entries at once unless it is out of memory, which passes or is fatal, or
  // (before 5.19) keeps completions that found no room: it wants those taken first.
  constexpr int attempts_max = 1000;
  for (int attempt = 0; io_uring_sq_space_left(ring_.get()) < count; ++attempt) {
    if (attempt == attempts_max) std::abort();
    if (attempt > 0) ::sched_yield();
    claim();
    if (io_uring_submit(ring_.get()) == -EBUSY) set_aside();
  }
}

void Ring::set_aside() {
  unsigned taken = 0;
  unsigned head = 0;
  io_uring_cqe* cqe = nullptr;
  io_uring_for_each_cqe(ring_.get(), head, cqe) {
    ++taken;
    if (cqe->user_data == LIBURING_UDATA_TIMEOUT) continue;  // See !extended_wait.
    aside_.push_back({OpTag::unpack(cqe->user_data), cqe->res, cqe->flags});
  }
  io_uring_cq_advance(ring_.get(), taken);
}

io_uring_sqe* Ring::next_sqe(OpTag tag) {
  reserve(1);
  io_uring_sqe* const sqe = io_uring_get_sqe(ring_.get());
  assert(sqe != nullptr);
  sqe->user_data = tag.pack();
  ++outstanding_;
  return sqe;
}

bool Ring::submit_and_wait(Duration timeout) {
  claim();
  assert(owned_by_this_thread());
  int result = 0;
  if (!aside_.empty()) timeout = Duration::zero();
  if (timeout > Duration::zero()) {
    io_uring_cqe* first = nullptr;
    const auto seconds = std::chrono::floor<std::chrono::seconds>(timeout);
    __kernel_timespec time{};
    time.tv_sec = seconds.count();
    time.tv_nsec = (timeout - seconds).count();
    result = io_uring_submit_and_wait_timeout(ring_.get(), &first, 1, &time, nullptr);
  } else if (io_uring_sq_ready(ring_.get()) > 0 || kernel_has_work(*ring_)) {
    result = io_uring_submit_and_get_events(ring_.get());
  }
  return result != -EINTR;
}

void Ring::drop_pending() noexcept {
  const io_uring_sq& queue = ring_->sq;
  for (unsigned i = queue.sqe_head; i != queue.sqe_tail; ++i) {
    io_uring_prep_nop(&queue.sqes[i & queue.ring_mask]);
  }
}

std::size_t Ring::take(std::span<Completion> into) {
  std::size_t count = 0;
  while (count < into.size() && aside_taken_ < aside_.size())
    into[count++] = aside_[aside_taken_++];
  if (aside_taken_ == aside_.size()) {
    aside_.clear();
    aside_taken_ = 0;
  }
  unsigned taken = 0;
  unsigned head = 0;
  io_uring_cqe* cqe = nullptr;
  io_uring_for_each_cqe(ring_.get(), head, cqe) {
    if (count == into.size()) break;
    ++taken;
    if (cqe->user_data == LIBURING_UDATA_TIMEOUT) continue;  // See !extended_wait.
    into[count++] = {OpTag::unpack(cqe->user_data), cqe->res, cqe->flags};
  }
  io_uring_cq_advance(ring_.get(), taken);
  for (const Completion& completion : into.first(count)) {
    if (!completion.more()) --outstanding_;
  }
  return count;
}

}  // namespace tocsin::io::uring
