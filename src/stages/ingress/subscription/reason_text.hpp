#pragma once
// A broker's "no" in words, for log lines.

#include <string>

#include "protocol/mqtt/types.hpp"

namespace tocsin::ingress {

[[nodiscard]] std::string reason_text(mqtt::ReasonCode code);
[[nodiscard]] std::string return_text(mqtt::ReturnCode code);

}  // namespace tocsin::ingress
