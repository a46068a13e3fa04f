#pragma once
// Validates the payloads of a run: those of a known shape one by one, the others in one pass.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "flow/batch.hpp"
#include "protocol/json/shape_cache.hpp"
#include "protocol/json/validator.hpp"
#include "stages/decode/open_batches.hpp"

namespace tocsin::decode {

/// One thread.
class RunValidator {
 public:
  /// `capacity`: bytes of the longest run.
  explicit RunValidator(std::size_t capacity) : validator_(capacity) {}

  using Verdicts = std::span<std::optional<json::JsonError>>;
  /// Looks at the payloads of the records of `batch` from `first` on, at most run_records_max.
  /// True: all are valid; false: `verdicts` (as many, all empty before) say which are not.
  [[nodiscard]] bool validate(const flow::Batch& batch, std::uint32_t first,
                              Verdicts verdicts) noexcept;
  /// Once what is not valid has left the batch: notes what was seen on the way of the others.
  void note_shapes(flow::Batch& batch, std::uint32_t first, Verdicts verdicts) const noexcept;

 private:
  [[nodiscard]] std::string_view payload(std::size_t index) const noexcept {
    const std::uint32_t begin = index == 0 ? 0 : ends_[index - 1] + 1;
    return payloads_.substr(begin, ends_[index] - begin);
  }
  [[nodiscard]] std::size_t read_shapes() noexcept;
  [[nodiscard]] bool validate_unknown(Verdicts verdicts) noexcept;
  [[nodiscard]] bool validate_all(Verdicts verdicts) noexcept;
  void learn_one(Verdicts verdicts) noexcept;

  json::Validator validator_;
  json::ShapeCache cache_;
  std::size_t runs_ = 0;
  // The run that is looked at.
  std::size_t count_ = 0;
  std::size_t tried_ = 0;  // Those that were looked for among the shapes: the first ones.
  std::string_view payloads_;
  std::array<std::uint32_t, run_records_max> ends_{};
  std::array<json::ShapeIndex, run_records_max> shapes_{};
  std::array<json::ValueStart, run_records_max * json::shape_values_max> starts_{};
};

}  // namespace tocsin::decode
