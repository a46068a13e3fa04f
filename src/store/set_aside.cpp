#include "store/set_aside.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <vector>

#include <fmt/format.h>

#include "base/unique_fd.hpp"

namespace tocsin::store {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view log_suffix = "-wal";

void delete_oldest(const fs::path& path) {
  const std::string prefix = path.filename().string() + ".damaged-";
  std::vector<fs::path> copies;
  std::error_code error;
  for (fs::directory_iterator at(path.parent_path(), error), end; !error && at != end;
       at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (name.starts_with(prefix) && !name.ends_with(log_suffix)) copies.push_back(at->path());
  }
  std::ranges::sort(copies);  // By time, as long as it has as many digits.
  for (std::size_t i = 0; i + damaged_kept < copies.size(); ++i) {
    fs::remove(copies[i], error);
    fs::remove(copies[i].string() + std::string(log_suffix), error);
  }
}

}  // namespace

Result<std::string, std::string> set_aside(const std::string& path, std::int64_t wall_time_s) {
  std::string name = fmt::format("{}.damaged-{:010}", path, wall_time_s);
  std::error_code error;
  for (int n = 2; fs::exists(name, error); ++n) {
    name = fmt::format("{}.damaged-{:010}-{}", path, wall_time_s, n);
  }
  // The database first: a crash in between leaves a log without a database, which is ignored; the
  // other way round would be a database without its newest part.
  fs::rename(path, name, error);
  if (error) return Unexpected{error.message()};
  fs::rename(path + std::string(log_suffix), name + std::string(log_suffix), error);
  for (const std::string_view suffix : {"-journal", "-shm"}) {
    fs::remove(path + std::string(suffix), error);
  }
  delete_oldest(path);
  const UniqueFd directory(
      ::open(fs::path(path).parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // Should the names not be durable, the file is found damaged once more.
  if (directory.valid()) static_cast<void>(::fsync(directory.get()));
  return name;
}

}  // namespace tocsin::store
