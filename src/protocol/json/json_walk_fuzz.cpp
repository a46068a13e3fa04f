// Goal: on every text, Validator agrees with simdjson's own verdict, and on every valid text the
// walker sees the same tree as simdjson's. Cut into documents, each gets the same verdict among the
// others as alone.
#include <simdjson.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "protocol/json/number.hpp"
#include "protocol/json/text.hpp"
#include "protocol/json/validator.hpp"
#include "protocol/json/walker.hpp"

namespace {

using namespace tocsin::json;  // A single-file program.
namespace dom = simdjson::dom;

void require(bool condition) {
  if (!condition) std::abort();
}

std::string text_of(std::string_view raw) {
  std::string buffer(raw.size(), '\0');
  const auto text = unescape(raw, buffer);
  require(text.has_value());
  std::string copy(*text);
  require(string_equals(raw, copy));
  require(!string_equals(raw, copy + "x"));
  return copy;
}

const std::uint32_t* compare(Value value, const dom::element& wanted);

void compare_number(Value value, const dom::element& wanted) {
  const auto number = parse_number(value.text());
  require(number.has_value());
  switch (wanted.type()) {
    case dom::element_type::INT64:
      require(number->kind == Number::Kind::int64 &&
              number->integer == wanted.get_int64().value_unsafe());
      return;
    case dom::element_type::UINT64:
      require(number->kind == Number::Kind::uint64 &&
              number->unsigned_integer == wanted.get_uint64().value_unsafe());
      return;
    default:
      require(number->kind == Number::Kind::real &&
              number->real == wanted.get_double().value_unsafe());
  }
}

const std::uint32_t* compare_object(Value value, const dom::object& wanted) {
  Members members(value);
  for (const dom::key_value_pair field : wanted) {
    require(members.next());
    require(text_of(members.key()) == field.key);
    members.walked(compare(members.value(), field.value));
  }
  require(!members.next());
  return members.after();
}

const std::uint32_t* compare_array(Value value, const dom::array& wanted) {
  Elements elements(value);
  for (const dom::element element : wanted) {
    require(elements.next());
    elements.walked(compare(elements.value(), element));
  }
  require(!elements.next());
  return elements.after();
}

const std::uint32_t* compare(Value value, const dom::element& wanted) {
  const std::uint32_t* after = value.at() + 1;
  switch (wanted.type()) {
    case dom::element_type::OBJECT:
      require(value.kind() == Kind::object);
      after = compare_object(value, wanted.get_object().value_unsafe());
      break;
    case dom::element_type::ARRAY:
      require(value.kind() == Kind::array);
      after = compare_array(value, wanted.get_array().value_unsafe());
      break;
    case dom::element_type::STRING:
      require(value.kind() == Kind::string);
      require(text_of(value.raw_string()) == wanted.get_string().value_unsafe());
      break;
    case dom::element_type::BOOL:
      require(value.kind() == Kind::boolean && value.boolean() == wanted.get_bool().value_unsafe());
      break;
    case dom::element_type::NULL_VALUE:
      require(value.kind() == Kind::null);
      break;
    default:
      require(value.kind() == Kind::number);
      compare_number(value, wanted);
  }
  require(after == value.after());
  return after;
}

// Method: record separators, which are no JSON, become the newlines between documents, so that
// these may hold newlines themselves; without one, every newline separates.
void compare_joined(Validator& validator, std::string buffer, std::size_t size) {
  constexpr char separator = '\x1E';
  const auto end = buffer.begin() + static_cast<std::ptrdiff_t>(size);
  const char cut = std::find(buffer.begin(), end, separator) == end ? '\n' : separator;
  std::vector<std::uint32_t> ends;
  for (std::size_t i = 0; i < size; ++i) {
    if (buffer[i] != cut) continue;
    buffer[i] = '\n';
    ends.push_back(static_cast<std::uint32_t>(i));
  }
  ends.push_back(static_cast<std::uint32_t>(size));
  const std::string_view text = std::string_view{buffer}.substr(0, size);
  std::vector<std::optional<JsonError>> wanted;
  std::size_t begin = 0;
  for (const std::uint32_t at : ends) {
    const auto document = validator.validate(text.substr(begin, at - begin));
    wanted.push_back(document ? std::nullopt : std::optional{document.error()});
    begin = std::size_t{at} + 1;
  }
  std::vector<std::optional<JsonError>> verdicts(ends.size());
  const bool valid = validator.validate_joined(text, ends, verdicts);
  require(valid == std::ranges::all_of(wanted, [](const auto& error) { return !error; }));
  require(valid || verdicts == wanted);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t size_max = 64 * 1024;
  if (size > size_max) return 0;
  static Validator validator(size_max);
  static dom::parser parser(size_max);
  static const bool depth_set = parser.allocate(size_max, tocsin::json_depth_max + 1) == 0;
  require(depth_set);
  std::string buffer(reinterpret_cast<const char*>(data), size);
  buffer.append(tocsin::json_padding, '"');
  const std::string_view text = std::string_view{buffer}.substr(0, size);
  const auto document = validator.validate(text);
  dom::element root;
  const auto error = parser.parse(text.data(), size, false).get(root);
  require(document.has_value() == (error == simdjson::SUCCESS));
  if (document) {
    require(compare(document->root(), root) == document->indexes.data() + document->indexes.size());
  }
  if (size > 0) compare_joined(validator, buffer, size);
  return 0;
}
