#pragma once
// One simulated process's view of a SimWorld.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "io/io.hpp"
#include "io/sim/sim_faults.hpp"
#include "io/sim/sim_process.hpp"
#include "io/sim/sim_random.hpp"

namespace tocsin::io {

class SimWorld;

/// Made by SimWorld::make_io(). poll() delivers what is due; when nothing is, virtual time jumps to
/// the next event or the deadline. It also returns early when another Io of the world got something
/// to do. Destroying it ends its process in good order: no handler hears of it.
class SimIo final : public Io {
 public:
  SimIo(SimWorld& world, SimProcess& process, std::uint64_t seed);
  SimIo(const SimIo&) = delete;
  SimIo& operator=(const SimIo&) = delete;
  ~SimIo() override;

  Result<ListenerId, Errno> listen(const Endpoint& endpoint, bool shared,
                                   AcceptHandler& handler) override;
  [[nodiscard]] Endpoint local_endpoint(ListenerId listener) const override;
  void close_listener(ListenerId listener) override;
  Result<StreamId, Errno> connect(const Endpoint& endpoint, StreamHandler& handler) override;
  void receive_start(StreamId stream) override;
  void receive_stop(StreamId stream) override;
  void send(StreamId stream, std::span<const std::byte> bytes) override;
  void close(StreamId stream) override;

  void write(FileId file, std::span<const std::byte> bytes, std::uint64_t offset,
             FileHandler& handler) override;
  void write_and_sync(FileId file, std::span<const std::byte> bytes, std::uint64_t offset,
                      FileHandler& handler) override;
  void gather_and_sync(FileId file, std::span<const Piece> pieces, std::uint64_t offset,
                       FileHandler& handler) override;
  void begin_sync_directory(const std::string& path, FileHandler& handler) override;
  Result<FileId, Errno> open(const std::string& path, OpenMode mode) override;
  void close_file(FileId file) override;
  Result<std::size_t, Errno> read(FileId file, std::span<std::byte> into,
                                  std::uint64_t offset) override;
  Result<std::uint64_t, Errno> size(FileId file) override;
  Result<void, Errno> truncate(FileId file, std::uint64_t size) override;
  Result<void, Errno> allocate(FileId file, std::uint64_t size) override;
  Result<void, Errno> sync(FileId file) override;
  Result<void, Errno> make_directories(const std::string& path) override;
  Result<void, Errno> sync_directory(const std::string& path) override;
  Result<std::vector<std::string>, Errno> list(const std::string& directory) override;
  Result<void, Errno> rename(const std::string& from, const std::string& to) override;
  Result<void, Errno> remove(const std::string& path) override;
  Result<void, Errno> lock(const std::string& path) override;

  [[nodiscard]] MonoTime now() const noexcept override;
  [[nodiscard]] WallTime wall_now() const noexcept override;
  [[nodiscard]] bool wall_trusted() const noexcept override;
  [[nodiscard]] BootId boot_id() const noexcept override { return boot_id_; }
  void random(std::span<std::byte> into) noexcept override { random_.fill(into); }

  void poll(MonoTime deadline) override;
  void wake() noexcept override { process_.woken = true; }
  [[nodiscard]] Backend backend() const noexcept override { return Backend::sim; }

  /// After a power cut or a kill: operations fail with EIO or do nothing, and no handler is called.
  [[nodiscard]] bool dead() const noexcept { return process_.dead; }
  /// Ends the sending direction only, which Io cannot: for peers that half-close.
  void shut_down(StreamId stream);

 private:
  [[nodiscard]] SimProcess::OpenFile& file(FileId file);
  /// EIO when dead, else what the script says.
  Errno check(FileOperation operation);

  SimWorld& world_;
  SimProcess& process_;
  SimRandom random_;
  BootId boot_id_;
};

}  // namespace tocsin::io
