#pragma once
// Which kind of I/O to use: the best that the machine offers, or the one that was asked for.

#include <memory>
#include <string>
#include <string_view>

#include "io/io.hpp"

namespace tocsin::io {

/// What people may ask for: `auto`, or a Backend by name. As OptionSpec::choices takes it.
inline constexpr std::string_view backend_choices = "auto|uring|uring-single|epoll";

struct BackendChoice {
  Backend backend = Backend::epoll;
  std::string why;  ///< Half a sentence for people.
};

/// Tries what the kernel offers, best first. The error says why the wanted one cannot be had;
/// `auto` always finds one. Any thread.
[[nodiscard]] Result<BackendChoice, std::string> choose_backend(std::string_view wanted);

/// An Io of a kind that choose_backend() returned. The error is a sentence.
[[nodiscard]] Result<std::unique_ptr<Io>, std::string> make_io(Backend backend,
                                                               const IoOptions& options);

}  // namespace tocsin::io
