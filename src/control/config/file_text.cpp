#include "control/config/file_text.hpp"
#include "base/errno_text.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>

#include <fmt/format.h>

namespace tocsin::config {
namespace {

struct Close {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};

Unexpected<std::string> unreadable(int error) {
  return {fmt::format("cannot be read: {}", errno_text(error))};
}

}  // namespace

Result<std::string, std::string> read_file(const std::string& path, std::size_t size_max) {
  const std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "rbe"));
  if (!file) return unreadable(errno);
  std::string text;
  std::array<char, 4096> chunk{};
  for (;;) {
    const std::size_t size = std::fread(chunk.data(), 1, chunk.size(), file.get());
    if (size == 0) break;
    text.append(chunk.data(), size);
    if (text.size() > size_max) return Unexpected{fmt::format("is larger than {} bytes", size_max)};
  }
  if (std::ferror(file.get()) != 0) return unreadable(errno);
  return text;
}

}  // namespace tocsin::config
