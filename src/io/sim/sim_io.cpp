#include "io/sim/sim_io.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>

#include "io/sim/sim_world.hpp"

namespace tocsin::io {

SimIo::SimIo(SimWorld& world, SimProcess& process, std::uint64_t seed)
    : world_(world), process_(process), random_(seed), boot_id_(world.boot_id()) {}

SimIo::~SimIo() { world_.remove_io(process_); }

// --- streams
// --------------------------------------------------------------------------------------

Result<ListenerId, Errno> SimIo::listen(const Endpoint& endpoint, bool shared,
                                        AcceptHandler& handler) {
  if (dead()) return Unexpected{EIO};
  return world_.network_.listen(process_, endpoint, shared, handler);
}

Endpoint SimIo::local_endpoint(ListenerId listener) const {
  return world_.network_.local_endpoint(listener);
}

void SimIo::close_listener(ListenerId listener) { world_.network_.close_listener(listener); }

Result<StreamId, Errno> SimIo::connect(const Endpoint& endpoint, StreamHandler& handler) {
  if (dead()) return Unexpected{EIO};
  return world_.network_.connect(process_, endpoint, handler);
}

void SimIo::receive_start(StreamId stream) {
  if (const auto socket = process_.find_stream(stream)) world_.network_.receive_start(*socket);
}

void SimIo::receive_stop(StreamId stream) {
  if (const auto socket = process_.find_stream(stream)) world_.network_.receive_stop(*socket);
}

void SimIo::send(StreamId stream, std::span<const std::byte> bytes) {
  if (const auto socket = process_.find_stream(stream)) world_.network_.send(*socket, bytes);
}

void SimIo::close(StreamId stream) {
  if (const auto socket = process_.find_stream(stream)) world_.network_.close(*socket);
}

void SimIo::shut_down(StreamId stream) {
  if (const auto socket = process_.find_stream(stream)) world_.network_.shut_down(*socket);
}

// --- files
// ----------------------------------------------------------------------------------------

SimProcess::OpenFile& SimIo::file(FileId file) {
  assert(file.slot < process_.files.size() && process_.files[file.slot].open);
  return process_.files[file.slot];
}

Errno SimIo::check(FileOperation operation) {
  return dead() ? EIO : world_.files_.check(operation);
}

void SimIo::write(FileId file, std::span<const std::byte> bytes, std::uint64_t offset,
                  FileHandler& handler) {
  if (dead()) return;
  assert(this->file(file).open);
  const Piece piece{bytes.data(), bytes.size()};
  world_.files_.write(process_, file, {&piece, 1}, offset, false, handler);
}

void SimIo::write_and_sync(FileId file, std::span<const std::byte> bytes, std::uint64_t offset,
                           FileHandler& handler) {
  if (dead()) return;
  assert(this->file(file).open);
  const Piece piece{bytes.data(), bytes.size()};
  world_.files_.write(process_, file, {&piece, 1}, offset, true, handler);
}

void SimIo::gather_and_sync(FileId file, std::span<const Piece> pieces, std::uint64_t offset,
                            FileHandler& handler) {
  if (dead()) return;
  assert(this->file(file).open);
  world_.files_.write(process_, file, pieces, offset, true, handler);
}

void SimIo::begin_sync_directory(const std::string& path, FileHandler& handler) {
  if (dead()) return;
  world_.files_.sync_directory(process_, path, handler);
}

Result<FileId, Errno> SimIo::open(const std::string& path, OpenMode mode) {
  if (const Errno error = check(FileOperation::open)) return Unexpected{error};
  const auto node = world_.disk_.open(path, mode);
  if (!node) return Unexpected{node.error()};
  // Slots are not used again: a stale FileId is always found out.
  const FileId id{static_cast<std::uint32_t>(process_.files.size())};
  process_.files.push_back({*node, mode, 0, true});
  return id;
}

void SimIo::close_file(FileId file) {
  SimProcess::OpenFile& open = this->file(file);
  assert((dead() || open.inflight == 0) && "close_file() with an operation in flight");
  open.open = false;
}

Result<std::size_t, Errno> SimIo::read(FileId file, std::span<std::byte> into,
                                       std::uint64_t offset) {
  if (const Errno error = check(FileOperation::read)) return Unexpected{error};
  return world_.disk_.read(this->file(file).node, into, offset);
}

Result<std::uint64_t, Errno> SimIo::size(FileId file) {
  if (dead()) return Unexpected{EIO};
  return world_.disk_.size(this->file(file).node);
}

Result<void, Errno> SimIo::truncate(FileId file, std::uint64_t size) {
  if (const Errno error = check(FileOperation::truncate)) return Unexpected{error};
  if (this->file(file).mode == OpenMode::read) return Unexpected{EINVAL};
  world_.disk_.truncate(this->file(file).node, size);
  return {};
}

Result<void, Errno> SimIo::allocate(FileId file, std::uint64_t size) {
  if (const Errno error = check(FileOperation::allocate)) return Unexpected{error};
  if (this->file(file).mode == OpenMode::read) return Unexpected{EBADF};
  const NodeId node = this->file(file).node;
  world_.disk_.truncate(node, std::max(size, world_.disk_.size(node)));
  return {};
}

Result<void, Errno> SimIo::sync(FileId file) {
  if (dead()) return Unexpected{EIO};
  return world_.files_.sync(this->file(file).node);
}

Result<void, Errno> SimIo::make_directories(const std::string& path) {
  if (const Errno error = check(FileOperation::make_directories)) return Unexpected{error};
  return world_.disk_.make_directories(path);
}

Result<void, Errno> SimIo::sync_directory(const std::string& path) {
  if (const Errno error = check(FileOperation::sync_directory)) return Unexpected{error};
  world_.files_.block_for_sync();
  return world_.disk_.sync_directory(path);
}

Result<std::vector<std::string>, Errno> SimIo::list(const std::string& directory) {
  if (const Errno error = check(FileOperation::list)) return Unexpected{error};
  return world_.disk_.list(directory);
}

Result<void, Errno> SimIo::rename(const std::string& from, const std::string& to) {
  if (const Errno error = check(FileOperation::rename)) return Unexpected{error};
  return world_.disk_.rename(from, to);
}

Result<void, Errno> SimIo::remove(const std::string& path) {
  if (const Errno error = check(FileOperation::remove)) return Unexpected{error};
  return world_.disk_.remove(path);
}

Result<void, Errno> SimIo::lock(const std::string& path) {
  if (const Errno error = check(FileOperation::lock)) return Unexpected{error};
  const auto node = world_.disk_.open(path, OpenMode::create_or_open);
  if (!node) return Unexpected{node.error()};
  const auto [lock, taken] = world_.locks_.try_emplace(*node, process_.ordinal);
  if (!taken && lock->second != process_.ordinal) return Unexpected{EWOULDBLOCK};
  return {};
}

// --- clocks and the loop
// --------------------------------------------------------------------------

MonoTime SimIo::now() const noexcept { return world_.now() - process_.boot; }

WallTime SimIo::wall_now() const noexcept { return world_.wall_now(); }

bool SimIo::wall_trusted() const noexcept { return world_.wall_trusted(); }

void SimIo::poll(MonoTime deadline) {
  const bool never = deadline > MonoTime::max() - process_.boot;
  world_.poll(process_, never ? MonoTime::max() : deadline + process_.boot);
}

}  // namespace tocsin::io
