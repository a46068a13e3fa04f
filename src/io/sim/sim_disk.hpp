#pragma once
// A disk in memory with two versions of everything: what programs see (volatile) and what would
// survive a power cut (durable). File contents become durable by a sync of the file, names by a
// sync of their directory. Paths may be relative: there is one working directory, the root.

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/io.hpp"
#include "io/sim/sim_faults.hpp"
#include "io/sim/sim_process.hpp"
#include "io/sim/sim_random.hpp"

namespace tocsin::io {

class SimDisk {
 public:
  static constexpr std::size_t sector_bytes = 512;

  /// What a sync has to make durable: the dirty sectors as they were when it began.
  struct SyncPoint {
    struct Sector {
      std::uint64_t number;
      std::uint64_t version;
      std::vector<std::byte> bytes;
    };
    std::uint64_t size = 0;
    std::vector<Sector> sectors;
  };

  SimDisk();

  // --- what programs do -------------------------------------------------------------------------
  Result<NodeId, Errno> open(std::string_view path, OpenMode mode);
  [[nodiscard]] std::size_t read(NodeId file, std::span<std::byte> into,
                                 std::uint64_t offset) const;
  void write(NodeId file, std::span<const std::byte> bytes, std::uint64_t offset);
  void truncate(NodeId file, std::uint64_t size);
  [[nodiscard]] std::uint64_t size(NodeId file) const;
  [[nodiscard]] SyncPoint begin_sync(NodeId file) const;
  void finish_sync(NodeId file, const SyncPoint& point);
  /// As Linux does: sectors that could not be written count as clean afterwards, so that a later
  /// sync succeeds without having saved them.
  void fail_sync(NodeId file, const SyncPoint& point, SimRandom& random);
  Result<void, Errno> make_directories(std::string_view path);
  Result<void, Errno> sync_directory(std::string_view path);
  /// Names in ascending order.
  Result<std::vector<std::string>, Errno> list(std::string_view path) const;
  Result<void, Errno> rename(std::string_view from, std::string_view to);
  /// Files only (EISDIR).
  Result<void, Errno> remove(std::string_view path);

  // --- what happens to it -----------------------------------------------------------------------
  void power_cut(Unsynced unsynced, SimRandom& random);

  // --- for tests --------------------------------------------------------------------------------
  /// What programs see.
  [[nodiscard]] std::optional<std::vector<std::byte>> read_file(std::string_view path) const;
  /// What the file's durable content is, under its present name.
  [[nodiscard]] std::optional<std::vector<std::byte>> durable_file(std::string_view path) const;
  /// Creates or replaces a file with its directories, durably.
  void write_file(std::string_view path, std::span<const std::byte> bytes);
  /// Flips the bits of `mask` in one byte, in both versions. False when there is no such byte.
  bool corrupt(std::string_view path, std::uint64_t offset, std::uint8_t mask);
  /// Absolute paths of all files, in ascending order.
  [[nodiscard]] std::vector<std::string> list_files() const;

 private:
  struct NameChange {
    std::string removed;  ///< Empty: none.
    std::string added;    ///< Empty: none.
    NodeId node = 0;
  };
  struct Node {
    bool directory = false;
    std::map<std::string, NodeId, std::less<>> names;
    std::map<std::string, NodeId, std::less<>> durable_names;
    std::vector<NameChange> changes;  ///< From durable_names to names, in order.
    std::vector<std::byte> data;
    std::vector<std::byte> durable;
    std::map<std::uint64_t, std::uint64_t> dirty;  ///< Sector to version.
  };
  /// The directory that holds a path's last name.
  struct Place {
    NodeId directory = 0;
    std::string name;
    std::optional<NodeId> node;
  };

  [[nodiscard]] Node& at(NodeId id) { return *nodes_[id]; }
  [[nodiscard]] const Node& at(NodeId id) const { return *nodes_[id]; }
  [[nodiscard]] Result<NodeId, Errno> find(std::string_view path) const;
  [[nodiscard]] const Node* find_file(std::string_view path) const;
  [[nodiscard]] Result<Place, Errno> place(std::string_view path) const;
  NodeId create(NodeId directory, const std::string& name, bool is_directory);
  void mark_dirty(Node& node, std::uint64_t begin, std::uint64_t end);
  static void change(Node& directory, NameChange change);
  static void apply(std::map<std::string, NodeId, std::less<>>& names, const NameChange& change);
  static void persist(Node& node, const SyncPoint::Sector& sector);
  void cut_file(Node& node, Unsynced unsynced, SimRandom& random);
  static void cut_directory(Node& node, Unsynced unsynced, SimRandom& random);
  void collect_files(const Node& directory, const std::string& prefix,
                     std::vector<std::string>& into) const;

  std::vector<std::unique_ptr<Node>> nodes_;  // The first one is the root.
  std::uint64_t version_ = 0;
};

}  // namespace tocsin::io
