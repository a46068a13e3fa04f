#pragma once
// What device events of recently used topics have in common: for a device that publishes plain
// payloads, everything but the payload follows from the topic.

#include <array>
#include <cassert>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/hash.hpp"
#include "flow/catalogue.hpp"

namespace tocsin::decode {

/// A direct-mapped cache: two topics that fall together take turns, which costs time only. One
/// thread. What is too long for an entry is not kept.
class KnownTopics {
 public:
  struct Entry {
    const flow::SourceConfig* source = nullptr;  ///< Null: free. Views below live until a forget().
    std::uint64_t hash = 0;
    std::uint32_t partition_hash = 0;
    std::uint16_t topic_size = 0;
    std::uint16_t attrs_size = 0;
    std::array<char, 232> bytes;  // The topic, then the attributes as a record holds them.

    [[nodiscard]] std::string_view topic() const noexcept { return {bytes.data(), topic_size}; }
    [[nodiscard]] std::string_view attrs() const noexcept {
      return {bytes.data() + topic_size, attrs_size};
    }
  };

  /// `seed`: secret, so that nobody can choose topics that fall together.
  explicit KnownTopics(std::uint64_t seed) : seed_(seed), entries_(entry_count) {}

  [[nodiscard]] const Entry* find(std::string_view topic) noexcept {
    // What a client sends, it mostly sends several times.
    if (last_->source != nullptr && last_->topic() == topic) return last_;
    const std::uint64_t hash = hash64(topic, seed_);
    const Entry& entry = entries_[hash % entry_count];
    if (entry.source == nullptr || entry.hash != hash || entry.topic() != topic) return nullptr;
    last_ = &entry;
    return last_;
  }
  void keep(std::string_view topic, std::string_view attrs, const flow::SourceConfig& source,
            std::uint32_t partition_hash) noexcept {
    const std::uint64_t hash = hash64(topic, seed_);
    Entry& entry = entries_[hash % entry_count];
    if (topic.size() + attrs.size() > entry.bytes.size()) return;
    entry.source = &source;
    entry.hash = hash;
    entry.partition_hash = partition_hash;
    entry.topic_size = static_cast<std::uint16_t>(topic.size());
    entry.attrs_size = static_cast<std::uint16_t>(attrs.size());
    std::memcpy(entry.bytes.data(), topic.data(), topic.size());
    std::memcpy(entry.bytes.data() + topic.size(), attrs.data(), attrs.size());
  }
  /// The sources have changed.
  void forget() noexcept {
    for (Entry& entry : entries_) entry.source = nullptr;
  }

 private:
  static constexpr std::size_t entry_count = 512;
  static_assert(sizeof(Entry) == 256);

  std::uint64_t seed_;
  std::vector<Entry> entries_;
  const Entry* last_ = entries_.data();  // The one found last; it may have been replaced since.
};

}  // namespace tocsin::decode
