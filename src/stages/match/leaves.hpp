#pragma once
// The one pass over a document: collects the leaf values of the fields that rules use.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/json/walker.hpp"
#include "stages/match/path_trie.hpp"
#include "stages/match/predicate.hpp"
#include "stages/match/shape_plans.hpp"

namespace tocsin::match {

using LeafIndex = std::uint32_t;
using ScopeIndex = std::uint32_t;

/// One element (object or array) of an array. Leaves of two elements of one array must not satisfy
/// one rule together. Scopes stand in document order, parents before children.
struct Scope {
  ScopeIndex parent = 0;
  std::uint32_t array = 0;  ///< Which array of the document; 0 only for the root.
  ScopeIndex end = 0;       ///< The scopes inside are those up to here.
};

struct Leaf {
  Scalar value;                           ///< Numbers unread: see LeafSet::value().
  FieldIndex field = PathTrie::no_field;  ///< no_field: overridden by a later duplicate key.
  ScopeIndex scope = 0;
  LeafIndex next = 0;  ///< The next leaf of the same field, in document order, or no_leaf.
};

/// The values of one document, field by field. Scratch of one worker, reused.
class LeafSet {
 public:
  static constexpr LeafIndex no_leaf = UINT32_MAX;

  explicit LeafSet(const PathTrie& trie);

  /// Forgets the document.
  void clear() noexcept;
  /// Collects the leaves of a document. Views point into it and into this object; they live until
  /// the next clear(). `text`: of the whole document. Returns up to which index it was read: not at
  /// all when it is no object.
  const std::uint32_t* collect(json::Value document, std::string_view text);
  /// The same for a document of a known shape, by the places of its values.
  void collect(std::string_view text, const json::Shape& shape, const json::ValueStart* starts,
               std::span<const PlannedLeaf> plan);
  /// Adds a value that stands outside the document.
  void add(FieldIndex field, const Scalar& value);
  /// Ends collecting: now leaves can be read by field.
  void link() noexcept;

  [[nodiscard]] std::span<const Leaf> leaves() const noexcept { return leaves_; }
  [[nodiscard]] const Leaf& leaf(LeafIndex index) const noexcept { return leaves_[index]; }
  /// A leaf's value, and if it is a number, read: most are never asked for.
  [[nodiscard]] const Scalar& value(LeafIndex index) noexcept {
    Scalar& value = leaves_[index].value;
    if (value.kind == ScalarKind::number && value.number.token.empty()) {
      value.number = parse_decimal(value.text);
    }
    return value;
  }
  [[nodiscard]] LeafIndex first(FieldIndex field) const noexcept {
    return fields_[field].epoch == epoch_ ? fields_[field].first : no_leaf;
  }
  [[nodiscard]] std::span<const Scope> scopes() const noexcept { return scopes_; }

 private:
  struct FieldSlot {
    std::uint64_t epoch = 0;
    LeafIndex first = no_leaf;
  };
  // What the last member at a trie node was, to undo it when its key comes again.
  struct NodeSlot {
    std::uint64_t object = 0;
    LeafIndex begin = 0;
    LeafIndex end = 0;
  };
  const std::uint32_t* walk(NodeIndex node, json::Value value, ScopeIndex scope);
  const std::uint32_t* walk_object(NodeIndex node, json::Value object, ScopeIndex scope);
  const std::uint32_t* walk_array(NodeIndex node, json::Value array, ScopeIndex scope);
  // What a string between its quotes stands for.
  [[nodiscard]] std::string_view characters(std::string_view raw) noexcept {
    return escapes_ ? unescaped(raw) : raw;
  }
  [[nodiscard]] std::string_view unescaped(std::string_view raw) noexcept;

  const PathTrie& trie_;
  std::vector<Leaf> leaves_;
  std::vector<Scope> scopes_;
  std::vector<FieldSlot> fields_;
  std::vector<NodeSlot> nodes_;
  bool escapes_ = false;  // Whether the document holds a backslash at all.
  std::string unescaped_;
  std::size_t unescaped_used_ = 0;
  std::uint64_t epoch_ = 1;
  std::uint64_t object_serial_ = 0;
  std::uint32_t array_serial_ = 0;
};

}  // namespace tocsin::match
