#pragma once
// A directory of one test, removed with everything in it.

#include <stdlib.h>

#include <array>
#include <filesystem>
#include <string>
#include <system_error>

namespace tocsin::testing {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::array<char, 32> pattern{"/tmp/tocsin-test-XXXXXX"};
    if (::mkdtemp(pattern.data()) != nullptr) path_ = pattern.data();
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace tocsin::testing
