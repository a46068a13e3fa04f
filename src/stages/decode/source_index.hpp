#pragma once
// The source table, and who among the sources answers for an event type.

#include <memory>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "flow/sources.hpp"

namespace tocsin::decode {

class SourceIndex {
 public:
  explicit SourceIndex(std::shared_ptr<const flow::SourceTable> table) : table_(std::move(table)) {
    for (const flow::SourceConfig& source : table_->sources()) {
      if (!source.type.empty()) by_type_.emplace(source.type, &source);
    }
  }
  [[nodiscard]] const flow::SourceTable& table() const noexcept { return *table_; }
  /// The source that is called like the type; else the first, in file order, that declares it.
  [[nodiscard]] const flow::SourceConfig* find_for_type(std::string_view type) const noexcept {
    if (const auto* named = table_->find(type)) return named;
    const auto it = by_type_.find(type);
    return it == by_type_.end() ? nullptr : it->second;
  }

 private:
  std::shared_ptr<const flow::SourceTable> table_;
  std::unordered_map<std::string_view, const flow::SourceConfig*> by_type_;
};

}  // namespace tocsin::decode
