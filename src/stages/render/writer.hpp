#pragma once
// Writes values into a message, escaped for where they stand.

#include <string_view>

#include "protocol/json/walker.hpp"
#include "stages/render/bounded_text.hpp"
#include "stages/render/template.hpp"

namespace tocsin::render {

class Writer {
 public:
  Writer(BoundedText& out, Escape escape) noexcept : out_(out), escape_(escape) {}

  /// Text of the template itself.
  void literal(std::string_view text) { out_.text(text); }
  /// A value that is text. Bytes that are not UTF-8 become U+FFFD. `quoted`: Segment::quoted.
  void text(std::string_view text, bool quoted);
  /// A value of the payload: strings by their characters, objects and arrays as compact JSON.
  void value(json::Value value, bool quoted);
  /// No value.
  void missing(bool quoted);

 private:
  void characters(std::string_view text);
  void string(json::Value value);
  // As JSON text without spaces; `bare`: not escaped again.
  void compact(json::Value value, bool bare);

  BoundedText& out_;
  Escape escape_;
};

}  // namespace tocsin::render
