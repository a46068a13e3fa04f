#pragma once
// Finds where the tokens of JSON text are, with the processor's widest vectors (chosen at run
// time). Checks UTF-8 and strings; the grammar is checked by Validator.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include <tocsin/result.hpp>

#include "protocol/json/error.hpp"

namespace tocsin::json {

/// One thread. Allocates in the constructor only: about 4 bytes for each byte of capacity. One that
/// was moved from may only be destroyed or assigned to.
class StructuralScanner {
 public:
  /// `capacity`: longest text in bytes.
  explicit StructuralScanner(std::size_t capacity);
  StructuralScanner(StructuralScanner&&) noexcept;
  StructuralScanner& operator=(StructuralScanner&&) noexcept;
  ~StructuralScanner();

  /// Offsets in `text` of every `{ } [ ] : ,`, and of the first byte of every string, number and
  /// literal. `text` is one document or many joined by newlines; json_padding readable bytes
  /// follow. One index more than the span's size may be read and is text.size(). Valid until the
  /// next scan. Joined documents share one verdict: when one of them is not valid (a binary
  /// payload), scan them one by one.
  [[nodiscard]] Result<std::span<const std::uint32_t>, JsonError> scan(
      std::string_view text) noexcept;

  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  std::size_t capacity_;
};

/// Cuts the indexes of the document that ends at offset `end` off the front of `rest`. For joined
/// documents, in order. The index after the returned ones may be read.
[[nodiscard]] inline std::span<const std::uint32_t> take_document(
    std::span<const std::uint32_t>& rest, std::size_t end) noexcept {
  std::size_t n = 0;
  while (n < rest.size() && rest[n] < end) ++n;
  const auto document = rest.first(n);
  rest = rest.subspan(n);
  return document;
}

}  // namespace tocsin::json
