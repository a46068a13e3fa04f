#include "protocol/http/known_heads.hpp"

#include <cassert>
#include <cstring>
#include <new>
#include <optional>
#include <utility>

#include "base/hash.hpp"

namespace tocsin::http {
namespace {

std::uint64_t word_at(const char* at) noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, at, sizeof(word));
  return word;
}

// Takes the same time wherever the texts differ: heads hold credentials, and a proxy in front of us
// may send the requests of several clients on one connection.
bool same(const char* a, const char* b, std::size_t size) noexcept {
  std::uint64_t difference = 0;
  std::size_t at = 0;
  for (; size - at >= sizeof(difference); at += sizeof(difference)) {
    difference |= word_at(a + at) ^ word_at(b + at);
  }
  for (; at < size; ++at) {
    difference |= static_cast<std::uint64_t>(static_cast<unsigned char>(a[at] ^ b[at]));
  }
  return difference == 0;
}

std::optional<std::uint64_t> digits(std::string_view text) noexcept {
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return value;
}

// Recognizes `known` at the start of `bytes`, and takes over the length that stands there.
bool matches(KnownHead& known, std::string_view bytes) noexcept {
  const std::size_t size = known.text.size();
  if (bytes.size() < size) return false;
  const std::size_t end = known.length_at + known.length_size;
  if (!same(known.text.data(), bytes.data(), known.length_at) ||
      !same(known.text.data() + end, bytes.data() + end, size - end)) {
    return false;
  }
  if (known.length_size == 0) return true;
  const std::string_view sent = bytes.substr(known.length_at, known.length_size);
  const auto length = digits(sent);
  if (!length) return false;
  std::memcpy(known.text.data() + known.length_at, sent.data(), sent.size());
  known.info.length = *length;
  return true;
}

}  // namespace

KnownHead* KnownHeads::get(HeadName name) noexcept {
  if (name.slot >= slots) return nullptr;
  KnownHead* const head = slots_[name.slot].head.get();
  return head != nullptr && head->request.known == name ? head : nullptr;
}

const KnownHead* KnownHeads::find(std::string_view bytes, RecentHeads& recent) noexcept {
  for (HeadName& name : recent.names) {
    KnownHead* const known = get(name);
    if (known == nullptr || !matches(*known, bytes)) continue;
    std::swap(name, recent.names.front());
    return known;
  }
  return nullptr;
}

void KnownHeads::note(std::string_view head, const Headers& headers, const HeadInfo& info,
                      const Request& request, RecentHeads& recent) noexcept {
  // What is rare is read anew each time, which leaves less to get wrong.
  if (head.size() > size_max || !info.http11 || !request.target.starts_with('/') ||
      headers.count(Field::expect) > 0) {
    return;
  }
  const auto length = headers.find(Field::content_length).value_or(std::string_view{});
  const std::size_t length_at =
      length.empty() ? head.size() : static_cast<std::size_t>(length.data() - head.data());
  const std::uint64_t hash = hash64(head.substr(length_at + length.size()),
                                    hash64(head.substr(0, length_at), seed_ + length.size()));
  Slot& slot = slots_[hash % slots];
  if (slot.head == nullptr || slot.hash != hash) {
    if (std::exchange(slot.candidate, hash) != hash || !keep(slot, head)) return;
    KnownHead& known = *slot.head;
    slot.hash = hash;
    known.info = info;
    known.length_at = length_at;
    known.length_size = length.size();
    known.headers.copy(headers, known.text.data());
    const auto moved = [&](std::string_view part) {
      if (part.empty()) return std::string_view{};
      assert(part.data() >= head.data() && part.data() + part.size() <= head.data() + head.size());
      return std::string_view(known.text.data() + (part.data() - head.data()), part.size());
    };
    known.request = request;
    known.request.target = moved(request.target);
    known.request.path = moved(request.path);
    known.request.query = moved(request.query);
    known.request.authority = moved(request.authority);
    known.request.body = {};
    known.request.headers = &known.headers;
    known.request.known = {.slot = static_cast<std::uint32_t>(hash % slots), .serial = ++serial_};
  } else if (!matches(*slot.head, head)) {
    return;  // Another head with the same hash.
  }
  recent.names.back() = std::exchange(recent.names.front(), slot.head->request.known);
}

bool KnownHeads::keep(Slot& slot, std::string_view text) noexcept {
  if (slot.head == nullptr) slot.head.reset(new (std::nothrow) KnownHead);
  if (slot.head == nullptr) return false;
  slot.head->request.known = {};
  slot.head->text.assign(text);
  return true;
}

}  // namespace tocsin::http
