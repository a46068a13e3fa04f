#include "stages/ingress/http/guard.hpp"

#include <algorithm>

#include "base/ascii.hpp"
#include "protocol/http/fields.hpp"

namespace tocsin::ingress {
namespace {

bool changes_state(http::Method method) noexcept {
  return method != http::Method::get && method != http::Method::head &&
         method != http::Method::options;
}

}  // namespace

GuardVerdict RequestGuard::check(const http::Request& request, bool loopback) const noexcept {
  // HTTP/1.0 may come without Host, but no browser sends that.
  if (loopback && !request.authority.empty() && !host_is_ours(request.authority)) {
    return GuardVerdict::foreign_host;
  }
  if (!changes_state(request.method)) return GuardVerdict::allowed;
  const auto origin = request.header(http::Field::origin);
  if (!origin) return GuardVerdict::allowed;
  const auto authority = http::authority_of_origin(*origin);
  if (!authority || !equals_ignoring_case(*authority, request.authority)) {
    return GuardVerdict::foreign_origin;
  }
  return GuardVerdict::allowed;
}

// A loopback listener can only have been reached through a loopback address, so that any other
// address in Host is as foreign as an unknown name.
bool RequestGuard::host_is_ours(std::string_view authority) const noexcept {
  const auto host = http::host_of(authority);
  if (!host) return false;
  if (equals_ignoring_case(*host, "localhost")) return true;
  if (const auto address = io::parse_address(*host, 0)) return address->is_loopback();
  return std::any_of(host_names_.begin(), host_names_.end(),
                     [&](const std::string& name) { return equals_ignoring_case(name, *host); });
}

}  // namespace tocsin::ingress
