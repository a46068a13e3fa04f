#pragma once
// What a pattern asks of one value, and the value of an event that it is asked of.

#include <cstdint>
#include <cstring>
#include <memory_resource>
#include <string_view>

#include "stages/match/decimal.hpp"

namespace tocsin::match {

struct OperatorType;

enum class ScalarKind : std::uint8_t { string, number, true_value, false_value, null };

/// One leaf value of a document.
struct Scalar {
  ScalarKind kind = ScalarKind::null;
  std::string_view text{};  ///< string: its characters, no escapes. number: as written.
  Decimal number{};         ///< Only for kind number.
};

/// One alternative of a field in a pattern. Which members mean something is the operator's affair.
struct Predicate {
  const OperatorType* type = nullptr;
  Scalar operand{};  ///< exact: the value. prefix: the text.
  Decimal low{};     ///< Ranges; infinite when open.
  Decimal high{};
  bool low_included = false;
  bool high_included = false;
  bool absent = false;  ///< Asks that there is no value. Such a predicate never sees one.
};

/// Owns the bytes that predicates and paths refer to. Addresses never change.
class Arena {
 public:
  [[nodiscard]] std::string_view store(std::string_view text) {
    if (text.empty()) return {};
    auto* copy = static_cast<char*>(memory_.allocate(text.size(), 1));
    std::memcpy(copy, text.data(), text.size());
    return {copy, text.size()};
  }

 private:
  std::pmr::monotonic_buffer_resource memory_;
};

}  // namespace tocsin::match
