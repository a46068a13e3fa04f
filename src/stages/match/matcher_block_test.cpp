// Goal: which records of a block are asked for, and what stands between them, changes nothing about
// what matches; nor does it that numbers are read when a rule asks for them.
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "flow/batch.hpp"
#include "protocol/json/shape_cache.hpp"
#include "stages/match/match_test_support.hpp"
#include "stages/match/matcher.hpp"

namespace tocsin::match {
namespace {

std::shared_ptr<const RuleSet> compile(const std::vector<std::string>& patterns) {
  std::vector<flow::RuleConfig> rules(patterns.size());
  for (std::size_t i = 0; i < rules.size(); ++i) {
    rules[i].name = "r" + std::to_string(i);
    rules[i].pattern = patterns[i];
  }
  const auto set = RuleSet::compile(rules, 0x5EED);
  EXPECT_TRUE(set.has_value()) << (set ? "" : set.error());
  return set ? *set : nullptr;
}

struct Entry {
  std::string payload;
  bool message = false;  // For MQTT subscribers only: any bytes.
};

struct TestBlock {
  // `known`: of the forms of which documents the batch tells, by bits.
  explicit TestBlock(const std::vector<Entry>& entries, std::uint64_t known = 0)
      : batch(pool.acquire()) {
    batch->open(Level::stored, {}, {}, {}, true);
    for (const Entry& entry : entries) {
      const std::string& payload = entry.payload;
      std::memcpy(batch->payload_tail(), payload.data(), payload.size());
      RecordHeader header{};
      header.payload_size = static_cast<std::uint32_t>(payload.size());
      if (entry.message) header.flags = record_flag::message | record_flag::binary_payload;
      batch->append(header, {}, MonoTime{}, {});
      if ((known >> (batch->size() - 1) & 1U) != 0 && !entry.message) tell_shape();
    }
    batch->seal();
  }
  ~TestBlock() { batch->release(); }
  void tell_shape() {
    const std::uint32_t last = batch->size() - 1;
    std::string_view text = batch->payloads_from(last);
    text.remove_suffix(1);
    json::Validator validator(1024);
    std::array<json::ValueStart, json::shape_values_max> starts;
    json::ShapeIndex shape = cache.read(text, starts.data());
    if (shape == json::no_shape) {
      cache.learn(*validator.validate(text));
      shape = cache.read(text, starts.data());
    }
    if (shape != json::no_shape) batch->note_shape(last, cache.table(), shape, starts.data());
  }
  [[nodiscard]] flow::BlockView view() const { return batch->view(); }
  json::ShapeCache cache;
  flow::BatchPool pool{1, std::size_t{256} * 1024};
  flow::Batch* batch;
};

class BlockTest : public ::testing::Test {
 protected:
  // Those of the block that the bits say, against each alone.
  void compare(const std::vector<Entry>& entries, std::uint64_t asked, std::uint64_t known = 0) {
    const TestBlock block(entries, known);
    Matcher together(rules_, 64 * 1024);
    Matcher single(rules_, 64 * 1024);
    together.begin(block.view(), block.batch->shapes());
    for (std::uint32_t i = 0; i < entries.size(); ++i) {
      if ((asked >> i & 1U) == 0) continue;
      std::vector<RuleIndex> found;
      std::vector<RuleIndex> wanted;
      together.match(block.view().record(i), found);
      single.match(block.view().record(i), wanted);
      EXPECT_EQ(found, wanted) << entries[i].payload;
      ASSERT_EQ(together.document().has_value(), single.document().has_value());
      if (single.document()) {
        EXPECT_EQ(together.document()->text(), single.document()->text());
        EXPECT_EQ(together.document()->kind(), single.document()->kind());
      }
    }
  }

  std::shared_ptr<const RuleSet> rules_ =
      compile({R"({"k":["x"]})", R"({"n":[7]})", R"({"n":[{"numeric":[">",5]}]})",
               R"({"n":[{"exists":false}]})", R"({"o":{"p":[1]}})"});
};

// Method: every choice of eight records whose roots are of every kind, some with much behind the
// last field that a rule asks for.
TEST_F(BlockTest, AnyChoiceOfRecordsMatchesLikeEachAlone) {
  const std::vector<Entry> entries{{R"({"k":"x","rest":[[{"n":7}],{"k":[]}]})"},
                                   {"5"},
                                   {R"([1,{"n":7,"k":"x"}])"},
                                   {R"({"n":7.0,"o":{"p":1},"zz":{"a":[1,2,3]}})"},
                                   {R"("x")"},
                                   {"{ }"},
                                   {" { \"n\" :\n 6 } \n"},
                                   {"null"}};
  for (std::uint64_t asked = 0; asked < 256; ++asked) {
    SCOPED_TRACE(asked);
    compare(entries, asked);
  }
}

// Method: the forms of some documents are known; every choice of those that are, and of those that
// are asked for.
TEST_F(BlockTest, KnownShapesMatchLikeTheirDocuments) {
  const std::vector<Entry> entries{
      {R"({"k":"x","n":7})"},           {R"({"k":"\u0078","n":70e-1})"},
      {R"({"o":{"p":1,"q":[7,8]}})"},   {R"({"k":["x","y"],"n":[6,7]})"},
      {R"({"k":null,"n":true})"},       {R"({"k":[{"n":7}],"n":5})"},
      {R"({"other":{"deep":[1,2,3]}})"}};
  for (std::uint64_t known = 0; known < 128; ++known) {
    for (std::uint64_t asked = 0; asked < 128; asked += known % 2 == 0 ? 1 : 5) {
      compare(entries, asked, known);
    }
  }
}

// Goal: a table that was replaced, and rules that were, take their plans with them.
TEST_F(BlockTest, PlansBelongToTheirTableAndRules) {
  const std::vector<Entry> first{{R"({"k":"x","a":1})"}, {R"({"a":"x","k":1})"}};
  const std::vector<Entry> second{{R"({"a":"x","k":1})"}, {R"({"k":"x","a":1})"}};
  const TestBlock a(first, 3);
  const TestBlock b(second, 3);
  Matcher matcher(rules_, 64 * 1024);
  const auto found = [&](const TestBlock& block, std::uint32_t record) {
    std::vector<RuleIndex> rules;
    matcher.match(block.view().record(record), rules);
    return rules;
  };
  using Rules = std::vector<RuleIndex>;
  for (int round = 0; round < 2; ++round) {
    matcher.begin(a.view(), a.batch->shapes());
    EXPECT_EQ(found(a, 0), (Rules{0, 3}));
    EXPECT_EQ(found(a, 1), (Rules{3}));
    matcher.begin(b.view(), b.batch->shapes());
    EXPECT_EQ(found(b, 0), (Rules{3}));
    EXPECT_EQ(found(b, 1), (Rules{0, 3}));
  }
  matcher.adopt(compile({R"({"a":["x"]})", R"({"a":[1]})"}));
  EXPECT_EQ(found(b, 0), (Rules{0}));
  EXPECT_EQ(found(b, 1), (Rules{1}));
}

// Method: a message that is no event, with bytes that would open a string or close a container, at
// each place.
TEST_F(BlockTest, MessagesBetweenEventsAreNoDocuments) {
  for (const char* bytes : {"\"", "}]", "\\", "\xFF", "{\"n\":7}", " "}) {
    for (std::size_t at = 0; at < 4; ++at) {
      std::vector<Entry> entries{{R"({"n":7})"}, {"[7]"}, {R"({"k":"x"})"}};
      entries.insert(entries.begin() + static_cast<std::ptrdiff_t>(at), {bytes, true});
      for (std::uint64_t asked = 0; asked < 16; ++asked) compare(entries, asked);
    }
  }
}

TEST_F(BlockTest, OneMatcherReadsBlockAfterBlock) {
  const std::vector<Entry> first{{R"({"n":7,"k":"x"})"}, {"[1,2,3]"}, {R"({"k":"y"})"}};
  const std::vector<Entry> second{{"7"}, {R"({"k":"x"})"}};
  const TestBlock a(first);
  const TestBlock b(second);
  const TestRecord outside(R"({"n":6})");
  Matcher matcher(rules_, 64 * 1024);
  std::vector<RuleIndex> found;
  matcher.begin(a.view());
  matcher.match(a.view().record(0), found);
  EXPECT_EQ(found, (std::vector<RuleIndex>{0, 1, 2}));
  matcher.begin(b.view());
  matcher.match(b.view().record(1), found);
  EXPECT_EQ(found, (std::vector<RuleIndex>{0, 3}));
  // A record of no block overwrites what was found in this one.
  matcher.match(outside.view(), found);
  EXPECT_EQ(found, (std::vector<RuleIndex>{2}));
  matcher.match(b.view().record(1), found);
  EXPECT_EQ(found, (std::vector<RuleIndex>{0, 3}));
  matcher.begin(a.view());
  matcher.match(a.view().record(2), found);
  EXPECT_EQ(found, (std::vector<RuleIndex>{3}));
}

TEST_F(BlockTest, BlocksBeyondTheScannersMemoryMatchToo) {
  std::vector<Entry> entries;
  for (int i = 0; i < 50; ++i)
    entries.push_back({R"({"n":7,"text":")" + std::string(50, 'x') + "\"}"});
  const TestBlock block(entries);
  Matcher matcher(rules_, 256);
  matcher.begin(block.view());
  for (std::uint32_t i = 0; i < block.view().size(); ++i) {
    std::vector<RuleIndex> found;
    matcher.match(block.view().record(i), found);
    EXPECT_EQ(found, (std::vector<RuleIndex>{1, 2}));
  }
}

// Goal: a number is the same to every rule that asks for it, whoever asks first: as an exact value,
// as a range, for its being there, as an element, or beside other tests of its conjunction.
TEST(LazyNumbers, EveryRuleSeesTheSameValue) {
  const auto rules = compile({R"({"v":[7]})", R"({"v":[{"numeric":[">=",7]}]})",
                              R"({"v":[{"numeric":["<",7]}]})", R"({"v":[{"exists":true}]})",
                              R"({"v":["7"]})", R"({"w":[1],"v":[{"numeric":["=",7]}]})",
                              R"({"v":[0,{"numeric":[">",100]}]})", R"({"v":[{"prefix":"7"}]})"});
  const auto match = [&](std::string_view text) {
    Matcher matcher(rules, 1024);
    std::vector<RuleIndex> found;
    matcher.match(TestRecord(text).view(), found);
    return found;
  };
  using Rules = std::vector<RuleIndex>;
  EXPECT_EQ(match(R"({"v":7})"), (Rules{0, 1, 3}));
  EXPECT_EQ(match(R"({"v":70e-1,"w":1.0})"), (Rules{0, 1, 3, 5}));
  EXPECT_EQ(match(R"({"w":1.0,"v":7})"), (Rules{0, 1, 3, 5})) << "the other one first";
  EXPECT_EQ(match(R"({"w":[2,1],"v":[8,7.0]})"), (Rules{0, 1, 3, 5})) << "in arrays too";
  EXPECT_EQ(match(R"({"v":"7","w":1})"), (Rules{3, 4, 7}));
  EXPECT_EQ(match(R"({"v":-7})"), (Rules{2, 3}));
  EXPECT_EQ(match(R"({"v":-0.0})"), (Rules{2, 3, 6}));
  EXPECT_EQ(match(R"({"v":100.5})"), (Rules{1, 3, 6}));
  EXPECT_EQ(match(R"({"v":[6,7,"7"]})"), (Rules{0, 1, 2, 3, 4, 7}));
  EXPECT_EQ(match(R"({"v":true})"), (Rules{3}));
  // The last of duplicate keys counts, whatever it is.
  EXPECT_EQ(match(R"({"v":7,"v":6})"), (Rules{2, 3}));
  EXPECT_EQ(match(R"({"v":6,"v":7,"w":0,"w":1})"), (Rules{0, 1, 3, 5}));
  EXPECT_EQ(match(R"({"v":7,"v":"7"})"), (Rules{3, 4, 7}));
  EXPECT_EQ(match(R"({"v":"7","\u0076":7})"), (Rules{0, 1, 3}));
  EXPECT_EQ(match(R"({"v":[7,8],"v":[]})"), (Rules{}));
}

// Goal: nothing of one event's numbers is left for the next.
TEST(LazyNumbers, EachEventHasItsOwn) {
  const auto rules = compile({R"({"v":[{"numeric":[">",0]}]})", R"({"v":[5]})"});
  Matcher matcher(rules, 1024);
  std::vector<RuleIndex> found;
  for (int round = 0; round < 3; ++round) {
    for (int v = -3; v < 10; ++v) {
      matcher.match(TestRecord("{\"v\":" + std::to_string(v) + "}").view(), found);
      EXPECT_EQ(!found.empty(), v > 0) << v;
      EXPECT_EQ(found.size() == 2, v == 5) << v;
    }
  }
}

}  // namespace
}  // namespace tocsin::match
