#pragma once
// The line that the log channel prints.

#include <cstddef>
#include <string>
#include <string_view>

#include <tocsin/channel.hpp>

namespace tocsin::deliver {

/// "[warning] subject | body (rule=r, to=x, event=id)\n". Subject and body come from events, so
/// line breaks, control characters, terminal escapes and invalid UTF-8 are escaped: an event cannot
/// forge a line. At most about `size_max` bytes.
[[nodiscard]] std::string log_line(std::string_view recipient,
                                   const OutgoingNotification& notification, std::size_t size_max);

}  // namespace tocsin::deliver
