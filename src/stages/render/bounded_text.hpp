#pragma once
// Output that never exceeds its bound: what does not fit is cut at a character's boundary and
// marked with an ellipsis.

#include <cassert>
#include <cstddef>
#include <string>
#include <string_view>

namespace tocsin::render {

inline constexpr std::string_view ellipsis = "\xE2\x80\xA6";

class BoundedText {
 public:
  /// Replaces what `out` holds. `size_max` includes the ellipsis.
  BoundedText(std::string& out, std::size_t size_max) noexcept : out_(out), size_max_(size_max) {
    assert(size_max > ellipsis.size());
    out_.clear();
  }

  [[nodiscard]] bool full() const noexcept { return cut_; }

  /// Appends UTF-8 text; it may be cut between characters.
  void text(std::string_view bytes) {
    if (cut_) return;
    const std::size_t soft_max = size_max_ - ellipsis.size();
    if (out_.size() <= soft_max) {
      // Even if more follows, this much can stay.
      safe_ = out_.size() + boundary(bytes, soft_max - out_.size());
    }
    if (out_.size() + bytes.size() > size_max_) {
      out_.append(bytes.substr(0, size_max_ - out_.size()));
      cut_ = true;
    } else {
      out_.append(bytes);
    }
  }

  /// Appends bytes that must stay together, such as one escape.
  void whole(std::string_view bytes) {
    if (cut_) return;
    if (out_.size() + bytes.size() > size_max_) {
      cut_ = true;
      return;
    }
    out_.append(bytes);
    if (out_.size() <= size_max_ - ellipsis.size()) safe_ = out_.size();
  }

  /// Ends writing; whether something was cut.
  bool finish() {
    if (!cut_) return false;
    out_.resize(safe_);
    out_.append(ellipsis);
    return true;
  }

 private:
  /// The largest size up to `size` at which `bytes` can be cut.
  [[nodiscard]] static std::size_t boundary(std::string_view bytes, std::size_t size) noexcept {
    if (size >= bytes.size()) return bytes.size();
    const std::size_t start = size;
    // A UTF-8 character has at most three continuation bytes; more of them are not text.
    while (size > 0 && start - size < 4 &&
           (static_cast<unsigned char>(bytes[size]) & 0xC0U) == 0x80U) {
      --size;
    }
    return size;
  }

  std::string& out_;
  std::size_t size_max_;
  std::size_t safe_ = 0;
  bool cut_ = false;
};

}  // namespace tocsin::render
