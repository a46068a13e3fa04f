#include "stages/match/leaves.hpp"

#include <cassert>
#include <cstring>

#include "protocol/json/text.hpp"

namespace tocsin::match {
namespace {
ScalarKind scalar_kind(json::Value value) noexcept {
  switch (value.kind()) {
    case json::Kind::string:
      return ScalarKind::string;
    case json::Kind::number:
      return ScalarKind::number;
    case json::Kind::boolean:
      return value.boolean() ? ScalarKind::true_value : ScalarKind::false_value;
    default:
      return ScalarKind::null;
  }
}

ScalarKind scalar_kind(json::Shape::ValueKind kind, std::string_view text) noexcept {
  switch (kind) {
    case json::Shape::ValueKind::string:
      return ScalarKind::string;
    case json::Shape::ValueKind::number:
      return ScalarKind::number;
    case json::Shape::ValueKind::word:
      break;
  }
  if (text.front() == 'n') return ScalarKind::null;
  return text.front() == 't' ? ScalarKind::true_value : ScalarKind::false_value;
}
}  // namespace

LeafSet::LeafSet(const PathTrie& trie)
    : trie_(trie), fields_(trie.field_end()), nodes_(trie.node_count()) {
  leaves_.reserve(64);
  scopes_.reserve(16);
  clear();
}

void LeafSet::clear() noexcept {
  leaves_.clear();
  scopes_.resize(1);
  unescaped_used_ = 0;
  array_serial_ = 0;
  ++epoch_;
}

const std::uint32_t* LeafSet::collect(json::Value document, std::string_view text) {
  // Views into the buffer are handed out, so it must not move during the walk. What is unescaped
  // is never longer than its text.
  escapes_ = text.find('\\') != std::string_view::npos;
  if (escapes_ && unescaped_.size() < text.size()) unescaped_.resize(text.size());
  if (document.kind() != json::Kind::object) return document.at();
  return walk_object(PathTrie::root, document, 0);
}

void LeafSet::collect(std::string_view text, const json::Shape& shape,
                      const json::ValueStart* starts, std::span<const PlannedLeaf> plan) {
  if (unescaped_.size() < text.size()) unescaped_.resize(text.size());
  for (const PlannedLeaf& planned : plan) {
    const std::string_view value = shape.value(text, starts, planned.member);
    Leaf& leaf = leaves_.emplace_back();
    leaf.field = planned.field;
    leaf.scope = 0;
    leaf.next = no_leaf;
    leaf.value.kind = scalar_kind(planned.kind, value);
    leaf.value.text = starts[planned.member].escaped() ? unescaped(value) : value;
  }
}

void LeafSet::add(FieldIndex field, const Scalar& value) {
  leaves_.push_back({value, field, 0, no_leaf});
}

void LeafSet::link() noexcept {
  scopes_[0].end = static_cast<ScopeIndex>(scopes_.size());
  for (std::size_t i = leaves_.size(); i-- > 0;) {
    Leaf& leaf = leaves_[i];
    if (leaf.field == PathTrie::no_field) continue;
    FieldSlot& slot = fields_[leaf.field];
    leaf.next = slot.epoch == epoch_ ? slot.first : no_leaf;
    slot = {epoch_, static_cast<LeafIndex>(i)};
  }
}

std::string_view LeafSet::unescaped(std::string_view raw) noexcept {
  if (std::memchr(raw.data(), '\\', raw.size()) == nullptr) return raw;
  const auto text = json::unescape(raw, std::span{unescaped_}.subspan(unescaped_used_));
  assert(text.has_value());
  unescaped_used_ += text->size();
  return *text;
}

const std::uint32_t* LeafSet::walk(NodeIndex node, json::Value value, ScopeIndex scope) {
  const json::Kind kind = value.kind();
  if (kind == json::Kind::object) {
    return trie_.has_children(node) ? walk_object(node, value, scope) : value.after();
  }
  if (kind == json::Kind::array) return walk_array(node, value, scope);
  const FieldIndex field = trie_.field(node);
  if (field == PathTrie::no_field) return value.after();
  // In place: a copy would wait for the stores of its parts.
  Leaf& leaf = leaves_.emplace_back();
  leaf.value.kind = scalar_kind(value);
  leaf.field = field;
  leaf.scope = scope;
  leaf.next = no_leaf;
  if (kind == json::Kind::string) {
    leaf.value.text = characters(value.raw_string());
  } else if (kind == json::Kind::number) {
    leaf.value.text = value.text();
  }
  return value.after();
}

const std::uint32_t* LeafSet::walk_object(NodeIndex node, json::Value object, ScopeIndex scope) {
  const std::uint64_t serial = ++object_serial_;
  json::Members members(object);
  while (members.next()) {
    const NodeIndex child = trie_.child(node, characters(members.key()));
    if (child == PathTrie::no_node) continue;
    if (nodes_[child].object == serial) {
      for (LeafIndex i = nodes_[child].begin; i < nodes_[child].end; ++i) {
        leaves_[i].field = PathTrie::no_field;
      }
    }
    const auto begin = static_cast<LeafIndex>(leaves_.size());
    members.walked(walk(child, members.value(), scope));
    nodes_[child] = {serial, begin, static_cast<LeafIndex>(leaves_.size())};
  }
  return members.after();
}

const std::uint32_t* LeafSet::walk_array(NodeIndex node, json::Value array, ScopeIndex scope) {
  const std::uint32_t serial = ++array_serial_;
  json::Elements elements(array);
  while (elements.next()) {
    const json::Value element = elements.value();
    const json::Kind kind = element.kind();
    ScopeIndex inner = scope;
    if (kind == json::Kind::object || kind == json::Kind::array) {
      inner = static_cast<ScopeIndex>(scopes_.size());
      scopes_.push_back({scope, serial, 0});
    }
    elements.walked(walk(node, element, inner));
    if (inner != scope) scopes_[inner].end = static_cast<ScopeIndex>(scopes_.size());
  }
  return elements.after();
}

}  // namespace tocsin::match
