#pragma once
// Dotted paths into a document: "order.items.0.sku". A key that holds a dot cannot be named.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tocsin/result.hpp>

#include "protocol/json/walker.hpp"

namespace tocsin::json {

class Path {
 public:
  /// Keys and array indexes of one path.
  static constexpr std::size_t keys_max = 32;

  /// The empty path: the document itself.
  Path() = default;
  /// The error ends a sentence: "the path x ...".
  [[nodiscard]] static Result<Path, std::string> parse(std::string_view text);

  [[nodiscard]] bool empty() const noexcept { return keys_.empty(); }
  /// The value behind the path, or nothing. In arrays a key is an index that counts from 0.
  [[nodiscard]] std::optional<Value> find(Value root) const noexcept;

 private:
  std::vector<std::string> keys_;
};

}  // namespace tocsin::json
