#pragma once
// Result: a value or an error, without exceptions. The interface is the subset of C++23's
// std::expected that Tocsin uses, so that it can be replaced by an alias one day.

#include <cassert>
#include <type_traits>
#include <utility>
#include <variant>

namespace tocsin {

/// Wraps an error so that it converts to any Result with that error type.
template <class E>
struct Unexpected {
  E error;
};
template <class E>
Unexpected(E) -> Unexpected<E>;

/// Holds either a T or an E. Reading the side that is not there is a programming error (assert).
template <class T, class E>
class [[nodiscard]] Result {
 public:
  using value_type = T;
  using error_type = E;

  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT(*-explicit-*)
  template <class G>
    requires std::is_convertible_v<G, E>
  Result(Unexpected<G> failure)  // NOLINT(*-explicit-*)
      : state_(std::in_place_index<1>, std::move(failure.error)) {}

  [[nodiscard]] bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  [[nodiscard]] T& value() & noexcept { return *std::get_if<0>(&state_); }
  [[nodiscard]] const T& value() const& noexcept { return *std::get_if<0>(&state_); }
  [[nodiscard]] T&& value() && noexcept { return std::move(*std::get_if<0>(&state_)); }
  [[nodiscard]] T& operator*() & noexcept { return value(); }
  [[nodiscard]] const T& operator*() const& noexcept { return value(); }
  [[nodiscard]] T&& operator*() && noexcept { return std::move(*this).value(); }
  [[nodiscard]] T* operator->() noexcept { return &value(); }
  [[nodiscard]] const T* operator->() const noexcept { return &value(); }

  [[nodiscard]] E& error() noexcept { return *std::get_if<1>(&state_); }
  [[nodiscard]] const E& error() const noexcept { return *std::get_if<1>(&state_); }

 private:
  std::variant<T, E> state_;
};

/// A Result that carries no value: success or an E.
template <class E>
class [[nodiscard]] Result<void, E> {
 public:
  Result() = default;
  template <class G>
    requires std::is_convertible_v<G, E>
  Result(Unexpected<G> failure)  // NOLINT(*-explicit-*)
      : state_(std::in_place_index<1>, std::move(failure.error)) {}

  [[nodiscard]] bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }
  [[nodiscard]] E& error() noexcept { return *std::get_if<1>(&state_); }
  [[nodiscard]] const E& error() const noexcept { return *std::get_if<1>(&state_); }

 private:
  std::variant<std::monostate, E> state_;
};

}  // namespace tocsin
