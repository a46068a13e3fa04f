#pragma once
// The shapes of the documents that came lately.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "protocol/json/shape.hpp"

namespace tocsin::json {

using ShapeIndex = std::uint8_t;
inline constexpr ShapeIndex no_shape = 0xFF;
inline constexpr std::size_t shapes_max = 64;

/// Shapes by their index. One thread adds; others read those that they were told of since.
class ShapeTable {
 public:
  ShapeTable();
  /// Never that of another table of this process.
  [[nodiscard]] std::uint64_t serial() const noexcept { return serial_; }
  [[nodiscard]] const Shape& operator[](ShapeIndex index) const noexcept { return *shapes_[index]; }

  // --- the adding thread -------------------------------------------------------------------------
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  void add(Shape shape) { shapes_[size_++] = std::make_unique<const Shape>(std::move(shape)); }

 private:
  std::uint64_t serial_;
  std::size_t size_ = 0;
  std::array<std::unique_ptr<const Shape>, shapes_max> shapes_;
};

/// Recognizes documents. One thread. Memory: at most shapes_max * (shape_size_max + paths), and as
/// much for each table that was given out and replaced since.
class ShapeCache {
 public:
  ShapeCache();

  /// The shape that `text` is a valid document of, and where its values are (as Shape::read); or
  /// no_shape, which says nothing about the text.
  [[nodiscard]] ShapeIndex read(std::string_view text, ValueStart* starts) noexcept;
  /// Remembers a document that read() did not know. When there are too many of those for one table,
  /// a new one begins.
  void learn(const Document& document) noexcept;
  /// What the indexes refer to.
  [[nodiscard]] const std::shared_ptr<const ShapeTable>& table() const noexcept { return shared_; }

 private:
  void begin_table();
  [[nodiscard]] bool is(ShapeIndex index, std::string_view text, ValueStart* starts) noexcept;

  std::shared_ptr<ShapeTable> table_;
  std::shared_ptr<const ShapeTable> shared_;
  // Which shape came after each one: devices take turns, and one device has its habits.
  std::array<ShapeIndex, shapes_max> next_{};
  ShapeIndex last_ = 0;
  std::uint64_t known_ = 0;    // Documents since the table is full.
  std::uint64_t unknown_ = 0;  // Documents that came to be learned since then.
};

}  // namespace tocsin::json
