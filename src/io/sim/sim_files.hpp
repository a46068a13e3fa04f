#pragma once
// File operations of all processes: latency, faults and the order of their effects on the disk.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/io.hpp"
#include "io/sim/sim_disk.hpp"
#include "io/sim/sim_faults.hpp"
#include "io/sim/sim_process.hpp"
#include "io/sim/sim_random.hpp"
#include "io/sim/sim_timeline.hpp"

namespace tocsin::io {

class SimFiles {
 public:
  /// All borrowed for the lifetime of this object. `on_cut` is called when the byte of
  /// cut_after_bytes() has been written.
  SimFiles(SimTimeline& timeline, SimTrace& trace, const SimFaults& faults, SimDisk& disk,
           std::uint64_t seed, std::function<void(Unsynced)> on_cut);

  [[nodiscard]] SimFaultScript& script() noexcept { return script_; }
  void cut_after_bytes(std::uint64_t bytes, Unsynced unsynced);

  /// Asynchronous write of all pieces, with a sync linked to it on request.
  void write(SimProcess& process, FileId file, std::span<const Piece> pieces, std::uint64_t offset,
             bool sync, FileHandler& handler);
  /// Asynchronous too.
  void sync_directory(SimProcess& process, const std::string& path, FileHandler& handler);
  /// Blocking sync.
  Result<void, Errno> sync(NodeId file);
  /// Whether the script fails this blocking operation.
  Errno check(FileOperation operation) { return script_.next(operation).error; }
  /// The time that one blocking sync takes.
  void block_for_sync() { timeline_.block_for(sync_latency()); }

  /// The process is gone. Of its writes in flight a seeded part (none, some, all) has been made.
  void end_process(const SimProcess& process, SimEnd end, Unsynced unsynced);

 private:
  using OperationId = std::uint64_t;
  struct Operation {
    SimProcess* process = nullptr;
    FileId file;
    NodeId node = 0;
    std::vector<std::byte> bytes;  // As they were when the write was asked for.
    std::vector<Piece> live;       // The caller's, to see that it kept its promise.
    std::uint64_t offset = 0;
    std::uint64_t written = 0;
    bool sync = false;
    std::string directory;  // Not empty: a sync of it, and nothing else.
    ScriptedFault write_fault;
    Errno sync_fault = 0;
    FileHandler* handler = nullptr;
    SimDisk::SyncPoint sync_point;
  };

  void decide_faults(Operation& operation);
  void apply(OperationId id);
  void begin_sync(OperationId id);
  void finish_sync(OperationId id);
  void finish_directory(OperationId id);
  void complete(OperationId id, Errno error);
  bool put(OperationId id, std::uint64_t upto);
  Duration write_latency();
  Duration sync_latency();

  SimTimeline& timeline_;
  SimTrace& trace_;
  const SimFaults& faults_;
  SimDisk& disk_;
  SimRandom random_;
  std::function<void(Unsynced)> on_cut_;
  SimFaultScript script_;
  std::map<OperationId, Operation> operations_;
  OperationId next_operation_ = 0;
  std::optional<std::uint64_t> bytes_to_cut_;
  Unsynced cut_unsynced_ = Unsynced::lost;
};

}  // namespace tocsin::io
