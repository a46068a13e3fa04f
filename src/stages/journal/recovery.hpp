#pragma once
// What a start finds on the disk.

#include <cstdint>
#include <string>
#include <vector>

#include <tocsin/result.hpp>

#include "base/log.hpp"
#include "io/io.hpp"
#include "stages/journal/segment.hpp"

namespace tocsin::journal {

struct RecoveryReport {
  std::vector<SegmentInfo> segments;  ///< In order.
  std::uint64_t next_sequence = 1;    ///< Above everything that may ever have been given.
  std::uint64_t blocks = 0;
  std::uint64_t events = 0;
  std::uint64_t torn_segments = 0;  ///< Whose unfinished end was cut.
  std::uint64_t torn_bytes = 0;
  std::uint64_t damaged_regions = 0;  ///< Stepped over, because good blocks follow.
  std::uint64_t damaged_bytes = 0;
  std::uint64_t unreadable_segments = 0;
};

/// Scans `<directory>/*.seg` in order. Blocking. Cuts the torn end behind the last good block of
/// the journal, and changes nothing else: damage further up is reported and stays where it is.
/// Fails, having changed nothing, only when the directory cannot be listed or a newer version wrote
/// here.
[[nodiscard]] Result<RecoveryReport, std::string> recover_segments(io::Io& io,
                                                                   const std::string& directory,
                                                                   const Log& log);

}  // namespace tocsin::journal
