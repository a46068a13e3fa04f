#pragma once
// Shapes by their index.

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "protocol/json/shape.hpp"

namespace tocsin::json {

using ShapeIndex = std::uint8_t;
inline constexpr ShapeIndex no_shape = 0xFF;
inline constexpr std::size_t shapes_max = 32;

/// One thread adds; others read those that they were told of since.
class ShapeTable {
 public:
  ShapeTable();
  /// Never that of another table of this process.
  [[nodiscard]] std::uint64_t serial() const noexcept { return serial_; }
  [[nodiscard]] const Shape& operator[](ShapeIndex index) const noexcept {
    assert(index < shapes_max && shapes_[index] != nullptr);
    return *shapes_[index];
  }

  // --- the adding thread -------------------------------------------------------------------------
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  void add(Shape shape) {
    shapes_[size_] = std::make_unique<const Shape>(std::move(shape));
    ++size_;
  }

 private:
  std::uint64_t serial_;
  std::size_t size_ = 0;
  std::array<std::unique_ptr<const Shape>, shapes_max> shapes_;
};

}  // namespace tocsin::json
