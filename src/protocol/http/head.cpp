#include "protocol/http/head.hpp"

#include <llhttp.h>

#include <algorithm>
#include <cassert>
#include <cstring>

#include "base/ascii.hpp"

namespace tocsin::http {
namespace {

std::string_view trim_end(std::string_view text) noexcept {
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// RFC 9110 section 8.6: 1*DIGIT, nothing else. 18 digits cannot overflow.
std::optional<std::uint64_t> parse_length(std::string_view text) noexcept {
  if (text.empty() || text.size() > 18) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return value;
}

// By size there is one candidate, or two that differ in their first letter.
std::optional<Field> field_of(std::string_view name) noexcept {
  const auto named = [&](std::string_view wanted, Field field) {
    return equals_ignoring_case(name, wanted) ? std::optional(field) : std::nullopt;
  };
  switch (name.size()) {
    case 4:
      return named("host", Field::host);
    case 6:
      return ascii_lower(name[0]) == 'e' ? named("expect", Field::expect)
                                         : named("origin", Field::origin);
    case 10:
      return named("tocsin-ack", Field::tocsin_ack);
    case 11:
      return named("traceparent", Field::traceparent);
    case 12:
      return named("content-type", Field::content_type);
    case 13:
      return named("authorization", Field::authorization);
    case 14:
      return named("content-length", Field::content_length);
    case 16:
      return named("content-encoding", Field::content_encoding);
    case 17:
      return named("transfer-encoding", Field::transfer_encoding);
    default:
      return std::nullopt;
  }
}

}  // namespace

std::string_view to_string(ParseError error) noexcept {
  switch (error) {
    case ParseError::none:
      return "none";
    case ParseError::head_too_large:
      return "head_too_large";
    case ParseError::headers_too_many:
      return "headers_too_many";
    case ParseError::line_ending:
      return "line_ending";
    case ParseError::folded_header:
      return "folded_header";
    case ParseError::syntax:
      return "syntax";
    case ParseError::version:
      return "version";
    case ParseError::connect:
      return "connect";
    case ParseError::target:
      return "target";
    case ParseError::host:
      return "host";
    case ParseError::framing:
      return "framing";
    case ParseError::transfer_coding:
      return "transfer_coding";
    case ParseError::body_too_large:
      return "body_too_large";
    case ParseError::chunk:
      return "chunk";
    case ParseError::truncated:
      return "truncated";
    case ParseError::interim:
      return "interim";
    case ParseError::memory:
      return "memory";
  }
  return "unknown";
}

Header Headers::at(std::size_t index) const noexcept {
  assert(index < count_);
  const Entry& entry = entries_[index];
  return {.name = {base_ + entry.name_at, entry.name_size},
          .value = {base_ + entry.value_at, entry.value_size}};
}

std::optional<std::string_view> Headers::find(std::string_view name) const noexcept {
  for (std::size_t i = 0; i < count_; ++i) {
    if (entries_[i].name_size != name.size()) continue;
    const Header header = at(i);
    if (equals_ignoring_case(header.name, name)) return header.value;
  }
  return std::nullopt;
}

void Headers::copy(const Headers& other, const char* base) noexcept {
  base_ = base;
  count_ = other.count_;
  known_ = other.known_;
  std::copy_n(other.entries_.begin(), count_, entries_.begin());
}

void Headers::note(Field field, std::size_t index) noexcept {
  static_assert(headers_max <= UINT8_MAX);
  Known& known = known_[static_cast<std::size_t>(field)];
  if (known.count++ == 0) known.first = static_cast<std::uint8_t>(index);
}

/// Runs llhttp over one whole head. llhttp is asked for heads only: it sees a head in one piece, so
/// that no callback is ever split, and bodies are framed by what we checked ourselves.
class HeadBuilder {
 public:
  HeadBuilder(std::string_view head, Headers& headers, HeadInfo& info) noexcept
      : head_(head), headers_(headers), info_(info) {
    headers_.base_ = head.data();
    headers_.count_ = 0;
    headers_.known_ = {};
    info_ = {};
  }

  [[nodiscard]] ParseError run(HeadKind kind) noexcept {
    static const llhttp_settings_t settings = make_settings();
    llhttp_t parser;
    llhttp_init(&parser, kind == HeadKind::request ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
    parser.data = this;
    const llhttp_errno_t outcome = llhttp_execute(&parser, head_.data(), head_.size());
    if (error_ != ParseError::none) return error_;
    if (outcome != HPE_PAUSED || !complete_) return classify(outcome);
    if (parser.http_major != 1 || parser.http_minor > 1) return ParseError::version;
    info_.method = parser.method;
    info_.status = parser.status_code;
    info_.http11 = parser.http_minor == 1;
    trim_values();
    return frame();
  }

 private:
  static llhttp_settings_t make_settings() noexcept {
    llhttp_settings_t settings;
    llhttp_settings_init(&settings);
    settings.on_url = [](llhttp_t* p, const char* at, std::size_t size) {
      return self(p).on_url(at, size);
    };
    settings.on_header_field = [](llhttp_t* p, const char* at, std::size_t size) {
      return self(p).on_field(at, size);
    };
    settings.on_header_value = [](llhttp_t* p, const char* at, std::size_t size) {
      return self(p).on_value(at, size);
    };
    settings.on_headers_complete = [](llhttp_t* p) {
      HeadBuilder& builder = self(p);
      builder.complete_ = true;
      builder.info_.keep_alive = builder.persists(*p);
      return static_cast<int>(HPE_PAUSED);
    };
    return settings;
  }
  static HeadBuilder& self(llhttp_t* parser) noexcept {
    return *static_cast<HeadBuilder*>(parser->data);
  }

  [[nodiscard]] std::uint16_t offset(const char* at) const noexcept {
    return static_cast<std::uint16_t>(at - head_.data());
  }

  // RFC 9112 section 9.3. llhttp_should_keep_alive also asks how a response's body ends, which
  // the response parser decides itself.
  [[nodiscard]] static bool persists(const llhttp_t& parser) noexcept {
    if ((parser.flags & F_CONNECTION_CLOSE) != 0) return false;
    return parser.http_minor > 0 || (parser.flags & F_CONNECTION_KEEP_ALIVE) != 0;
  }

  int on_url(const char* at, std::size_t size) noexcept {
    if (info_.target_size == 0) info_.target_at = offset(at);
    info_.target_size = static_cast<std::uint16_t>(offset(at) + size - info_.target_at);
    return 0;
  }
  int on_field(const char* at, std::size_t size) noexcept {
    if (!in_field_) {
      if (headers_.count_ == headers_max) {
        error_ = ParseError::headers_too_many;
        return -1;
      }
      headers_.entries_[headers_.count_++] = {
          .name_at = offset(at), .name_size = 0, .value_at = offset(at), .value_size = 0};
      in_field_ = true;
    }
    auto& entry = headers_.entries_[headers_.count_ - 1];
    entry.name_size = static_cast<std::uint16_t>(offset(at) + size - entry.name_at);
    return 0;
  }
  int on_value(const char* at, std::size_t size) noexcept {
    auto& entry = headers_.entries_[headers_.count_ - 1];
    if (in_field_) entry.value_at = offset(at);
    in_field_ = false;
    entry.value_size = static_cast<std::uint16_t>(offset(at) + size - entry.value_at);
    return 0;
  }

  static ParseError classify(llhttp_errno_t outcome) noexcept {
    switch (outcome) {
      case HPE_INVALID_VERSION:
        return ParseError::version;
      case HPE_INVALID_URL:
        return ParseError::target;
      case HPE_INVALID_CONTENT_LENGTH:
      case HPE_UNEXPECTED_CONTENT_LENGTH:
        return ParseError::framing;
      case HPE_INVALID_TRANSFER_ENCODING:
        return ParseError::transfer_coding;
      default:
        return ParseError::syntax;
    }
  }

  void trim_values() noexcept {
    for (std::size_t i = 0; i < headers_.count_; ++i) {
      headers_.entries_[i].value_size =
          static_cast<std::uint16_t>(trim_end(headers_.at(i).value).size());
    }
  }

  // RFC 9112 section 6.3, without its permissions: what two parsers could read differently is
  // refused.
  [[nodiscard]] ParseError frame() noexcept {
    for (std::size_t i = 0; i < headers_.count_; ++i) {
      const Header header = headers_.at(i);
      const auto field = field_of(header.name);
      if (!field) continue;
      headers_.note(*field, i);
      if (*field == Field::content_length) {
        const auto length = parse_length(header.value);
        if (!length || info_.has_length) return ParseError::framing;
        info_.has_length = true;
        info_.length = *length;
      } else if (*field == Field::transfer_encoding) {
        if (info_.chunked || !info_.http11) return ParseError::framing;
        if (!equals_ignoring_case(header.value, "chunked")) return ParseError::transfer_coding;
        info_.chunked = true;
      }
    }
    return info_.chunked && info_.has_length ? ParseError::framing : ParseError::none;
  }

  std::string_view head_;
  Headers& headers_;
  HeadInfo& info_;
  ParseError error_ = ParseError::none;
  bool in_field_ = false;
  bool complete_ = false;
};

HeadReader::HeadReader(HeadKind kind, std::size_t size_max, ByteBudget* budget) noexcept
    : kind_(kind), size_max_(size_max), buffer_(budget) {
  assert(size_max <= head_size_limit);
}

HeadReader::Step HeadReader::feed(std::string_view bytes) noexcept {
  if (buffer_.empty()) {
    const Scan outcome = scan(bytes);
    if (outcome == Scan::failed) return {.consumed = bytes.size(), .error = error_};
    if (outcome == Scan::complete) {
      in_place_ = true;
      return finish(bytes.substr(start_, line_at_ - start_), line_at_);
    }
    if (!buffer_.append(bytes)) return {.consumed = bytes.size(), .error = ParseError::memory};
    return {.consumed = bytes.size()};
  }
  const std::size_t before = buffer_.size();
  const std::size_t taken = std::min(bytes.size(), size_max_ - before);
  if (!buffer_.append(bytes.substr(0, taken))) return {.error = ParseError::memory};
  const Scan outcome = scan(buffer_.view());
  if (outcome == Scan::failed) return {.consumed = taken, .error = error_};
  if (outcome == Scan::more) return {.consumed = taken};
  buffer_.truncate(line_at_);
  return finish(buffer_.view().substr(start_), line_at_ - before);
}

HeadReader::Step HeadReader::finish(std::string_view head, std::size_t consumed) noexcept {
  head_ = head;
  HeadBuilder builder(head, headers_, info_);
  return {.consumed = consumed, .complete = true, .error = builder.run(kind_)};
}

// Finds the empty line and checks every line end. llhttp alone is not enough: 8.1 lets a bare LF,
// or a CR without LF, end a header line, where another parser in front of us may see no end.
HeadReader::Scan HeadReader::scan(std::string_view region) noexcept {
  region = region.substr(0, size_max_);
  for (;;) {
    const std::size_t line_feed = region.find('\n', scan_at_);
    if (line_feed == region.npos) {
      scan_at_ = region.size();
      if (line_at_ == start_ && !may_be_start(region.substr(start_))) {
        error_ = ParseError::syntax;
        return Scan::failed;
      }
      if (region.size() < size_max_) return Scan::more;
      error_ = ParseError::head_too_large;
      return Scan::failed;
    }
    const std::string_view line = region.substr(line_at_, line_feed - line_at_);
    if (!check_line(line)) return Scan::failed;
    const bool first = line_at_ == start_;
    line_at_ = line_feed + 1;
    scan_at_ = line_at_;
    if (line.size() > 1) continue;
    if (!first) return Scan::complete;
    // RFC 9112 section 2.2: one empty line before a request is ignored.
    if (start_ > 0) {
      error_ = ParseError::syntax;
      return Scan::failed;
    }
    start_ = line_at_;
  }
}

// A peer that does not speak HTTP may wait for us after its first words: its answer is known to be
// none at once, not when our patience ends.
bool HeadReader::may_be_start(std::string_view line) const noexcept {
  constexpr std::string_view version = "HTTP/";
  if (kind_ == HeadKind::request || line.empty() || line == "\r") return true;
  const std::size_t n = std::min(line.size(), version.size());
  return line.substr(0, n) == version.substr(0, n);
}

bool HeadReader::check_line(std::string_view line) noexcept {
  // First, as while the line is incomplete: the error does not depend on how the bytes come.
  if (line_at_ == start_ && !may_be_start(line)) {
    error_ = ParseError::syntax;
    return false;
  }
  if (line.find('\r') != line.size() - 1 || line.empty()) {
    error_ = ParseError::line_ending;
    return false;
  }
  if (line_at_ == start_) {
    // RFC 9112 section 3: single spaces. llhttp skips more of them.
    if (kind_ == HeadKind::response || std::ranges::count(line, ' ') <= 2) return true;
    error_ = ParseError::syntax;
    return false;
  }
  if (line.front() == ' ' || line.front() == '\t') {
    error_ = ParseError::folded_header;
    return false;
  }
  if (line.front() == ':') {  // llhttp lets a field have no name.
    error_ = ParseError::syntax;
    return false;
  }
  return true;
}

bool HeadReader::keep() noexcept {
  if (!in_place_) return true;
  buffer_.clear();
  if (!buffer_.append(head_)) return false;
  in_place_ = false;
  head_ = buffer_.view();
  headers_.base_ = head_.data();
  return true;
}

bool HeadReader::assume(std::string_view head, const Headers& headers,
                        const HeadInfo& info) noexcept {
  assert(!started());
  buffer_.clear();
  if (!buffer_.append(head)) return false;
  in_place_ = false;
  head_ = buffer_.view();
  headers_.copy(headers, head_.data());
  info_ = info;
  return true;
}

void HeadReader::reset() noexcept {
  buffer_.clear();
  head_ = {};
  in_place_ = false;
  start_ = 0;
  line_at_ = 0;
  scan_at_ = 0;
  error_ = ParseError::none;
}

void HeadReader::release() noexcept {
  reset();
  buffer_.release();
}

std::string_view HeadReader::target() const noexcept {
  return head_.substr(info_.target_at, info_.target_size);
}

}  // namespace tocsin::http
