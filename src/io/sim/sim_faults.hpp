#pragma once
// What may go wrong in a simulated world, by chance and by script.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include <tocsin/time.hpp>

#include "io/io.hpp"

namespace tocsin::io {

/// Probabilities (0 to 1) and delays. The defaults are a perfect but not instantaneous world. May
/// be changed while the world runs; what was already decided stays.
struct SimFaults {
  // --- network, per direction and segment unless said otherwise ---
  Duration latency_min = std::chrono::microseconds{100};
  Duration latency_max = std::chrono::microseconds{100};
  double delay = 0;  ///< A segment takes up to delay_max longer.
  Duration delay_max = std::chrono::seconds{2};
  double short_read = 0;  ///< A delivery hands over only part of what has arrived.
  double coalesce = 0;    ///< A delivery waits up to coalesce_max for more to arrive.
  Duration coalesce_max = std::chrono::milliseconds{5};
  double data_after_stop = 0;  ///< Data on its way to the handler comes in spite of receive_stop.
  double reset = 0;
  double connect_refused = 0;  ///< Per connection.
  double accept_error = 0;     ///< Per connection: EMFILE, then again after accept_pause.
  Duration accept_pause = std::chrono::milliseconds{100};
  double slow_send = 0;  ///< on_sent comes up to slow_send_max later.
  Duration slow_send_max = std::chrono::seconds{1};
  double slow_close = 0;  ///< on_closed comes up to slow_close_max later.
  Duration slow_close_max = std::chrono::milliseconds{50};
  std::size_t window_bytes = 65536;   ///< Sent and not yet taken, per direction: back-pressure.
  std::size_t segment_bytes = 16384;  ///< The most that arrives at once.

  // --- disk, per operation ---
  Duration write_latency_min = std::chrono::microseconds{50};
  Duration write_latency_max = std::chrono::microseconds{50};
  Duration sync_latency_min = std::chrono::microseconds{500};
  Duration sync_latency_max = std::chrono::microseconds{500};
  double slow_disk = 0;  ///< An operation takes up to slow_disk_max longer.
  Duration slow_disk_max = std::chrono::seconds{1};
  double write_error = 0;  ///< ENOSPC or EIO.
  double short_write = 0;  ///< A write goes in two parts; one that fails has written a part.
  double sync_error = 0;   ///< EIO; what was to be synced is then lost by chance, as on Linux.
};

/// What becomes of data that was written but not synced when the power goes.
enum class Unsynced : std::uint8_t {
  lost,            ///< Nothing of it survives.
  random_sectors,  ///< A seeded choice of 512-byte sectors and directory changes survives.
  kept,            ///< All of it: the cut alone tears the last write.
};

enum class Repeat : std::uint8_t { once, forever };

enum class FileOperation : std::uint8_t {
  write,  ///< write() and write_and_sync()
  sync,   ///< sync() and write_and_sync()
  open,
  read,
  truncate,
  allocate,
  make_directories,
  sync_directory,
  list,
  rename,
  remove,
  lock,
};

/// What the script says about one operation.
struct ScriptedFault {
  Errno error = 0;
  std::uint64_t bytes_before = 0;  ///< Bytes that a failing write has written.
};

/// Exact faults: "the n-th operation of this kind from now on fails". Operations count when they
/// are asked for.
class SimFaultScript {
 public:
  void fail_nth(FileOperation operation, std::uint64_t n, Errno error, Repeat repeat,
                std::uint64_t bytes_before = 0) {
    rules_.push_back({operation, repeat, n, {error, bytes_before}});
  }
  void clear() { rules_.clear(); }

  /// Counts one operation and says whether it fails.
  ScriptedFault next(FileOperation operation) {
    ScriptedFault found;
    for (Rule& rule : rules_) {
      if (rule.operation != operation) continue;
      if (rule.countdown > 0) --rule.countdown;
      if (rule.countdown != 0 || rule.spent) continue;
      rule.spent = rule.repeat == Repeat::once;
      if (found.error == 0) found = rule.fault;
    }
    return found;
  }

 private:
  struct Rule {
    FileOperation operation;
    Repeat repeat;
    std::uint64_t countdown;
    ScriptedFault fault;
    bool spent = false;
  };
  std::vector<Rule> rules_;
};

}  // namespace tocsin::io
