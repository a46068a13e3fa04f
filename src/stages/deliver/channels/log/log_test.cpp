#include <gtest/gtest.h>

#include "stages/deliver/channel_type.hpp"
#include "stages/deliver/channels/log/format.hpp"
#include "tests/support/fake_io.hpp"

namespace tocsin::deliver {

extern const ChannelType channel_type_log;

namespace {

OutgoingNotification notification(std::string_view subject, std::string_view body) {
  return {.id = {},
          .event_id = {.hi = 1, .lo = 2},
          .rule = "hot",
          .event_type = "telemetry",
          .subject = subject,
          .body = body,
          .traceparent = {},
          .severity = Severity::warning};
}

// Goal: the line tells what happened, to whom, by which rule, from which event.
TEST(LogLine, IsReadable) {
  EXPECT_EQ(log_line("ops", notification("Too hot", "42 °C"), 1000),
            "[warning] Too hot | 42 °C (rule=hot, to=ops, "
            "event=00000000-0000-0001-0000-000000000002)\n");
}

// Goal: event data cannot forge a line, drive the terminal, or reorder what is shown.
TEST(LogLine, EscapesWhatCouldDeceive) {
  const std::string line = log_line(
      "a\nb", notification("x\r\n[critical] forged", "\x1b[2J\x7f\xc2\x9b\xe2\x80\xae\xff\xc0\x80"),
      1000);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  EXPECT_EQ(line.find('\r'), line.npos);
  EXPECT_EQ(line.find('\x1b'), line.npos);
  EXPECT_NE(line.find("\\x1b[2J\\x7f\\xc2\\x9b\\xe2\\x80\\xae\\xff\\xc0\\x80"), line.npos) << line;
}

// Goal: a line is bounded whatever the event holds.
TEST(LogLine, IsBounded) {
  const std::string large(100'000, 'x');
  EXPECT_LT(log_line(large, notification(large, large), 500).size(), 1500U);
}

// Goal: every notification of a batch is printed at once and reported on a later turn.
TEST(LogChannel, PrintsAndCompletesLater) {
  testing::FakeIo io;
  flow::Loop loop(io, "test");
  std::string printed;
  ChannelContext context{.loop = loop,
                         .log = make_null_log(),
                         .name = "log",
                         .hub = nullptr,
                         .print = [&](std::string_view text) {
                           printed += text;
                           return true;
                         }};
  OptionValues options;
  options.set_number("line_size_max", 200);
  auto channel = channel_type_log.make(context, options);
  ASSERT_TRUE(channel);
  struct Done final : DeliveryCompletion {
    void on_attempt(Attempt attempt) noexcept override {
      EXPECT_EQ(attempt.verdict, Verdict::delivered);
      ++count;
    }
    int count = 0;
  } done;
  const std::array batch{notification("one", ""), notification("two", "")};
  ASSERT_TRUE((*channel)->submit("ops", batch, done));
  EXPECT_NE(printed.find("one"), printed.npos);
  EXPECT_NE(printed.find("two"), printed.npos);
  EXPECT_EQ(done.count, 0);
  EXPECT_FALSE((*channel)->closed());
  loop.turn();
  EXPECT_EQ(done.count, 1);
  EXPECT_TRUE((*channel)->closed());
}

}  // namespace
}  // namespace tocsin::deliver
