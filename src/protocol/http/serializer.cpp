#include "protocol/http/serializer.hpp"

#include <cassert>
#include <charconv>
#include <chrono>
#include <cstring>
#include <span>

namespace tocsin::http {
namespace {

class Writer {
 public:
  explicit Writer(std::array<char, 512>& room) noexcept : room_(room) {}
  // Text that does not fit shows up as !ok(), never as a cut head.
  Writer& operator<<(std::string_view text) noexcept {
    if (text.empty()) return *this;
    if (text.size() > room_.size() - size_) {
      ok_ = false;
      return *this;
    }
    std::memcpy(room_.data() + size_, text.data(), text.size());
    size_ += text.size();
    return *this;
  }
  Writer& operator<<(std::uint64_t number) noexcept {
    std::array<char, 20> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    return *this << std::string_view(digits.data(), static_cast<std::size_t>(end - digits.data()));
  }
  [[nodiscard]] bool ok() const noexcept { return ok_; }
  [[nodiscard]] std::string_view view() const noexcept { return {room_.data(), size_}; }

 private:
  std::array<char, 512>& room_;
  std::size_t size_ = 0;
  bool ok_ = true;
};

void put_start(Writer& writer, std::uint16_t status, std::string_view content_type,
               std::string_view date) noexcept {
  writer << "HTTP/1.1 " << std::uint64_t{status} << " " << reason_phrase(status) << "\r\n";
  if (!date.empty()) writer << "Date: " << date << "\r\n";
  if (!content_type.empty()) writer << "Content-Type: " << content_type << "\r\n";
  writer << "Content-Length: ";
}

void put_two_digits(char* at, unsigned value) noexcept {
  at[0] = static_cast<char>('0' + value / 10 % 10);
  at[1] = static_cast<char>('0' + value % 10);
}

}  // namespace

std::string_view reason_phrase(std::uint16_t status) noexcept {
  switch (status) {
    case 100:
      return "Continue";
    case 200:
      return "OK";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 207:
      return "Multi-Status";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Unknown";
  }
}

std::string_view DateCache::at(WallTime now) noexcept {
  using namespace std::chrono;
  const std::int64_t second = floor<seconds>(now.time_since_epoch()).count();
  if (second == second_) return {text_.data(), text_.size()};
  second_ = second;
  const sys_seconds time{seconds{second}};
  const sys_days day = floor<days>(time);
  const year_month_day date{day};
  const hh_mm_ss clock{time - day};
  static constexpr std::string_view day_names = "SunMonTueWedThuFriSat";
  static constexpr std::string_view month_names = "JanFebMarAprMayJunJulAugSepOctNovDec";
  std::memcpy(text_.data(), "Sun, 06 Nov 1994 08:49:37 GMT", size);
  std::memcpy(text_.data(), day_names.data() + 3 * weekday{day}.c_encoding(), 3);
  put_two_digits(&text_[5], static_cast<unsigned>(date.day()));
  std::memcpy(&text_[8], month_names.data() + 3 * (static_cast<unsigned>(date.month()) - 1), 3);
  const auto year = static_cast<unsigned>(static_cast<int>(date.year()));
  put_two_digits(&text_[12], year / 100);
  put_two_digits(&text_[14], year);
  put_two_digits(&text_[17], static_cast<unsigned>(clock.hours().count()));
  put_two_digits(&text_[20], static_cast<unsigned>(clock.minutes().count()));
  put_two_digits(&text_[23], static_cast<unsigned>(clock.seconds().count()));
  return {text_.data(), text_.size()};
}

void PreparedHead::make(std::uint16_t status, std::string_view content_type,
                        std::string_view date) {
  std::array<char, 512> room;
  Writer writer(room);
  put_start(writer, status, content_type, date);
  assert(writer.ok() && writer.view().size() <= text_.size() && date.size() <= date_.size());
  size_ = writer.view().copy(text_.data(), text_.size());
  date_size_ = date.copy(date_.data(), date_.size());
}

bool PreparedHead::append(ByteBuffer& out, std::string_view body) const noexcept {
  constexpr std::size_t digits_max = 20;
  constexpr std::string_view end = "\r\n\r\n";
  const std::span<char> room = out.tail(size_ + digits_max + end.size() + body.size());
  if (room.empty()) return false;
  char* at = room.data();
  std::memcpy(at, text_.data(), size_);
  at = std::to_chars(at + size_, at + size_ + digits_max, body.size()).ptr;
  std::memcpy(at, end.data(), end.size());
  at += end.size();
  if (!body.empty()) std::memcpy(at, body.data(), body.size());
  out.commit(static_cast<std::size_t>(at - room.data()) + body.size());
  return true;
}

bool append_head(ByteBuffer& out, const ResponseHead& head) noexcept {
  std::array<char, 512> room;
  Writer writer(room);
  put_start(writer, head.status, head.content_type, head.date);
  writer << head.content_length << "\r\n";
  if (head.persistence == Persistence::close) writer << "Connection: close\r\n";
  if (head.persistence == Persistence::keep_alive) writer << "Connection: keep-alive\r\n";
  writer << head.extra << "\r\n";
  return writer.ok() && out.append(writer.view());
}

}  // namespace tocsin::http
