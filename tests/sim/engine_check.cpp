// Counting by id at the end of a simulated run.

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "stages/journal/segment_reader.hpp"
#include "tests/sim/engine_rig.hpp"

namespace tocsin::sim_test {
namespace {

using std::chrono::seconds;

constexpr std::string_view journal_directory = "data/journal";

std::string text_between(std::string_view text, std::string_view before, std::string_view after) {
  const std::size_t at = text.find(before);
  if (at == std::string_view::npos) return {};
  const std::size_t begin = at + before.size();
  return std::string(text.substr(begin, text.find(after, begin) - begin));
}

std::string producer_of(std::string_view name) {
  return std::string(name.substr(0, name.rfind('-')));
}

// Names of HTTP clients begin with 'h', and their rule takes every event.
bool matches_hook(std::string_view name) { return name.starts_with('h') || alarm_of(name); }

// "msg_<32 hex digits>" from a UUID's text, as the webhook's header has it.
std::string message_id_of(std::string uuid) {
  std::erase(uuid, '-');
  return "msg_" + uuid;
}

}  // namespace

std::vector<EngineRig::Stored> EngineRig::read_journal() {
  EXPECT_FALSE(alive());
  std::vector<Stored> stored;
  const auto io = world.make_io();
  std::vector<journal::SegmentKey> keys;
  const auto names = io->list(std::string(journal_directory));
  if (!names) return stored;
  for (const std::string& name : *names) {
    if (const auto key = journal::parse_segment_name(name)) keys.push_back(*key);
  }
  std::sort(keys.begin(), keys.end());
  std::uint64_t next = 0;
  for (const journal::SegmentKey& key : keys) {
    journal::SegmentReader reader(*io);
    const std::string path = fmt::format("{}/{}", journal_directory, journal::segment_name(key));
    EXPECT_TRUE(reader.open(path, key.tag, UINT64_MAX));
    while (reader.next(next) == journal::SegmentReader::Step::block) {
      const flow::BlockView& block = reader.block();
      for (std::uint32_t i = 0; i < block.size(); ++i) {
        const RecordView record = block.record(i);
        const std::string payload(record.payload());
        stored.push_back(
            {block.header().base_sequence + i, text_between(payload, "\"n\":\"", "\""), payload});
      }
      next = block.header().base_sequence + block.size();
    }
  }
  return stored;
}

std::vector<std::string> EngineRig::read_dead_letters() {
  std::vector<std::string> lines;
  for (const std::string path : {"data/dead-letters.ndjson.1", "data/dead-letters.ndjson"}) {
    const auto bytes = world.disk().read_file(path);
    if (!bytes) continue;
    const std::string text(reinterpret_cast<const char*>(bytes->data()), bytes->size());
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = std::min(text.find('\n', at), text.size());
      lines.push_back(text.substr(at, end - at));
      at = end + 1;
    }
  }
  return lines;
}

// What a producer waits for one by one stands in the journal in its order; what it sends several of
// at once does too, unless the disk refused some of them or lost the older of two commits.
void EngineRig::check_order(const std::vector<Stored>& stored) const {
  std::map<std::string, std::string> last;
  std::set<std::string> seen;
  std::set<std::string> ordered;
  const bool at_once = !disk_failed && (!power_failed || single_commits_);
  for (const auto& device : devices_) {
    if (device->plan().window == 1 || at_once) ordered.insert(device->plan().name);
  }
  for (const auto& client : clients_) {
    if (client->plan().batch_max == 1 || at_once) ordered.insert(client->plan().name);
  }
  for (const Stored& record : stored) {
    const std::string producer = producer_of(record.name);
    if (!ordered.contains(producer) || !seen.insert(record.name).second) continue;
    EXPECT_LT(last[producer], record.name) << "sequence " << record.sequence;
    last[producer] = record.name;
  }
}

void EngineRig::check_deliveries(const std::vector<Stored>& stored) {
  std::map<std::string, std::size_t> expected;  // Messages per name: one per stored copy.
  std::set<std::string> names;
  for (const Stored& record : stored) {
    names.insert(record.name);
    if (matches_hook(record.name)) ++expected[record.name];
  }
  std::map<std::string, std::set<std::string>> ended;  // Name to message ids.
  for (const auto& [id, arrival] : truth.webhooks) {
    ASSERT_EQ(arrival.names.size(), 1U) << id;
    const std::string& name = *arrival.names.begin();
    EXPECT_TRUE(forgets ? truth.sent.contains(name) : expected.contains(name))
        << name << " was delivered but is not stored";
    if (arrival.confirmed > 0) ended[name].insert(id);
  }
  for (const std::string& line : read_dead_letters()) {
    if (text_between(line, "\"channel\":\"", "\"") != "hook") continue;
    ended[text_between(line, "\"body\":\"", "\"")].insert(
        message_id_of(text_between(line, "\"id\":\"", "\"")));
  }
  for (const auto& [name, count] : expected) {
    const std::size_t ends = ended[name].size();
    if (forgets) {
      // Of two copies, because its producer sent it again, one may be forgotten.
      EXPECT_GE(ends, count) << name << " did not end as often as it is stored";
      continue;
    }
    EXPECT_LE(ends, count) << name << " ended more often than it is stored";
    if (disk_failed) {
      // What a failing disk made us refuse may still stand in a file: a copy without an end. Its
      // producer sent it again, so that another copy has one.
      EXPECT_TRUE(ends > 0 || !truth.acknowledged.contains(name)) << name << " did not end";
    } else {
      EXPECT_EQ(ends, count) << name << " did not end as often as it is stored";
    }
  }
  for (const auto& [name, count] : truth.notes) {
    EXPECT_TRUE((forgets ? truth.sent : names).contains(name) && alarm_of(name)) << name;
  }
}

void EngineRig::check_acknowledged(const std::set<std::string>& stored) const {
  std::set<std::string> delivered;
  for (const auto& [id, arrival] : truth.webhooks) {
    delivered.insert(arrival.names.begin(), arrival.names.end());
  }
  for (const std::string& name : truth.acknowledged) {
    // What was forgotten was processed before.
    const bool processed = forgets && (!matches_hook(name) || delivered.contains(name));
    EXPECT_TRUE(stored.contains(name) || processed) << name << " was acknowledged and is lost";
  }
}

void EngineRig::finish() {
  heal();
  const auto restart = [&] {
    ASSERT_TRUE(start_engine()) << last_error();
    ASSERT_TRUE(run_until_quiet()) << engine_->metrics_text();
    check_accounting(true);
    ASSERT_TRUE(stop_engine());
  };
  restart();
  if (::testing::Test::HasFatalFailure()) return;
  // What a restart makes of the files is what counts; and a fresh event must pass.
  add_client({.name = "hfresh", .batch_max = 1, .total = 1});
  restart();
  if (::testing::Test::HasFatalFailure()) return;

  const std::vector<Stored> stored = read_journal();
  std::set<std::string> names;
  std::uint64_t last = 0;
  for (const Stored& record : stored) {
    EXPECT_LT(last, record.sequence);
    last = record.sequence;
    names.insert(record.name);
    EXPECT_TRUE(truth.sent.contains(record.name)) << record.name;
    EXPECT_EQ(record.payload, payload_of(record.name));
  }
  EXPECT_TRUE(truth.acknowledged.contains("hfresh-00001"));
  check_acknowledged(names);
  check_order(stored);
  check_deliveries(stored);
}

}  // namespace tocsin::sim_test
