#include "protocol/json/validator.hpp"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <new>

#include "protocol/json/number.hpp"
#include "protocol/json/simdjson_error.hpp"

namespace tocsin::json {
namespace {

std::string_view trim(std::string_view text) noexcept {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

bool begins_number(char c) noexcept { return c == '-' || (c >= '0' && c <= '9'); }

// Why this number was refused; nothing when it is fine.
const JsonError* number_error(std::string_view number) noexcept {
  static constexpr JsonError syntax = JsonError::syntax;
  static constexpr JsonError range = JsonError::number;
  if (!number_well_formed(number)) return &syntax;
  return parse_number(number) ? nullptr : &range;
}

// simdjson has one code for malformed and for too large numbers: finds the first bad one again.
JsonError classify_number(std::string_view text, std::span<const std::uint32_t> indexes) noexcept {
  for (std::size_t i = 0; i < indexes.size(); ++i) {
    if (!begins_number(text[indexes[i]])) continue;
    const std::size_t end = i + 1 < indexes.size() ? indexes[i + 1] : text.size();
    const JsonError* const error = number_error(trim(text.substr(indexes[i], end - indexes[i])));
    if (error != nullptr) return *error;
  }
  return JsonError::syntax;
}

}  // namespace

struct Validator::Impl {
  std::unique_ptr<simdjson::internal::dom_parser_implementation> kernel;
  simdjson::dom::document document;
  std::array<std::uint32_t, 2> root_number{};  // Indexes of a document that is one number.
};

Validator::Validator(std::size_t capacity, std::size_t capacity_max, std::size_t depth_max)
    : impl_(std::make_unique<Impl>()), capacity_max_(std::max(capacity, capacity_max)) {
  // simdjson refuses the container that reaches its bound; ours is the last one allowed.
  const auto error = simdjson::get_active_implementation()->create_dom_parser_implementation(
      capacity, depth_max + 1, impl_->kernel);
  if (error != simdjson::SUCCESS || impl_->document.allocate(capacity) != simdjson::SUCCESS) {
    throw std::bad_alloc();
  }
  capacity_ = capacity;
}

Validator::Validator(Validator&&) noexcept = default;
Validator& Validator::operator=(Validator&&) noexcept = default;
Validator::~Validator() = default;

bool Validator::grow(std::size_t size) noexcept {
  if (size > capacity_max_) return false;
  const std::size_t wanted = std::min(std::bit_ceil(size), capacity_max_);
  capacity_ = 0;  // Nothing is usable after half a growth.
  if (impl_->kernel->set_capacity(wanted) != simdjson::SUCCESS ||
      impl_->document.allocate(wanted) != simdjson::SUCCESS) {
    return false;
  }
  capacity_ = wanted;
  return true;
}

Result<Document, JsonError> Validator::validate_root_number(std::string_view text) noexcept {
  const JsonError* const error = number_error(trim(text));
  if (error != nullptr) return Unexpected{*error};
  const auto begin = static_cast<std::uint32_t>(text.find_first_of("-0123456789"));
  impl_->root_number = {begin, static_cast<std::uint32_t>(text.size())};
  return Document{.text = text, .indexes = std::span{impl_->root_number}.first(1)};
}

Result<Document, JsonError> Validator::validate(std::string_view text) noexcept {
  std::size_t begin = 0;
  while (begin < text.size() && is_space(text[begin])) ++begin;
  if (begin == text.size()) return Unexpected{JsonError::empty};
  if (text.size() > capacity_ && !grow(text.size())) return Unexpected{JsonError::too_large};
  // simdjson allocates a padded copy for a number at the root; a sensor may send just that.
  if (begins_number(text[begin])) return validate_root_number(text);
  auto& kernel = *impl_->kernel;
  const auto error = kernel.parse(reinterpret_cast<const std::uint8_t*>(text.data()), text.size(),
                                  impl_->document);
  const std::uint32_t count = kernel.n_structural_indexes;
  if (error == simdjson::NUMBER_ERROR) {
    return Unexpected{classify_number(text, {kernel.structural_indexes.get(), count})};
  }
  if (error != simdjson::SUCCESS) return Unexpected{from_simdjson(error)};
  assert(count > 0);
  kernel.structural_indexes[count] = static_cast<std::uint32_t>(text.size());
  return Document{.text = text, .indexes = {kernel.structural_indexes.get(), count}};
}

}  // namespace tocsin::json
