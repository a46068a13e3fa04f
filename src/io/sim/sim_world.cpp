#include "io/sim/sim_world.hpp"

#include <algorithm>
#include <cassert>
#include <span>
#include <utility>

#include "io/sim/sim_io.hpp"

namespace tocsin::io {
namespace {

// 2026-01-01 00:00:00 UTC.
constexpr WallTime wall_start{std::chrono::seconds{1'767'225'600}};
// What a poll that finds nothing costs, so that busy waiting comes to an end.
constexpr Duration idle_poll{std::chrono::microseconds{1}};
// How long a poll waits when nothing would ever end its wait.
constexpr Duration idle_wait{std::chrono::milliseconds{1}};

}  // namespace

SimWorld::SimWorld(std::uint64_t seed, const SimFaults& faults)
    : faults_(faults),
      random_(seed),
      disk_random_(random_.next()),
      files_(timeline_, trace_, faults_, disk_, random_.next(),
             [this](Unsynced unsynced) { power_cut(unsynced); }),
      network_(timeline_, trace_, faults_, random_.next()) {
  random_.fill(std::as_writable_bytes(std::span(boot_id_)));
}

SimWorld::~SimWorld() { assert(runners_.empty() && "the world must outlive its Ios"); }

std::unique_ptr<SimIo> SimWorld::make_io(const IoOptions& options) {
  if (!powered_) boot();
  return add_io(options, false);
}

std::unique_ptr<SimIo> SimWorld::make_remote_io(const IoOptions& options) {
  return add_io(options, true);
}

std::unique_ptr<SimIo> SimWorld::add_io(const IoOptions& options, bool remote) {
  auto process = std::make_unique<SimProcess>();
  process->ordinal = static_cast<std::uint32_t>(processes_.size());
  process->remote = remote;
  process->options = options;
  process->boot = remote ? Duration{} : boot_;
  auto io = std::make_unique<SimIo>(*this, *process, random_.next());
  SimIo* const polled = io.get();
  runners_[process->ordinal] = {polled, [polled] { polled->poll(MonoTime::max()); }};
  processes_.push_back(std::move(process));
  return io;
}

void SimWorld::remove_io(SimProcess& process) {
  end(process, SimEnd::exit, Unsynced::kept);
  runners_.erase(process.ordinal);
}

WallTime SimWorld::wall_now() const noexcept {
  return wall_start + (timeline_.now() - SimTimeline::start) + wall_step_;
}

// --- ends
// -----------------------------------------------------------------------------------------

void SimWorld::end(SimProcess& process, SimEnd end, Unsynced unsynced) {
  if (process.dead) return;
  files_.end_process(process, end, unsynced);
  network_.end_process(process, end);
  std::erase_if(locks_, [&](const auto& lock) { return lock.second == process.ordinal; });
  process.dead = true;
  process.ready.clear();
  trace_.add(SimNotice::process_end, timeline_.now(), process.ordinal,
             static_cast<std::uint64_t>(end), 0);
}

void SimWorld::end_machine(SimEnd how, Unsynced unsynced) {
  for (const auto& process : processes_) {
    if (!process->remote) end(*process, how, unsynced);
  }
}

void SimWorld::power_cut(Unsynced unsynced) {
  trace_.add(SimNotice::power_cut, timeline_.now(), 0, static_cast<std::uint64_t>(unsynced), 0);
  powered_ = false;
  end_machine(SimEnd::power_cut, unsynced);
  network_.power_off();
  disk_.power_cut(unsynced, disk_random_);
}

void SimWorld::kill_process() { end_machine(SimEnd::killed, Unsynced::kept); }

void SimWorld::boot() {
  powered_ = true;
  boot_ = timeline_.now() - SimTimeline::start;
  random_.fill(std::as_writable_bytes(std::span(boot_id_)));
  network_.boot();
}

// --- one Io waits
// ---------------------------------------------------------------------------------

std::uint64_t SimWorld::posted_to_others(const SimProcess& process) const noexcept {
  std::uint64_t posted = 0;
  for (const auto& other : processes_) {
    if (other.get() != &process) posted += other->posted;
  }
  return posted;
}

// The first time in the future at which somebody asked to run.
MonoTime SimWorld::next_wish(const SimProcess* except) const noexcept {
  MonoTime next = MonoTime::max();
  for (const auto& process : processes_) {
    const bool wishes = !process->dead && process.get() != except;
    if (wishes && process->wants_at > timeline_.now()) next = std::min(next, process->wants_at);
  }
  return next;
}

void SimWorld::poll(SimProcess& process, MonoTime deadline) {
  assert(!process.in_poll && "poll() called from a handler");
  timeline_.advance_to(timeline_.now());
  process.wants_at = deadline;
  if (!stepping_) wait(process, deadline);
  process.woken.store(false);
  deliver(process);
}

void SimWorld::wait(SimProcess& process, MonoTime deadline) {
  const MonoTime began = timeline_.now();
  const std::uint64_t others = posted_to_others(process);
  while (process.ready.empty() && !process.woken) {
    if (process.dead) return timeline_.advance_to(std::min(deadline, began + idle_wait));
    if (timeline_.now() >= deadline) {
      if (timeline_.now() == began) timeline_.advance_to(began + idle_poll);
      return;
    }
    const MonoTime wish = next_wish(&process);
    const MonoTime target = std::min({deadline, wish, timeline_.next_due()});
    // Nothing will ever happen, unless a thread of the real world calls wake().
    if (target == MonoTime::max()) return timeline_.advance_to(began + idle_wait);
    timeline_.advance_to(target);
    // Whoever steps several Ios by hand gets the turn to let the others run.
    if (target == wish || posted_to_others(process) != others) return;
  }
}

void SimWorld::deliver(SimProcess& process) {
  process.in_poll = true;
  // What the handlers cause waits for the next poll: a turn is bounded.
  for (std::size_t n = process.ready.size(); n > 0 && !process.dead; --n) {
    const auto completion = std::move(process.ready.front());
    process.ready.pop_front();
    completion();
  }
  process.in_poll = false;
}

// --- all Ios run
// ----------------------------------------------------------------------------------

void SimWorld::set_turn(SimIo& io, std::function<void()> turn) {
  for (auto& [ordinal, runner] : runners_) {
    if (runner.io != &io) continue;
    runner.turn = std::move(turn);
    return;
  }
}

// One turn of everybody. `quiet` when nobody had anything to do.
bool SimWorld::run_round(const std::function<bool()>& done, bool& quiet) {
  std::vector<std::uint32_t> order;
  for (const auto& [ordinal, runner] : runners_) order.push_back(ordinal);
  for (std::size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1], order[static_cast<std::size_t>(random_.below(i))]);
  }
  quiet = true;
  for (const std::uint32_t ordinal : order) {
    const auto runner = runners_.find(ordinal);
    const SimProcess& process = *processes_[ordinal];
    if (runner == runners_.end() || process.dead) continue;
    const MonoTime wanted_at = process.wants_at;
    quiet &= process.ready.empty() && !process.woken;
    const auto turn = runner->second.turn;  // A copy: the turn may remove its own Io.
    turn();
    quiet &= process.wants_at == wanted_at;
    if (done()) return true;
  }
  for (const auto& process : processes_) {
    quiet &= process->dead || (process->ready.empty() && !process->woken);
  }
  return false;
}

void SimWorld::advance(MonoTime limit) {
  bool busy = false;
  for (const auto& process : processes_) {
    busy |= !process->dead && process->wants_at <= timeline_.now();
  }
  const MonoTime next = std::min({limit, next_wish(nullptr), timeline_.next_due()});
  timeline_.advance_to(busy ? std::min(next, timeline_.now() + idle_poll) : next);
}

bool SimWorld::run_until(const std::function<bool()>& done, Duration limit) {
  assert(!stepping_);
  const MonoTime end = timeline_.now() + limit;
  bool reached = done();
  while (!reached && timeline_.now() < end) {
    bool quiet = true;
    stepping_ = true;
    reached = run_round(done, quiet);
    stepping_ = false;
    if (!reached && quiet) advance(end);
    if (!reached && quiet) reached = done();
  }
  return reached;
}

void SimWorld::run_for(Duration time) {
  run_until([] { return false; }, time);
}

}  // namespace tocsin::io
