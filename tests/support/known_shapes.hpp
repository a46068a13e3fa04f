#pragma once
// What a batch says about the forms of its documents, against what stands in them.

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "flow/batch.hpp"
#include "protocol/json/validator.hpp"

namespace tocsin::test {

struct FoundValue {
  std::vector<std::string> path;
  std::string text;  ///< As written; a string's between its quotes.
  json::Kind kind = json::Kind::null;
};

inline void find_values(json::Value value, std::vector<std::string>& path,
                        std::vector<FoundValue>& found) {
  const json::Kind kind = value.kind();
  if (kind == json::Kind::object) {
    for (json::Members members(value); members.next();) {
      path.emplace_back(members.key());
      find_values(members.value(), path, found);
      path.pop_back();
    }
  } else if (kind == json::Kind::array) {
    for (json::Elements elements(value); elements.next();) {
      find_values(elements.value(), path, found);
    }
  } else {
    found.push_back(
        {path, std::string(kind == json::Kind::string ? value.raw_string() : value.text()), kind});
  }
}

/// What is wrong with a text that a shape says it is a document of; nothing when all is true.
/// json_padding bytes are readable behind it.
inline std::string wrong_about(std::string_view text, const json::Shape& shape,
                               const json::ValueStart* starts) {
  json::Validator validator(text.size() + 1);
  const auto document = validator.validate(text);
  if (!document) return "it is not valid";
  std::vector<FoundValue> found;
  std::vector<std::string> path;
  find_values(document->root(), path, found);
  const auto members = shape.members();
  if (members.size() != found.size()) return "it has another number of values";
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto& value = found[i];
    if (!std::ranges::equal(shape.path(members[i]), value.path)) return "a value stands elsewhere";
    if (shape.value(text, starts, i) != value.text) return "a value is another";
    const bool string = value.kind == json::Kind::string;
    const bool number = value.kind == json::Kind::number;
    if ((members[i].kind == json::Shape::ValueKind::string) != string) return "its kind is another";
    if ((members[i].kind == json::Shape::ValueKind::number) != number) return "its kind is another";
    const bool escaped = string && value.text.find('\\') != std::string::npos;
    if (starts[i].escaped() != escaped) return "escapes are not told";
  }
  return {};
}

/// The same for all records of a batch.
inline std::string wrong_about(const flow::Batch& batch) {
  const flow::KnownShapes known = batch.shapes();
  const flow::BlockView block = batch.view();
  std::uint32_t count = 0;
  for (std::uint32_t i = 0; i < known.records.size(); ++i) {
    const flow::RecordShape& record = known.records[i];
    if (record.shape == json::no_shape) continue;
    ++count;
    if (i >= block.size()) return "there are fewer records";
    const std::string wrong = wrong_about(block.record(i).payload(), (*known.table)[record.shape],
                                          &known.starts[record.first]);
    if (!wrong.empty()) return wrong + ": " + std::string(block.record(i).payload());
  }
  return count == known.count ? std::string{} : "the count is wrong";
}

}  // namespace tocsin::test
