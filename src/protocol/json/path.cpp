#include "protocol/json/path.hpp"

#include <charconv>

namespace tocsin::json {
namespace {
std::optional<Value> element(Value array, std::string_view key) noexcept {
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), index);
  if (error != std::errc{} || end != key.data() + key.size()) return std::nullopt;
  for (Elements e(array); e.next(); --index) {
    if (index == 0) return e.value();
  }
  return std::nullopt;
}
}  // namespace

Result<Path, std::string> Path::parse(std::string_view text) {
  Path path;
  for (bool more = !text.empty(); more;) {
    const std::size_t dot = text.find('.');
    more = dot != std::string_view::npos;
    path.keys_.emplace_back(text.substr(0, dot));
    if (path.keys_.back().empty()) return Unexpected{std::string("has an empty key")};
    if (path.keys_.size() > keys_max) {
      return Unexpected{"has more than " + std::to_string(keys_max) + " keys"};
    }
    if (more) text.remove_prefix(dot + 1);
  }
  return path;
}

std::optional<Value> Path::find(Value root) const noexcept {
  std::optional<Value> value = root;
  for (const std::string& key : keys_) {
    value = value->kind() == Kind::array ? element(*value, key) : value->find(key);
    if (!value) break;
  }
  return value;
}

}  // namespace tocsin::json
