#pragma once
// The shapes of the documents that came lately.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "protocol/json/shape_table.hpp"

namespace tocsin::json {

/// Recognizes documents. One thread. Memory: two tables at most, of shapes_max * shape_cost_max.
class ShapeCache {
 public:
  ShapeCache();

  /// Begins a new table when the present one is full of shapes that do not come any more, unless
  /// somebody still holds the one before. Indexes that were given out belong to the old one.
  void renew();
  /// The shape that `text` is a valid document of, and where its values are (as Shape::read); or
  /// no_shape, which says nothing about the text.
  [[nodiscard]] ShapeIndex read(std::string_view text, ValueStart* starts) noexcept;
  /// Remembers a document that read() did not know, if there is room. May put it off: where
  /// documents have no shape, hardly any time goes into asking.
  void learn(const Document& document) noexcept;
  /// What the indexes refer to. Changes in renew() only.
  [[nodiscard]] const std::shared_ptr<const ShapeTable>& table() const noexcept { return shared_; }

 private:
  [[nodiscard]] bool is(std::size_t index, std::string_view text, ValueStart* starts) noexcept;
  [[nodiscard]] bool known(std::string_view text) noexcept;

  std::shared_ptr<ShapeTable> table_;
  std::shared_ptr<const ShapeTable> shared_;
  std::weak_ptr<const ShapeTable> before_;
  // How the shapes begin, side by side: a look at each must be cheap.
  std::array<Shape::Head, shapes_max> heads_{};
  // Which shape came after each one: devices take turns, and one device has its habits.
  std::array<ShapeIndex, shapes_max> next_{};
  // Where the values of the last document of each shape were.
  std::array<std::array<ValueStart, shape_values_max>, shapes_max> starts_{};
  std::size_t last_ = 0;
  std::uint64_t known_ = 0;  // Documents since the table is full, or since the last verdict on it.
  std::uint64_t unknown_ = 0;  // Of others, those that have a shape and were looked at.
  std::uint32_t pause_ = 0;    // How often learning was put off after the last failure...
  std::uint32_t left_ = 0;     // ... and still will be.
  bool stale_ = false;
};

}  // namespace tocsin::json
