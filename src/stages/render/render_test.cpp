// Goal: templates yield what their variables name, escaped for where they stand, bounded, and never
// interpret what events contain.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include <tocsin/limits.hpp>

#include "protocol/utf8.hpp"
#include "stages/match/match_test_support.hpp"
#include "stages/render/bounded_text.hpp"
#include "stages/render/renderer.hpp"

namespace tocsin::render {
namespace {

using match::TestDocument;
using match::TestRecord;
using ::testing::HasSubstr;

std::string render(std::string_view text, std::string_view payload, Escape escape = Escape::none) {
  const auto compiled = Template::compile(text);
  EXPECT_TRUE(compiled.has_value()) << (compiled ? "" : compiled.error());
  if (!compiled) return {};
  TestRecord record(payload);
  record.attribute(AttributeTag::type, "reading")
      .attribute(AttributeTag::source, "devices/7")
      .attribute(AttributeTag::subject, "room")
      .attribute(AttributeTag::extension, "d7", "device")
      .attribute(AttributeTag::extension, "hidden", "value");
  const TestDocument document(payload);
  const std::optional<json::Value> root =
      document.valid() ? std::optional(document.root()) : std::nullopt;
  std::string out = "old";
  const RecordView view = record.view();
  EXPECT_FALSE(render_template(*compiled, escape,
                               {view, root, "hot", Priority::high, Severity::critical}, 4096, out));
  return out;
}

TEST(Template, RendersPathsWithIndexesAndSpaces) {
  constexpr const char* payload =
      R"({"order_id":17,"total":"9.50","items":[{"sku":"A\u0026\n"},{"sku":"B"}],"ok":true})";
  EXPECT_EQ(render("Order #{{order_id}} for ${{total}}", payload), "Order #17 for $9.50");
  EXPECT_EQ(render("{{ items.0.sku }}|{{items.1.sku}}|{{items.2.sku}}|{{ok}}", payload),
            "A&\n|B||true");
  EXPECT_EQ(render("{{order_id}}{{order_id}}", payload), "1717");
  EXPECT_EQ(render("no variables, { one brace } and }}", payload),
            "no variables, { one brace } and }}");
  EXPECT_EQ(render("", payload), "");
}

TEST(Template, MissingAndNullAreEmpty) {
  EXPECT_EQ(render("[{{a}}{{a.b}}{{c.d.e}}{{n}}]", R"({"a":{"x":1},"n":null})"), R"([{"x":1}])");
}

TEST(Template, ContainersBecomeCompactJson) {
  EXPECT_EQ(render("{{a}} {{payload}}", "{ \"a\" : [ 1 , \"x y\" , { } ] , \"b\" : null }"),
            R"([1,"x y",{}] {"a":[1,"x y",{}],"b":null})");
}

TEST(Template, LooksUpPayloadThenReservedThenExtensions) {
  EXPECT_EQ(render("{{event.type}} {{event.source}} {{event.subject}} {{event.severity}} "
                   "{{event.priority}} {{rule.name}} {{device}}",
                   "{}"),
            "reading devices/7 room critical high hot d7");
  EXPECT_EQ(render("{{event.id}} {{event.time}}", "{}"),
            "018bcfe5-6800-7000-8000-000000000001 2023-11-14T22:13:20.000Z");
  EXPECT_EQ(render("{{event.type}} {{value}} {{device}}",
                   R"({"event":{"type":"mine"},"value":5,"device":"from payload"})"),
            "mine 5 from payload");
}

TEST(Template, ProducerTimeWinsOverTheIdsTime) {
  TestRecord record("{}");
  record.header().producer_time_us = 1'600'000'000'123'456;
  const auto text = Template::compile("{{event.time}}");
  std::string out;
  const RecordView view = record.view();
  render_template(*text, Escape::none, {view, std::nullopt, "r", {}, {}}, 100, out);
  EXPECT_EQ(out, "2020-09-13T12:26:40.123Z");
}

TEST(Template, NeverInterpretsWhatEventsContain) {
  EXPECT_EQ(render("{{a}}", R"({"a":"{{b}} {{payload}}","b":"secret"})"), "{{b}} {{payload}}");
}

TEST(Template, EscapesForHtml) {
  EXPECT_EQ(
      render("<b>{{a}}</b>{{o}}", R"({"a":"<i>\"x\" & 'y'</i>","o":{"k":"<"}})", Escape::html),
      "<b>&lt;i&gt;&quot;x&quot; &amp; &#39;y&#39;&lt;/i&gt;</b>"
      "{&quot;k&quot;:&quot;&lt;&quot;}");
}

// Method: whatever the event holds, a template of JSON text must stay valid JSON.
TEST(Template, JsonTemplatesStayJson) {
  constexpr const char* payload =
      R"({"s":"a\"b\\c\n\u0001é","n":1.50,"o":{ "k" : [ "\"" ] },"z":null})";
  const std::string out = render(
      R"({"q\"":"{{s}}","b":{{s}},"n":{{n}},"nq":"{{n}}","o":{{o}},"oq":"{{o}}","m":{{none}},)"
      R"("mq":"{{none}}","z":{{z}},"zq":"{{z}}","t":{{event.type}},"tq":"{{event.type}}"})",
      payload, Escape::json);
  EXPECT_EQ(out, R"({"q\"":"a\"b\\c\n\u0001é","b":"a\"b\\c\n\u0001é","n":1.50,"nq":"1.50",)"
                 R"("o":{"k":["\""]},"oq":"{\"k\":[\"\\\"\"]}","m":null,"mq":"","z":null,"zq":"",)"
                 R"("t":"reading","tq":"reading"})");
  EXPECT_TRUE(TestDocument(out).valid());
}

TEST(Template, RefusesWhatItDoesNotKnowByName) {
  for (const auto& [text, reason] : std::initializer_list<std::pair<const char*, const char*>>{
           {"x{{#items}}", "sections (at offset 1) are not supported yet"},
           {"{{/items}}", "sections"},
           {"{{^items}}", "inverted sections"},
           {"{{> part}}", "partials"},
           {"{{! note}}", "comments"},
           {"{{=<% %>=}}", "other delimiters"},
           {"{{{raw}}}", "unescaped variables"},
           {"{{& raw}}", "unescaped variables"},
           {"ab{{open", "offset 2 is not closed"},
           {"{{}}", "has no name"},
           {"{{  }}", "has no name"},
           {"{{a b}}", "braces or spaces"},
           {"{{a..b}}", "empty key"},
           {"\xFF", "UTF-8"}}) {
    const auto compiled = Template::compile(text);
    ASSERT_FALSE(compiled.has_value()) << text;
    EXPECT_THAT(compiled.error(), HasSubstr(reason)) << text;
  }
}

TEST(BoundedText, CutsAtCharactersAndMarksTheCut) {
  const auto cut = [](std::string_view text, std::size_t size_max) {
    std::string out;
    BoundedText bounded(out, size_max);
    bounded.text(text);
    bounded.finish();
    return out;
  };
  EXPECT_EQ(cut("abcdef", 6), "abcdef");
  EXPECT_EQ(cut("abcdefg", 6), "abc…");
  EXPECT_EQ(cut("abéé", 6), "abéé");
  EXPECT_EQ(cut("abééx", 6), "ab…");
  EXPECT_EQ(cut("ab😀x", 6), "ab…");
  EXPECT_EQ(cut("ab😀", 6), "ab😀");
  std::string out;
  BoundedText bounded(out, 9);
  bounded.text("abcd");
  bounded.whole("&amp;");
  bounded.text("");
  EXPECT_FALSE(bounded.finish());
  EXPECT_EQ(out, "abcd&amp;");
  bounded.text("e");
  EXPECT_TRUE(bounded.finish());
  EXPECT_EQ(out, "abcd…") << "an escape is not split";
}

class RendererTest : public ::testing::Test {
 protected:
  void render(std::string subject, std::string body, std::string_view payload,
              bool binary = false) {
    flow::RuleConfig rule;
    rule.name = "r";
    rule.subject = std::move(subject);
    rule.body = std::move(body);
    const auto set = TemplateSet::compile({&rule, 1}, [](const auto&) { return Escape::none; });
    ASSERT_TRUE(set.has_value()) << set.error();
    Renderer renderer(*set);
    const TestRecord record(payload);
    const TestDocument document(binary ? "0" : payload);
    const std::optional<json::Value> root = binary ? std::nullopt : std::optional(document.root());
    renderer.render(0, record.view(), root, Priority::normal, Severity::info, subject_, body_);
  }
  std::string subject_;
  std::string body_;
};

TEST_F(RendererTest, SubjectIsOneLine) {
  render("Hi\n{{a}}", "x", R"({"a":"b\r\nBcc: c\u0000"})");
  EXPECT_EQ(subject_, "Hi b  Bcc: c ");
}

TEST_F(RendererTest, EmptyBodyIsThePayloadAsItCame) {
  render("s", "", R"({ "a" : 1 })");
  EXPECT_EQ(body_, R"({ "a" : 1 })");
}

TEST_F(RendererTest, OutputIsBounded) {
  const std::string payload = R"({"a":")" + std::string(notification_body_max, 'x') + R"("})";
  render("{{a}}", "{{a}}{{a}}", payload);
  EXPECT_EQ(subject_.size(), notification_subject_max);
  EXPECT_TRUE(subject_.ends_with(ellipsis));
  EXPECT_EQ(body_.size(), notification_body_max);
  EXPECT_TRUE(body_.ends_with(ellipsis));
  render("", "", payload);
  EXPECT_EQ(body_.size(), notification_body_max);
}

TEST_F(RendererTest, BinaryPayloadBecomesText) {
  render("{{a}}", "[{{payload}}]", std::string_view("\xFFok\xC3", 4), true);
  EXPECT_EQ(subject_, "");
  EXPECT_EQ(body_, "[\xEF\xBF\xBDok\xEF\xBF\xBD]");
  EXPECT_TRUE(utf8_valid(body_));
}

TEST_F(RendererTest, ErrorsNameRuleAndPart) {
  flow::RuleConfig rule;
  rule.name = "hot";
  rule.body = "{{#x}}";
  const auto set = TemplateSet::compile({&rule, 1}, [](const auto&) { return Escape::none; });
  ASSERT_FALSE(set.has_value());
  EXPECT_THAT(set.error(), HasSubstr("rule \"hot\": body: sections"));
}

}  // namespace
}  // namespace tocsin::render
