// Goal: whatever a shape says yes to is valid, with its values where the shape has them.
// Method: record separators stand between documents; each is read by the shapes of those before it,
// and learned when it is valid.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "protocol/json/shape_cache.hpp"
#include "tests/support/known_shapes.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tocsin;
  constexpr std::size_t size_max = 64 * 1024;
  if (size > size_max) return 0;
  static json::Validator validator(size_max);
  json::ShapeCache cache;
  std::string_view rest{reinterpret_cast<const char*>(data), size};
  std::array<json::ValueStart, json::shape_values_max> starts;
  for (int documents = 0; documents < 64 && !rest.empty(); ++documents) {
    std::string buffer(rest.substr(0, rest.find('\x1E')));
    const std::size_t length = buffer.size();
    rest.remove_prefix(std::min(length + 1, rest.size()));
    // What is readable behind it would go on.
    buffer.append(json_padding, documents % 2 == 0 ? '"' : '1');
    const std::string_view text = std::string_view{buffer}.substr(0, length);
    const auto known = cache.read(text, starts.data());
    if (known != json::no_shape &&
        !test::wrong_about(text, (*cache.table())[known], starts.data()).empty()) {
      std::abort();
    }
    const auto document = validator.validate(text);
    if (!document) continue;
    cache.renew();
    cache.learn(*document);
    const auto shape = json::Shape::of(*document);
    if (shape && (!shape->read(text, starts.data()) ||
                  !test::wrong_about(text, *shape, starts.data()).empty())) {
      std::abort();
    }
  }
  return 0;
}
