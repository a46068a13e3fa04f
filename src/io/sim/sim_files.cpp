#include "io/sim/sim_files.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <utility>

namespace tocsin::io {
namespace {

std::vector<std::byte> joined(std::span<const Piece> pieces) {
  std::vector<std::byte> bytes;
  for (const Piece& piece : pieces) {
    bytes.insert(bytes.end(), piece.data, piece.data + piece.size);
  }
  return bytes;
}

}  // namespace

SimFiles::SimFiles(SimTimeline& timeline, SimTrace& trace, const SimFaults& faults, SimDisk& disk,
                   std::uint64_t seed, std::function<void(Unsynced)> on_cut)
    : timeline_(timeline),
      trace_(trace),
      faults_(faults),
      disk_(disk),
      random_(seed),
      on_cut_(std::move(on_cut)) {}

void SimFiles::cut_after_bytes(std::uint64_t bytes, Unsynced unsynced) {
  bytes_to_cut_ = bytes;
  cut_unsynced_ = unsynced;
}

Duration SimFiles::write_latency() {
  Duration time = random_.between(faults_.write_latency_min, faults_.write_latency_max);
  if (random_.chance(faults_.slow_disk)) time += random_.between({}, faults_.slow_disk_max);
  return time;
}

Duration SimFiles::sync_latency() {
  Duration time = random_.between(faults_.sync_latency_min, faults_.sync_latency_max);
  if (random_.chance(faults_.slow_disk)) time += random_.between({}, faults_.slow_disk_max);
  return time;
}

void SimFiles::decide_faults(Operation& operation) {
  operation.write_fault = script_.next(FileOperation::write);
  if (operation.write_fault.error == 0 && random_.chance(faults_.write_error)) {
    operation.write_fault.error = random_.chance(0.5) ? ENOSPC : EIO;
    if (random_.chance(faults_.short_write)) {
      operation.write_fault.bytes_before = random_.below(operation.bytes.size() + 1);
    }
  }
  if (!operation.sync) return;
  operation.sync_fault = script_.next(FileOperation::sync).error;
  if (operation.sync_fault == 0 && random_.chance(faults_.sync_error)) operation.sync_fault = EIO;
}

void SimFiles::write(SimProcess& process, FileId file, std::span<const Piece> pieces,
                     std::uint64_t offset, bool sync, FileHandler& handler) {
  SimProcess::OpenFile& open = process.files[file.slot];
  ++open.inflight;
  Operation operation;
  operation.process = &process;
  operation.file = file;
  operation.node = open.node;
  operation.live.assign(pieces.begin(), pieces.end());
  operation.bytes = joined(pieces);
  operation.offset = offset;
  operation.sync = sync;
  operation.handler = &handler;
  decide_faults(operation);
  if (open.mode == OpenMode::read) operation.write_fault = {EBADF, 0};
  const OperationId id = next_operation_++;
  operations_.emplace(id, std::move(operation));
  timeline_.after(write_latency(), [this, id] { apply(id); });
}

void SimFiles::sync_directory(SimProcess& process, const std::string& path, FileHandler& handler) {
  Operation operation;
  operation.process = &process;
  operation.directory = path;
  operation.sync_fault = script_.next(FileOperation::sync_directory).error;
  operation.handler = &handler;
  const OperationId id = next_operation_++;
  operations_.emplace(id, std::move(operation));
  timeline_.after(sync_latency(), [this, id] { finish_directory(id); });
}

void SimFiles::finish_directory(OperationId id) {
  const auto found = operations_.find(id);
  if (found == operations_.end()) return;
  const Operation& operation = found->second;
  Errno error = operation.sync_fault;
  if (error == 0) {
    const auto synced = disk_.sync_directory(operation.directory);
    if (!synced) error = synced.error();
  }
  complete(id, error);
}

// Writes an operation's bytes up to `upto`. False when that cut the power: the operation is gone.
bool SimFiles::put(OperationId id, std::uint64_t upto) {
  Operation& operation = operations_.at(id);
  std::span<const std::byte> bytes(operation.bytes);
  bytes = bytes.subspan(static_cast<std::size_t>(operation.written),
                        static_cast<std::size_t>(upto - operation.written));
  const std::uint64_t offset = operation.offset + operation.written;
  const bool cut = bytes_to_cut_ && *bytes_to_cut_ <= bytes.size();
  if (cut) bytes = bytes.first(static_cast<std::size_t>(*bytes_to_cut_));
  disk_.write(operation.node, bytes, offset);
  operation.written += bytes.size();
  if (!cut) {
    if (bytes_to_cut_) *bytes_to_cut_ -= bytes.size();
    return true;
  }
  bytes_to_cut_.reset();
  on_cut_(cut_unsynced_);
  return false;
}

void SimFiles::apply(OperationId id) {
  const auto found = operations_.find(id);
  if (found == operations_.end()) return;
  Operation& operation = found->second;
  const std::uint64_t size = operation.bytes.size();
  if (operation.write_fault.error != 0) {
    const std::uint64_t torn = std::min(operation.write_fault.bytes_before, size);
    if (put(id, torn)) complete(id, operation.write_fault.error);
    return;
  }
  const bool splits = operation.written == 0 && size > 1 && random_.chance(faults_.short_write);
  if (splits) {
    if (!put(id, 1 + random_.below(size - 1))) return;
    timeline_.after(write_latency(), [this, id] { apply(id); });
    return;
  }
  // The bytes are borrowed until on_file_done, so they cannot have changed.
  assert(joined(operation.live) == operation.bytes);
  if (!put(id, size)) return;
  if (operation.sync) {
    begin_sync(id);
  } else {
    complete(id, 0);
  }
}

void SimFiles::begin_sync(OperationId id) {
  Operation& operation = operations_.at(id);
  operation.sync_point = disk_.begin_sync(operation.node);
  timeline_.after(sync_latency(), [this, id] { finish_sync(id); });
}

void SimFiles::finish_sync(OperationId id) {
  const auto found = operations_.find(id);
  if (found == operations_.end()) return;
  Operation& operation = found->second;
  if (operation.sync_fault == 0) {
    disk_.finish_sync(operation.node, operation.sync_point);
  } else {
    disk_.fail_sync(operation.node, operation.sync_point, random_);
  }
  complete(id, operation.sync_fault);
}

void SimFiles::complete(OperationId id, Errno error) {
  auto node = operations_.extract(id);
  SimProcess& process = *node.mapped().process;
  FileHandler& handler = *node.mapped().handler;
  const FileId file = node.mapped().file;
  process.post([this, &process, &handler, file, error] {
    if (file != FileId{}) --process.files[file.slot].inflight;
    trace_.add(SimNotice::file_done, timeline_.now(), process.ordinal, file.slot,
               static_cast<std::uint64_t>(error));
    handler.on_file_done(error);
  });
}

Result<void, Errno> SimFiles::sync(NodeId file) {
  Errno error = script_.next(FileOperation::sync).error;
  if (error == 0 && random_.chance(faults_.sync_error)) error = EIO;
  block_for_sync();
  const SimDisk::SyncPoint point = disk_.begin_sync(file);
  if (error != 0) {
    disk_.fail_sync(file, point, random_);
    return Unexpected{error};
  }
  disk_.finish_sync(file, point);
  return {};
}

void SimFiles::end_process(const SimProcess& process, SimEnd end, Unsynced unsynced) {
  // A cut that keeps everything is used to tear a write at an exact byte: nothing is added to it.
  const bool writes_on = end != SimEnd::power_cut || unsynced == Unsynced::random_sectors;
  std::erase_if(operations_, [&](const auto& entry) {
    const Operation& operation = entry.second;
    if (operation.process != &process) return false;
    const std::uint64_t left = operation.bytes.size() - operation.written;
    if (writes_on && left > 0 && operation.write_fault.error == 0) {
      const std::uint64_t some = random_.below(left + 1);
      const std::uint64_t upto = random_.chance(0.25) ? left : random_.chance(0.33) ? 0 : some;
      disk_.write(
          operation.node,
          std::span<const std::byte>(operation.bytes)
              .subspan(static_cast<std::size_t>(operation.written), static_cast<std::size_t>(upto)),
          operation.offset + operation.written);
    }
    return true;
  });
}

}  // namespace tocsin::io
