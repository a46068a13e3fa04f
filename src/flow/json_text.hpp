#pragma once
// Appends text as a JSON string.

#include <string>
#include <string_view>

namespace tocsin::flow {

/// Appends `text` in quotes, escaped as RFC 8259 section 7 demands. Bytes above 0x7F pass through,
/// so `text` must be UTF-8 for the result to be.
void append_json_string(std::string& out, std::string_view text);

}  // namespace tocsin::flow
