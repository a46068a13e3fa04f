#pragma once
// A deterministic world for tests: virtual time, a network and a disk in memory, and faults, behind
// the Io interface. Everything happens on one thread; the same seed and the same calls give the
// same trace.
//
//   SimWorld world(seed, {.short_read = 0.3, .reset = 0.01});
//   auto io = world.make_io();             // The machine under test.
//   auto peer = world.make_remote_io();    // Somebody else's machine.
//   world.set_turn(*io, [&] { loop.turn(); });
//   world.run_until([&] { return done; }, 10s);

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "io/io.hpp"
#include "io/sim/sim_disk.hpp"
#include "io/sim/sim_faults.hpp"
#include "io/sim/sim_files.hpp"
#include "io/sim/sim_network.hpp"
#include "io/sim/sim_process.hpp"
#include "io/sim/sim_random.hpp"
#include "io/sim/sim_timeline.hpp"

namespace tocsin::io {

class SimIo;

/// Must outlive its Ios.
class SimWorld {
 public:
  explicit SimWorld(std::uint64_t seed, const SimFaults& faults = {});
  SimWorld(const SimWorld&) = delete;
  SimWorld& operator=(const SimWorld&) = delete;
  ~SimWorld();

  /// An Io of the machine under test: its disk, its clocks, and it dies in power_cut() and
  /// kill_process(). Making the first one after a power cut is the machine's next boot.
  [[nodiscard]] std::unique_ptr<SimIo> make_io(const IoOptions& options = {});
  /// An Io on another machine: what happens to the machine under test does not stop it. (It sees
  /// the same disk and wall clock; peers need neither.)
  [[nodiscard]] std::unique_ptr<SimIo> make_remote_io(const IoOptions& options = {});

  // --- time -------------------------------------------------------------------------------------
  /// World time. An Io's now() is its machine's, which starts again at each boot.
  [[nodiscard]] MonoTime now() const noexcept { return timeline_.now(); }
  [[nodiscard]] WallTime wall_now() const noexcept;
  void step_wall(Duration delta) noexcept { wall_step_ += delta; }
  void set_wall_trusted(bool trusted) noexcept { wall_trusted_ = trusted; }
  [[nodiscard]] bool wall_trusted() const noexcept { return wall_trusted_; }
  [[nodiscard]] BootId boot_id() const noexcept { return boot_id_; }

  /// How run_until() lets this Io's owner run, usually `loop.turn()`. Without it, it is polled.
  void set_turn(SimIo& io, std::function<void()> turn);
  /// Lets all living Ios run, in a seeded order, time advancing only when none has anything to do.
  /// True when `done` came true, false after `limit` of world time.
  bool run_until(const std::function<bool()>& done, Duration limit = std::chrono::minutes{10});
  void run_for(Duration time);

  // --- faults -----------------------------------------------------------------------------------
  [[nodiscard]] SimFaults& faults() noexcept { return faults_; }
  /// The n-th (1 = the next) operation fails. See SimFaultScript.
  void fail_nth(FileOperation operation, std::uint64_t n, Errno error,
                Repeat repeat = Repeat::once) {
    files_.script().fail_nth(operation, n, error, repeat);
  }
  /// `bytes_before` bytes of the failing write reach the file all the same.
  void fail_nth_write(std::uint64_t n, Errno error, Repeat repeat = Repeat::once,
                      std::uint64_t bytes_before = 0) {
    files_.script().fail_nth(FileOperation::write, n, error, repeat, bytes_before);
  }
  void fail_nth_sync(std::uint64_t n, Errno error, Repeat repeat = Repeat::once) {
    fail_nth(FileOperation::sync, n, error, repeat);
  }
  void clear_file_faults() { files_.script().clear(); }
  void fail_accepts(std::uint64_t count, Errno error) { network_.fail_accepts(count, error); }
  void refuse_connects(std::uint64_t count) { network_.refuse_connects(count); }
  void reset(const Endpoint& endpoint) { network_.reset(endpoint); }
  void partition(const Endpoint& endpoint) { network_.partition(endpoint); }
  void heal(const Endpoint& endpoint) { network_.heal(endpoint); }
  void heal_all() { network_.heal_all(); }

  /// The machine under test loses power: its Ios are dead (see SimIo::dead), their handlers hear
  /// nothing more, and the disk keeps what was durable. Peers are not told.
  void power_cut(Unsynced unsynced = Unsynced::lost);
  /// Cuts the power when exactly `bytes` more bytes have been written to files.
  void power_cut_after_bytes(std::uint64_t bytes, Unsynced unsynced = Unsynced::kept) {
    files_.cut_after_bytes(bytes, unsynced);
  }
  /// kill -9 of all processes of the machine under test: as above, but what was written stays
  /// written and their connections are reset.
  void kill_process();

  // --- for tests --------------------------------------------------------------------------------
  [[nodiscard]] SimDisk& disk() noexcept { return disk_; }
  /// Connections that still exist, counted once per end.
  [[nodiscard]] std::size_t sockets() const noexcept { return network_.sockets(); }
  /// Hash of everything that Ios were told so far: when, whom, what.
  [[nodiscard]] std::uint64_t trace_hash() const noexcept { return trace_.hash(); }
  [[nodiscard]] std::uint64_t trace_count() const noexcept { return trace_.count(); }

 private:
  friend class SimIo;

  struct Runner {
    SimIo* io = nullptr;
    std::function<void()> turn;
  };

  std::unique_ptr<SimIo> add_io(const IoOptions& options, bool remote);
  void remove_io(SimProcess& process);
  void end(SimProcess& process, SimEnd end, Unsynced unsynced);
  void end_machine(SimEnd end, Unsynced unsynced);
  void boot();

  void poll(SimProcess& process, MonoTime deadline);
  void wait(SimProcess& process, MonoTime deadline);
  void deliver(SimProcess& process);
  [[nodiscard]] std::uint64_t posted_to_others(const SimProcess& process) const noexcept;
  [[nodiscard]] MonoTime next_wish(const SimProcess* except) const noexcept;
  bool run_round(const std::function<bool()>& done, bool& quiet);
  void advance(MonoTime limit);

  SimFaults faults_;
  SimRandom random_;
  SimTimeline timeline_;
  SimTrace trace_;
  SimDisk disk_;
  SimRandom disk_random_;
  SimFiles files_;
  SimNetwork network_;
  // Ended processes stay: late events may still name them.
  std::vector<std::unique_ptr<SimProcess>> processes_;
  std::map<std::uint32_t, Runner> runners_;
  std::map<NodeId, std::uint32_t> locks_;  // File to process.
  Duration wall_step_{};
  bool wall_trusted_ = true;
  bool powered_ = true;
  bool stepping_ = false;  // Inside run_until: polls do not move time.
  BootId boot_id_{};
  Duration boot_{};
};

}  // namespace tocsin::io
