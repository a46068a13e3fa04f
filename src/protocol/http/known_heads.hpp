#pragma once
// Heads that have been read before: most clients send the same one with every request, and what has
// the same bytes has the same meaning. Only the digits of Content-Length may differ.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "protocol/http/head.hpp"
#include "protocol/http/request.hpp"

namespace tocsin::http {

/// The heads that one connection sent last, the latest first.
struct RecentHeads {
  std::array<HeadName, 2> names{};
};

/// A head and what it said. Its views point into itself.
struct KnownHead {
  std::string text;
  Headers headers;
  HeadInfo info;
  Request request;
  std::size_t length_at = 0;    ///< Where the digits of Content-Length stand,
  std::size_t length_size = 0;  ///< and how many; none without the field.
};

/// Those of one thread. Bounded: `slots` heads of up to `size_max` bytes. A head is kept when it is
/// seen for the second time with nothing of its slot between, so that heads which are never the
/// same (a request id in each) drive nobody out and are not copied.
class KnownHeads {
 public:
  static constexpr std::size_t slots = 128;
  static constexpr std::size_t size_max = 1024;

  /// `seed`: a secret, so that nobody can choose the slot of his head.
  explicit KnownHeads(std::uint64_t seed) noexcept : seed_(seed) {}

  /// The head that `bytes` begin with, if it is one of `recent`, with the length that is given now.
  /// Valid until the next call.
  [[nodiscard]] const KnownHead* find(std::string_view bytes, RecentHeads& recent) noexcept;
  /// Notes a head that was read and found good; `request` and `headers` point into `head`.
  void note(std::string_view head, const Headers& headers, const HeadInfo& info,
            const Request& request, RecentHeads& recent) noexcept;

 private:
  struct Slot {
    std::unique_ptr<KnownHead> head;
    std::uint64_t hash = 0;       // Of `head`.
    std::uint64_t candidate = 0;  // Of the head that was seen last, once.
  };
  [[nodiscard]] KnownHead* get(HeadName name) noexcept;
  [[nodiscard]] bool keep(Slot& slot, std::string_view text) noexcept;

  std::uint64_t seed_;
  std::uint32_t serial_ = 0;
  std::array<Slot, slots> slots_;
};

}  // namespace tocsin::http
