#include "protocol/json/scanner.hpp"

#include <simdjson.h>

#include <cassert>
#include <new>

#include "protocol/json/simdjson_error.hpp"

namespace tocsin::json {

struct StructuralScanner::Impl {
  std::unique_ptr<simdjson::internal::dom_parser_implementation> kernel;
};

StructuralScanner::StructuralScanner(std::size_t capacity)
    : impl_(std::make_unique<Impl>()), capacity_(capacity) {
  // Stage 1 knows no depth; 1 keeps the tables that only the tree builder uses small.
  constexpr std::size_t depth_unused = 1;
  const auto error = simdjson::get_active_implementation()->create_dom_parser_implementation(
      capacity, depth_unused, impl_->kernel);
  if (error != simdjson::SUCCESS) throw std::bad_alloc();
}

StructuralScanner::StructuralScanner(StructuralScanner&&) noexcept = default;
StructuralScanner& StructuralScanner::operator=(StructuralScanner&&) noexcept = default;
StructuralScanner::~StructuralScanner() = default;

Result<std::span<const std::uint32_t>, JsonError> StructuralScanner::scan(
    std::string_view text) noexcept {
  auto& kernel = *impl_->kernel;
  if (text.size() > capacity_) return Unexpected{JsonError::too_large};
  if (text.empty()) return Unexpected{JsonError::empty};
  const auto error = kernel.stage1(reinterpret_cast<const std::uint8_t*>(text.data()), text.size(),
                                   simdjson::stage1_mode::regular);
  if (error != simdjson::SUCCESS) return Unexpected{from_simdjson(error)};
  const std::uint32_t count = kernel.n_structural_indexes;
  assert(count > 0);
  kernel.structural_indexes[count] = static_cast<std::uint32_t>(text.size());
  return std::span<const std::uint32_t>{kernel.structural_indexes.get(), count};
}

}  // namespace tocsin::json
