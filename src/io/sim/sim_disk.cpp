#include "io/sim/sim_disk.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <utility>

namespace tocsin::io {
namespace {

constexpr NodeId root = 0;

// Lexical: there are no symbolic links here.
std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, slash);
    path.remove_prefix(std::min(slash + 1, path.size()));
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
    } else if (!part.empty() && part != ".") {
      parts.push_back(part);
    }
  }
  return parts;
}

}  // namespace

SimDisk::SimDisk() {
  nodes_.push_back(std::make_unique<Node>());
  at(root).directory = true;
}

Result<NodeId, Errno> SimDisk::find(std::string_view path) const {
  NodeId node = root;
  for (const std::string_view part : split(path)) {
    if (!at(node).directory) return Unexpected{ENOTDIR};
    const auto found = at(node).names.find(part);
    if (found == at(node).names.end()) return Unexpected{ENOENT};
    node = found->second;
  }
  return node;
}

Result<SimDisk::Place, Errno> SimDisk::place(std::string_view path) const {
  auto parts = split(path);
  if (parts.empty()) return Unexpected{EISDIR};
  Place place;
  place.name = parts.back();
  parts.pop_back();
  for (const std::string_view part : parts) {
    const auto found = at(place.directory).names.find(part);
    if (found == at(place.directory).names.end()) return Unexpected{ENOENT};
    place.directory = found->second;
    if (!at(place.directory).directory) return Unexpected{ENOTDIR};
  }
  const auto found = at(place.directory).names.find(place.name);
  if (found != at(place.directory).names.end()) place.node = found->second;
  return place;
}

void SimDisk::apply(std::map<std::string, NodeId, std::less<>>& names, const NameChange& change) {
  if (!change.removed.empty()) names.erase(change.removed);
  if (!change.added.empty()) names[change.added] = change.node;
}

void SimDisk::change(Node& directory, NameChange change) {
  apply(directory.names, change);
  directory.changes.push_back(std::move(change));
}

NodeId SimDisk::create(NodeId directory, const std::string& name, bool is_directory) {
  const NodeId id = nodes_.size();
  nodes_.push_back(std::make_unique<Node>());
  at(id).directory = is_directory;
  change(at(directory), {.removed = {}, .added = name, .node = id});
  return id;
}

Result<NodeId, Errno> SimDisk::open(std::string_view path, OpenMode mode) {
  const auto place = this->place(path);
  if (!place) return Unexpected{place.error()};
  if (place->node) {
    if (mode == OpenMode::create_new) return Unexpected{EEXIST};
    if (at(*place->node).directory) return Unexpected{EISDIR};
    return *place->node;
  }
  const bool creates = mode == OpenMode::create_new || mode == OpenMode::create_or_open;
  if (!creates) return Unexpected{ENOENT};
  return create(place->directory, place->name, false);
}

std::size_t SimDisk::read(NodeId file, std::span<std::byte> into, std::uint64_t offset) const {
  const Node& node = at(file);
  if (offset >= node.data.size()) return 0;
  const std::size_t n = std::min(into.size(), node.data.size() - static_cast<std::size_t>(offset));
  std::copy_n(node.data.begin() + static_cast<std::ptrdiff_t>(offset), n, into.begin());
  return n;
}

void SimDisk::mark_dirty(Node& node, std::uint64_t begin, std::uint64_t end) {
  ++version_;
  for (std::uint64_t sector = begin / sector_bytes; sector * sector_bytes < end; ++sector) {
    node.dirty[sector] = version_;
  }
}

void SimDisk::write(NodeId file, std::span<const std::byte> bytes, std::uint64_t offset) {
  if (bytes.empty()) return;
  Node& node = at(file);
  const std::uint64_t end = offset + bytes.size();
  const std::uint64_t old_size = node.data.size();
  if (end > old_size) node.data.resize(static_cast<std::size_t>(end));
  std::copy(bytes.begin(), bytes.end(), node.data.begin() + static_cast<std::ptrdiff_t>(offset));
  mark_dirty(node, offset, end);
}

void SimDisk::truncate(NodeId file, std::uint64_t size) {
  Node& node = at(file);
  const std::uint64_t old_size = node.data.size();
  // What is cut off must read as zeros if the file grows again, on the durable side too.
  if (size < old_size)
    mark_dirty(node, size, std::max<std::uint64_t>(old_size, node.durable.size()));
  node.data.resize(static_cast<std::size_t>(size));
}

std::uint64_t SimDisk::size(NodeId file) const { return at(file).data.size(); }

SimDisk::SyncPoint SimDisk::begin_sync(NodeId file) const {
  const Node& node = at(file);
  SyncPoint point;
  point.size = node.data.size();
  for (const auto& [number, version] : node.dirty) {
    const std::uint64_t begin = std::min<std::uint64_t>(number * sector_bytes, point.size);
    const std::uint64_t end = std::min<std::uint64_t>(begin + sector_bytes, point.size);
    point.sectors.push_back({number,
                             version,
                             {node.data.begin() + static_cast<std::ptrdiff_t>(begin),
                              node.data.begin() + static_cast<std::ptrdiff_t>(end)}});
  }
  return point;
}

void SimDisk::persist(Node& node, const SyncPoint::Sector& sector) {
  if (sector.bytes.empty()) return;
  const std::size_t begin = static_cast<std::size_t>(sector.number) * sector_bytes;
  if (node.durable.size() < begin + sector.bytes.size()) {
    node.durable.resize(begin + sector.bytes.size());
  }
  std::copy(sector.bytes.begin(), sector.bytes.end(),
            node.durable.begin() + static_cast<std::ptrdiff_t>(begin));
}

void SimDisk::finish_sync(NodeId file, const SyncPoint& point) {
  Node& node = at(file);
  node.durable.resize(static_cast<std::size_t>(point.size));
  for (const SyncPoint::Sector& sector : point.sectors) {
    persist(node, sector);
    const auto dirty = node.dirty.find(sector.number);
    if (dirty != node.dirty.end() && dirty->second == sector.version) node.dirty.erase(dirty);
  }
}

void SimDisk::fail_sync(NodeId file, const SyncPoint& point, SimRandom& random) {
  Node& node = at(file);
  for (const SyncPoint::Sector& sector : point.sectors) {
    if (random.chance(0.5)) persist(node, sector);
    const auto dirty = node.dirty.find(sector.number);
    if (dirty != node.dirty.end() && dirty->second == sector.version) node.dirty.erase(dirty);
  }
}

Result<void, Errno> SimDisk::make_directories(std::string_view path) {
  NodeId node = root;
  for (const std::string_view part : split(path)) {
    const auto found = at(node).names.find(part);
    node = found != at(node).names.end() ? found->second : create(node, std::string(part), true);
    if (!at(node).directory) return Unexpected{ENOTDIR};
  }
  return {};
}

Result<void, Errno> SimDisk::sync_directory(std::string_view path) {
  const auto node = find(path);
  if (!node) return Unexpected{node.error()};
  if (!at(*node).directory) return Unexpected{ENOTDIR};
  at(*node).durable_names = at(*node).names;
  at(*node).changes.clear();
  return {};
}

Result<std::vector<std::string>, Errno> SimDisk::list(std::string_view path) const {
  const auto node = find(path);
  if (!node) return Unexpected{node.error()};
  if (!at(*node).directory) return Unexpected{ENOTDIR};
  std::vector<std::string> names;
  for (const auto& [name, id] : at(*node).names) names.push_back(name);
  return names;
}

Result<void, Errno> SimDisk::rename(std::string_view from, std::string_view to) {
  const auto source = place(from);
  if (!source) return Unexpected{source.error()};
  if (!source->node) return Unexpected{ENOENT};
  const auto target = place(to);
  if (!target) return Unexpected{target.error()};
  if (target->node == source->node) return {};
  if (target->node && at(*target->node).directory != at(*source->node).directory) {
    return Unexpected{at(*target->node).directory ? EISDIR : ENOTDIR};
  }
  if (target->node && !at(*target->node).names.empty()) return Unexpected{ENOTEMPTY};
  if (source->directory == target->directory) {
    change(at(source->directory),
           {.removed = source->name, .added = target->name, .node = *source->node});
    return {};
  }
  change(at(target->directory), {.removed = {}, .added = target->name, .node = *source->node});
  change(at(source->directory), {.removed = source->name, .added = {}, .node = 0});
  return {};
}

Result<void, Errno> SimDisk::remove(std::string_view path) {
  const auto place = this->place(path);
  if (!place) return Unexpected{place.error()};
  if (!place->node) return Unexpected{ENOENT};
  if (at(*place->node).directory) return Unexpected{EISDIR};
  change(at(place->directory), {.removed = place->name, .added = {}, .node = 0});
  return {};
}

void SimDisk::cut_file(Node& node, Unsynced unsynced, SimRandom& random) {
  if (unsynced == Unsynced::kept) node.durable = node.data;
  if (unsynced == Unsynced::random_sectors) {
    for (const auto& [number, version] : node.dirty) {
      if (!random.chance(0.5)) continue;
      const std::size_t begin =
          std::min(static_cast<std::size_t>(number) * sector_bytes, node.data.size());
      const std::size_t end = std::min(begin + sector_bytes, node.data.size());
      persist(node, {number,
                     version,
                     {node.data.begin() + static_cast<std::ptrdiff_t>(begin),
                      node.data.begin() + static_cast<std::ptrdiff_t>(end)}});
    }
  }
  node.data = node.durable;
  node.dirty.clear();
}

void SimDisk::cut_directory(Node& node, Unsynced unsynced, SimRandom& random) {
  // File systems journal names in order: what survives of them is a prefix.
  std::size_t kept = 0;
  if (unsynced == Unsynced::kept) kept = node.changes.size();
  if (unsynced == Unsynced::random_sectors && !node.changes.empty()) {
    kept = static_cast<std::size_t>(random.below(node.changes.size() + 1));
  }
  for (std::size_t i = 0; i < kept; ++i) apply(node.durable_names, node.changes[i]);
  node.names = node.durable_names;
  node.changes.clear();
}

void SimDisk::power_cut(Unsynced unsynced, SimRandom& random) {
  for (const auto& node : nodes_) {
    if (node->directory) {
      cut_directory(*node, unsynced, random);
    } else {
      cut_file(*node, unsynced, random);
    }
  }
}

const SimDisk::Node* SimDisk::find_file(std::string_view path) const {
  const auto node = find(path);
  return node && !at(*node).directory ? &at(*node) : nullptr;
}

std::optional<std::vector<std::byte>> SimDisk::read_file(std::string_view path) const {
  const Node* const node = find_file(path);
  if (node == nullptr) return std::nullopt;
  return node->data;
}

std::optional<std::vector<std::byte>> SimDisk::durable_file(std::string_view path) const {
  const Node* const node = find_file(path);
  if (node == nullptr) return std::nullopt;
  return node->durable;
}

void SimDisk::write_file(std::string_view path, std::span<const std::byte> bytes) {
  auto parts = split(path);
  assert(!parts.empty());
  NodeId directory = root;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    Node& parent = at(directory);
    const std::string name(parts[i]);
    if (!parent.names.contains(name)) create(directory, name, i + 1 < parts.size());
    at(directory).durable_names[name] = at(directory).names[name];
    directory = at(directory).names[name];
  }
  Node& file = at(directory);
  assert(!file.directory);
  file.data.assign(bytes.begin(), bytes.end());
  file.durable = file.data;
  file.dirty.clear();
}

bool SimDisk::corrupt(std::string_view path, std::uint64_t offset, std::uint8_t mask) {
  const auto found = find(path);
  if (!found || at(*found).directory || offset >= at(*found).data.size()) return false;
  Node& node = at(*found);
  node.data[static_cast<std::size_t>(offset)] ^= static_cast<std::byte>(mask);
  if (offset < node.durable.size()) {
    node.durable[static_cast<std::size_t>(offset)] ^= static_cast<std::byte>(mask);
  }
  return true;
}

void SimDisk::collect_files(const Node& directory, const std::string& prefix,
                            std::vector<std::string>& into) const {
  for (const auto& [name, id] : directory.names) {
    std::string path = prefix;
    path.append("/").append(name);
    if (at(id).directory) {
      collect_files(at(id), path, into);
    } else {
      into.push_back(path);
    }
  }
}

std::vector<std::string> SimDisk::list_files() const {
  std::vector<std::string> files;
  collect_files(at(root), "", files);
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace tocsin::io
