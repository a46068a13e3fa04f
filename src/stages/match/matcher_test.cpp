// Goal: the matcher gives the verdicts of the language, whatever other rules there are.
#include "stages/match/matcher.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "flow/batch.hpp"
#include "stages/match/match_test_support.hpp"
#include "stages/match/reference_matcher.hpp"

namespace tocsin::match {
namespace {

constexpr std::uint64_t seed = 0x5EED;

flow::RuleConfig rule(std::string pattern, std::string source = {}) {
  flow::RuleConfig config;
  config.name = "r";
  config.pattern = std::move(pattern);
  config.source = std::move(source);
  return config;
}

std::vector<RuleIndex> match_all(const std::vector<flow::RuleConfig>& rules,
                                 const TestRecord& record) {
  const auto set = RuleSet::compile(rules, seed);
  EXPECT_TRUE(set.has_value()) << (set ? "" : set.error());
  if (!set) return {};
  Matcher matcher(*set, 64 * 1024);
  std::vector<RuleIndex> out;
  matcher.match(record.view(), out);
  return out;
}

bool verdict(const std::string& pattern, std::string_view event) {
  return !match_all({rule(pattern)}, TestRecord(event)).empty();
}

struct Golden {
  const char* pattern;
  const char* event;
  bool matches;
};

// The edge semantics of the language, as its original library answers them; where exact decimals
// deliberately answer better, it is said.
TEST(Matcher, GoldenVerdicts) {
  for (const Golden& g : {
           // Types are strict.
           Golden{R"({"a":[5]})", R"({"a":5})", true},
           Golden{R"({"a":[5]})", R"({"a":"5"})", false},
           Golden{R"({"a":["5"]})", R"({"a":5})", false},
           Golden{R"({"a":[true]})", R"({"a":true})", true},
           Golden{R"({"a":[true]})", R"({"a":"true"})", false},
           Golden{R"({"a":[true]})", R"({"a":false})", false},
           Golden{R"({"a":[""]})", R"({"a":""})", true},
           Golden{R"({"a":["running",5,true,null,""]})", R"({"a":null})", true},
           Golden{R"({"a":["running",5,true,null,""]})", R"({"a":"stopped"})", false},
           // Null is a value.
           Golden{R"({"a":[null]})", R"({"a":null})", true},
           Golden{R"({"a":[null]})", R"({})", false},
           Golden{R"({"a":[null]})", R"({"a":""})", false},
           Golden{R"({"a":[null]})", R"({"a":[]})", false},
           // Numbers.
           Golden{R"({"a":[5]})", R"({"a":5.0})", true},
           Golden{R"({"a":[5]})", R"({"a":5e0})", true},
           Golden{R"({"a":[0]})", R"({"a":-0.0})", true},
           Golden{R"({"a":[0.1]})", R"({"a":0.10})", true},
           Golden{R"({"a":[0.3]})", R"({"a":0.30000000000000004})", false},
           Golden{R"({"a":[9007199254740993]})", R"({"a":9007199254740993})", true},
           Golden{R"({"a":[9007199254740993]})", R"({"a":9007199254740992})", false},
           Golden{R"({"a":[{"numeric":[">",9007199254740992]}]})", R"({"a":9007199254740993})",
                  true},  // Exact decimals: the library says no.
           Golden{R"({"a":[{"numeric":["=",9007199254740993]}]})", R"({"a":9007199254740993})",
                  true},  // The library refuses the pattern.
           Golden{R"({"a":[{"numeric":[">",0,"<=",5]}]})", R"({"a":5})", true},
           Golden{R"({"a":[{"numeric":[">",0,"<=",5]}]})", R"({"a":0})", false},
           Golden{R"({"a":[{"numeric":[">",0,"<=",5]}]})", R"({"a":"3"})", false},
           Golden{R"({"a":[{"numeric":[">",0,"<",5]}]})", R"({"a":[7,3]})", true},
           Golden{R"({"a":[{"numeric":["<",-1.5]}]})", R"({"a":-2e0})", true},
           // Prefix.
           Golden{R"({"a":[{"prefix":"us-"}]})", R"({"a":"us-east"})", true},
           Golden{R"({"a":[{"prefix":"us-"}]})", R"({"a":"us"})", false},
           Golden{R"({"a":[{"prefix":""}]})", R"({"a":"x"})", true},
           Golden{R"({"a":[{"prefix":""}]})", R"({"a":""})", true},
           Golden{R"({"a":[{"prefix":""}]})", R"({"a":5})", false},
           Golden{R"({"a":[{"prefix":"5"}]})", R"({"a":55})", false},
           // Exists looks at leaves.
           Golden{R"({"a":[{"exists":true}]})", R"({"a":null})", true},
           Golden{R"({"a":[{"exists":true}]})", R"({"a":""})", true},
           Golden{R"({"a":[{"exists":true}]})", R"({"a":[]})", false},
           Golden{R"({"a":[{"exists":true}]})", R"({"a":{}})", false},
           Golden{R"({"a":[{"exists":true}]})", R"({"a":{"b":1}})", false},
           Golden{R"({"a":[{"exists":false}]})", R"({"a":[]})", true},
           Golden{R"({"a":[{"exists":false}]})", R"({"a":{}})", true},
           Golden{R"({"a":[{"exists":false}]})", R"({"a":{"b":1}})", true},
           Golden{R"({"a":[{"exists":false}]})", R"({"a":0})", false},
           Golden{R"({"a":{"b":[{"exists":false}]}})", R"({"a":5})", true},
           Golden{R"({"a":[{"exists":false},"x"]})", R"({})", true},
           Golden{R"({"a":[{"exists":false},"x"]})", R"({"a":"x"})", true},
           Golden{R"({"a":[{"exists":false},"x"]})", R"({"a":"y"})", false},
           Golden{R"({"a":[{"exists":false},null]})", R"({"a":null})", true},
           // Arrays: any element, nested ones flattened.
           Golden{R"({"a":["x"]})", R"({"a":["y","x"]})", true},
           Golden{R"({"a":["x"]})", R"({"a":[["y"],[["x"]]]})", true},
           Golden{R"({"a":["x"]})", R"({"a":["y"]})", false},
           // Array consistency.
           Golden{R"({"e":{"f":["Anna"],"l":["Jones"]}})",
                  R"({"e":[{"f":"Anna","l":"Smith"},{"f":"Bob","l":"Jones"}]})", false},
           Golden{R"({"e":{"f":["Anna"],"l":["Smith"]}})",
                  R"({"e":[{"f":"Anna","l":"Smith"},{"f":"Bob","l":"Jones"}]})", true},
           Golden{R"({"e":{"f":["Anna"],"l":[{"exists":false}]}})",
                  R"({"e":[{"f":"Anna"},{"f":"Pete","l":"Jones"}]})", true},
           Golden{R"({"e":{"f":["Anna"],"l":[{"exists":false}]}})",
                  R"({"e":[{"f":"Anna","l":"S"},{"f":"Pete"}]})", false},
           // Keys: dots are part of a key, escapes are not, the last duplicate counts.
           Golden{R"({"a.b":[1]})", R"({"a.b":1})", true},
           Golden{R"({"a.b":[1]})", R"({"a":{"b":1}})", false},
           Golden{"{\"n\u00e4me\":[1]}", R"({"n\u00e4me":1})", true},
           Golden{R"({"n\u00e4me":[1]})", "{\"n\u00e4me\":1}", true},
           Golden{R"({"n\\u00e4me":[1]})", R"({"n\u00e4me":1})", false},
           Golden{R"({"a":["\u00e9\n"]})", R"({"a":"é\u000a"})", true},
           Golden{R"({"a":[1]})", R"({"a":1,"a":2})", false},
           Golden{R"({"a":[2]})", R"({"a":1,"\u0061":2})", true},
           Golden{R"({"a":{"b":[1]}})", R"({"a":{"b":1},"a":{"c":1}})", false},
           Golden{R"({"a":{"b":[1]}})", R"({"a":[{"b":1}],"a":{"b":1}})", true},
           // Not an object at all.
           Golden{R"({"a":[1]})", R"([{"a":1}])", false},
           Golden{R"({"a":[{"exists":false}]})", R"(5)", true},
       }) {
    EXPECT_EQ(verdict(g.pattern, g.event), g.matches) << g.pattern << "  " << g.event;
  }
}

TEST(Matcher, SourceFiltersAndInactiveRulesAreSkipped) {
  std::vector<flow::RuleConfig> rules = {rule("", "lab"), rule("", "roof"), rule(""),
                                         rule(R"({"v":[1]})", "lab"), rule(R"({"v":[2]})", "lab")};
  rules.push_back(rule(""));
  rules.back().active = false;
  TestRecord record(R"({"v":1})");
  record.attribute(AttributeTag::event_source, "lab");
  EXPECT_EQ(match_all(rules, record), (std::vector<RuleIndex>{0, 2, 3}));
  EXPECT_EQ(match_all(rules, TestRecord(R"({"v":1})")), (std::vector<RuleIndex>{2}));
}

TEST(Matcher, BinaryPayloadsMatchOnlyRulesWithoutPattern) {
  TestRecord record("\x01\x02{\"v\":1}");
  record.attribute(AttributeTag::event_source, "lab");
  record.header().flags = record_flag::binary_payload;
  EXPECT_EQ(match_all({rule(""), rule("", "lab"), rule(R"({"v":[{"exists":false}]})"),
                       rule(R"({"v":[1]})", "lab")},
                      record),
            (std::vector<RuleIndex>{0, 1}));
}

TEST(Matcher, ErrorsNameTheRule) {
  std::vector<flow::RuleConfig> rules = {rule(R"({"v":[1]})"), rule(R"({"v":[]})")};
  rules[1].name = "hot room";
  const auto set = RuleSet::compile(rules, seed);
  ASSERT_FALSE(set.has_value());
  EXPECT_EQ(set.error(), "rule \"hot room\": pattern: field \"v\": an empty array matches nothing");
}

TEST(Matcher, AdoptsAnotherSnapshot) {
  const auto first = RuleSet::compile(std::vector{rule(R"({"v":[1]})")}, seed);
  const auto second = RuleSet::compile(std::vector{rule(R"({"w":[1]})"), rule("")}, seed);
  Matcher matcher(*first, 1024);
  const TestRecord record(R"({"v":1})");
  std::vector<RuleIndex> out;
  matcher.match(record.view(), out);
  EXPECT_EQ(out, (std::vector<RuleIndex>{0}));
  matcher.adopt(*second);
  matcher.match(record.view(), out);
  EXPECT_EQ(out, (std::vector<RuleIndex>{1}));
}

// Goal: the cost of an event does not grow with rules that it does not concern.
TEST(Matcher, UnconcernedRulesAreNotVerified) {
  std::vector<flow::RuleConfig> rules;
  for (int i = 0; i < 2000; ++i) {
    const std::string n = std::to_string(i);
    rules.push_back(rule(R"({"device":["dev-)" + n + R"("],"kind":["temperature"]})"));
    rules.push_back(rule(R"({"site":[{"prefix":"site-)" + n + R"(/"}],"kind":["temperature"]})"));
    rules.push_back(rule(R"({"kind":["temperature"],"value":[{"numeric":[">",)" + n + R"(,"<=",)" +
                         n + R"(.5]}]})"));
  }
  const auto set = RuleSet::compile(rules, seed);
  ASSERT_TRUE(set.has_value());
  Matcher matcher(*set, 4096);
  const TestRecord record(
      R"({"device":"dev-77","kind":"temperature","site":"site-9/x","value":44.2})");
  std::vector<RuleIndex> out;
  matcher.match(record.view(), out);
  EXPECT_EQ(out, (std::vector<RuleIndex>{9 * 3 + 1, 44 * 3 + 2, 77 * 3}));
  struct Sink final : MetricSink {
    std::uint64_t verifications = 0;
    void counter(std::string_view name, std::string_view, Labels, std::uint64_t value) override {
      if (name == "tocsin_match_verifications_total") verifications = value;
    }
    void gauge(std::string_view, std::string_view, Labels, double) override {}
    void histogram(std::string_view, std::string_view, Labels, const Histogram&) override {}
  } sink;
  matcher.describe(sink);
  EXPECT_LE(sink.verifications, 100U) << "of 6000 rules";
}

// Random patterns and events over a tiny vocabulary, so that they often nearly match.
class Generator {
 public:
  explicit Generator(std::uint64_t s) : random_(s) {}

  std::string pattern() { return pattern_object(0); }
  std::string event() { return event_object(0); }

 private:
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_() % n); }
  std::string key() {
    static constexpr const char* keys[] = {"\"a\"", "\"b\"", "\"c\"", "\"\\u0061\"", "\"a.b\""};
    return keys[below(20) < 18 ? below(3) : 3 + below(2)];
  }
  std::string number() {
    static constexpr const char* numbers[] = {"0",   "-0.0", "1",     "1.0", "10e-1", "2",
                                              "2.5", "-1",   "25e-1", "1e2", "100",   "-1.5"};
    return numbers[below(12)];
  }
  std::string text() {
    static constexpr const char* texts[] = {"\"\"",  "\"x\"", "\"xy\"",       "\"xyz\"",
                                            "\"y\"", "\"1\"", "\"\\u0078y\"", "\"long enough\""};
    return texts[below(8)];
  }
  std::string scalar() {
    switch (below(8)) {
      case 0:
        return "null";
      case 1:
        return "true";
      case 2:
        return "false";
      case 3:
      case 4:
        return number();
      default:
        return text();
    }
  }
  std::string alternative() {
    switch (below(9)) {
      case 0:
        return R"({"exists":true})";
      case 1:
        return R"({"exists":false})";
      case 2:
        return R"({"prefix":)" + text() + "}";
      case 3:
        return R"({"numeric":[">=",)" + number() + "]}";
      case 4:
        return R"({"numeric":["<",)" + number() + "]}";
      case 5:
        return R"({"numeric":[">",-1,"<=",2]})";
      default:
        return scalar();
    }
  }
  std::string pattern_object(int depth) {
    std::string out = "{";
    for (std::size_t n = 1 + below(3); n > 0; --n) {
      out += key() + ":";
      if (depth < 2 && below(3) == 0) {
        out += pattern_object(depth + 1);
      } else {
        out += "[" + alternative();
        if (below(3) == 0) out += "," + alternative();
        out += "]";
      }
      if (n > 1) out += ",";
    }
    return out + "}";
  }
  std::string event_value(int depth) {
    const std::size_t kind = below(depth < 4 ? 10 : 6);
    if (kind < 6) return scalar();
    if (kind < 8) return event_object(depth + 1);
    std::string out = "[";
    for (std::size_t n = below(4); n > 0; --n) {
      out += event_value(depth + 1);
      if (n > 1) out += ", ";
    }
    return out + "]";
  }
  std::string event_object(int depth) {
    std::string out = "{";
    for (std::size_t n = below(5); n > 0; --n) {
      out += key() + " : " + event_value(depth);
      if (n > 1) out += ",";
    }
    return out + "}";
  }
  std::mt19937_64 random_;
};

// Goal: index, flat path and array path agree with the interpreted language. Method: sets of random
// rules against random events, every pair compared.
TEST(Matcher, AgreesWithTheReferenceOnRandomPairs) {
  constexpr std::size_t rules_per_set = 40;
  constexpr std::size_t events_per_set = 40;
  std::size_t matched = 0;
  std::size_t pairs = 0;
  for (std::uint64_t round = 0; round < 40; ++round) {
    Generator generator(round);
    std::vector<flow::RuleConfig> rules;
    std::vector<std::unique_ptr<TestDocument>> patterns;
    for (std::size_t i = 0; i < rules_per_set; ++i) {
      rules.push_back(rule(generator.pattern()));
      patterns.push_back(std::make_unique<TestDocument>(rules.back().pattern));
    }
    const auto set = RuleSet::compile(rules, round);
    ASSERT_TRUE(set.has_value()) << set.error();
    Matcher matcher(*set, 64 * 1024);
    std::vector<RuleIndex> out;
    for (std::size_t i = 0; i < events_per_set; ++i) {
      const std::string text = generator.event();
      const TestDocument event(text);
      ASSERT_TRUE(event.valid()) << text;
      matcher.match(TestRecord(text).view(), out);
      std::vector<RuleIndex> expected;
      for (std::size_t r = 0; r < rules_per_set; ++r) {
        if (reference::matches(patterns[r]->root(), event.root())) {
          expected.push_back(static_cast<RuleIndex>(r));
        }
      }
      matched += expected.size();
      pairs += rules_per_set;
      if (out == expected) continue;
      for (std::size_t r = 0; r < rules_per_set; ++r) {
        const auto index = static_cast<RuleIndex>(r);
        const bool got = std::ranges::find(out, index) != out.end();
        const bool want = std::ranges::find(expected, index) != expected.end();
        EXPECT_EQ(got, want) << rules[r].pattern << "\n" << text;
      }
      ASSERT_FALSE(HasFailure()) << "round " << round;
    }
  }
  EXPECT_GE(pairs, 60'000U);
  EXPECT_GE(matched, pairs / 50) << "the generator should produce matches";
}

// A sealed batch of these payloads; those that are no JSON say so.
struct TestBatch {
  explicit TestBatch(const std::vector<std::string>& payloads) : batch(pool.acquire()) {
    batch->open(Level::stored, {}, {}, {}, true);
    for (const std::string& payload : payloads) {
      std::memcpy(batch->payload_tail(), payload.data(), payload.size());
      RecordHeader header{};
      header.payload_size = static_cast<std::uint32_t>(payload.size());
      if (payload.front() != '{') header.flags = record_flag::binary_payload;
      batch->append(header, {}, MonoTime{}, {});
    }
    batch->seal();
  }
  ~TestBatch() { batch->release(); }
  flow::BatchPool pool{1, std::size_t{256} * 1024};
  flow::Batch* batch;
};

// Goal: scanning a block's documents together changes nothing about what matches, whichever records
// are asked for, also beside a payload that would leave a string open.
TEST(Matcher, DocumentsScannedTogetherMatchLikeSingleOnes) {
  const std::vector<flow::RuleConfig> rules{rule(R"({"k":["x\"y"]})"), rule(R"({"n":[7]})"),
                                            rule(R"({"deep":{"k":[{"exists":true}]}})")};
  const auto set = RuleSet::compile(rules, seed).value();
  const std::vector<std::string> documents{R"({"k":"x\"y"})", R"({ "n" : 7 })",
                                           R"({"deep":{"k":[1,{"z":2}]},"n":8})",
                                           R"({"n":7.0,"k":"\u0078\"y"})"};
  std::vector<std::string> with_binary = documents;
  with_binary.insert(with_binary.begin() + 1, "\"open");
  for (const auto& payloads : {documents, with_binary}) {
    const TestBatch batch(payloads);
    const flow::BlockView block = batch.batch->view();
    for (std::uint32_t step = 1; step <= 2; ++step) {
      Matcher together(set, 4096);
      Matcher single(set, 4096);
      together.begin(block);
      for (std::uint32_t i = 0; i < block.size(); i += step) {
        std::vector<RuleIndex> found;
        std::vector<RuleIndex> wanted;
        together.match(block.record(i), found);
        single.match(block.record(i), wanted);
        EXPECT_EQ(found, wanted) << payloads[i];
        EXPECT_EQ(found.empty(), payloads[i].front() != '{') << payloads[i];
        ASSERT_EQ(together.document().has_value(), single.document().has_value());
        if (!single.document()) continue;
        EXPECT_EQ(together.document()->text(), single.document()->text());
      }
    }
  }
}

}  // namespace
}  // namespace tocsin::match
