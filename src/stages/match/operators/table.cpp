#include <algorithm>
#include <array>

#include "protocol/json/text.hpp"
#include "stages/match/operators/operator.hpp"

namespace tocsin::match {

extern const OperatorType operator_exact;
extern const OperatorType operator_prefix;
extern const OperatorType operator_numeric;
extern const OperatorType operator_exists;

namespace {
constexpr std::array<const OperatorType*, 4> operators = {&operator_exact, &operator_prefix,
                                                          &operator_numeric, &operator_exists};
// The rest of the language, and the words that it keeps for itself.
constexpr std::array<std::string_view, 17> future_operators = {"suffix",
                                                               "anything-but",
                                                               "equals-ignore-case",
                                                               "wildcard",
                                                               "cidr",
                                                               "$or",
                                                               "regex",
                                                               "regexp",
                                                               "not-wildcard",
                                                               "not-equals-ignore-case",
                                                               "date-after",
                                                               "date-on-or-after",
                                                               "date-before",
                                                               "date-on-or-before",
                                                               "in-date-range",
                                                               "ip-address-in-range",
                                                               "ip-address-not-in-range"};
}  // namespace

const OperatorType& exact_operator() noexcept { return operator_exact; }

const OperatorType* find_operator(std::string_view name) noexcept {
  const auto it = std::ranges::find(operators, name, &OperatorType::name);
  return it == operators.end() ? nullptr : *it;
}

bool is_future_operator(std::string_view name) noexcept {
  return std::ranges::find(future_operators, name) != future_operators.end();
}

std::string_view store_string(json::Value value, Arena& arena) {
  const std::string_view raw = value.raw_string();
  std::string buffer(raw.size(), '\0');
  return arena.store(*json::unescape(raw, buffer));
}

Decimal store_number(json::Value value, Arena& arena) {
  return parse_decimal(arena.store(value.text()));
}

}  // namespace tocsin::match
