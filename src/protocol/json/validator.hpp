#pragma once
// Whole-document validation: what passes here needs no second look anywhere (RFC 8259, UTF-8
// without BOM, any value at the root).

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <tocsin/limits.hpp>
#include <tocsin/result.hpp>

#include "protocol/json/error.hpp"
#include "protocol/json/scanner.hpp"
#include "protocol/json/walker.hpp"

namespace tocsin::json {

/// A valid document, ready to be walked.
struct Document {
  std::string_view text;
  std::span<const std::uint32_t> indexes;  ///< One more is readable.

  [[nodiscard]] Value root() const noexcept { return {text.data(), indexes}; }
};

/// One thread. Memory: about 4 bytes for each byte of capacity.
class Validator {
 public:
  /// Allocates for texts of `capacity` bytes; longer ones, up to `capacity_max`, make it grow once
  /// (to the next power of two) and it stays grown.
  explicit Validator(std::size_t capacity, std::size_t capacity_max,
                     std::size_t depth_max = json_depth_max);
  explicit Validator(std::size_t capacity) : Validator(capacity, capacity) {}

  /// Checks all of `text`, which json_padding readable bytes follow. The result is valid until the
  /// next call. Containers with content may nest depth_max deep; an empty one adds no level. A
  /// number beyond binary64 and an integer beyond 64 bits are refused.
  [[nodiscard]] Result<Document, JsonError> validate(std::string_view text) noexcept;

  /// The same for documents that stand newline-joined in `text`, in one pass over all of them.
  /// `ends`: where each document ends, which is where its newline stands. True: all are valid;
  /// false: `verdicts` (as many) say which are not.
  [[nodiscard]] bool validate_joined(std::string_view text, std::span<const std::uint32_t> ends,
                                     std::span<std::optional<JsonError>> verdicts) noexcept;

  [[nodiscard]] std::size_t capacity() const noexcept { return scanner_.capacity(); }

 private:
  [[nodiscard]] bool grow(std::size_t size) noexcept;
  [[nodiscard]] bool all_valid(std::string_view text,
                               std::span<const std::uint32_t> ends) noexcept;

  StructuralScanner scanner_;
  std::size_t capacity_max_;
  std::size_t depth_max_;
};

}  // namespace tocsin::json
