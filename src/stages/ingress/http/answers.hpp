#pragma once
// Composes the answers to ingest requests: hands the events to decode and says what became of them.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "flow/intake.hpp"
#include "protocol/http/request_parser.hpp"
#include "stages/ingress/http/metrics.hpp"
#include "stages/ingress/http/problem.hpp"
#include "stages/ingress/http/request_progress.hpp"
#include "stages/ingress/http/response_queue.hpp"
#include "stages/ingress/http/sender.hpp"
#include "stages/ingress/http/trigger.hpp"

namespace tocsin::ingress {

inline constexpr std::string_view json_media_type = "application/json";

/// An answer without its head. Views are valid until the composer is used again.
struct Answer {
  std::uint16_t status = 200;
  std::string_view content_type;
  std::string_view body;
  std::string_view extra{};  ///< Further header fields, each ended by CRLF.
  AnswerKind kind = AnswerKind::final;
};

/// One per reactor.
///
/// Batches are answered with an array of the same length in the same order; its status is 202 when
/// every entry was accepted (or there was none), 207 when some were, 503 when all were refused for
/// want of capacity, and 422 when all were refused otherwise.
class AnswerComposer {
 public:
  AnswerComposer(flow::Intake& intake, std::size_t head_size_max, HttpMetrics& metrics);

  /// On whose account a request is taken, and whom its acknowledgements go to.
  struct Task {
    const Sender& sender;  ///< Must be allowed to publish to the names of the sources.
    MonoTime now;
    /// Names the response, with the entry's index in the low half of `detail`.
    const flow::AckToken& token;
    ResponseQueue& queue;  ///< Is composing the response, which waits for the acknowledgements.
    RequestKeeper& keeper;
  };
  /// Takes in the events of a request. Nothing: the keeper has kept it, and the same call goes on
  /// with it when capacity is back.
  [[nodiscard]] std::optional<Answer> take_events(const http::Request& request, EventRoute route,
                                                  const Task& task) noexcept;
  /// The same for a trigger that has been read, with its payload and level.
  [[nodiscard]] std::optional<Answer> take_events(Trigger trigger, const Task& task) noexcept;
  /// `extra`: as Answer::extra, static text.
  [[nodiscard]] Answer problem(const Problem& problem, std::string_view extra = {}) noexcept;
  /// 429.
  [[nodiscard]] Answer over_quota(const Sender& sender, Duration wait, MonoTime now) noexcept;
  /// What replaces a response (head and body) whose events `failed` could not be stored.
  [[nodiscard]] Answer not_stored(std::string_view response, AnswerKind kind,
                                  std::span<const std::uint32_t> failed) noexcept;

 private:
  class Verdicts;
  [[nodiscard]] Answer refusal(const flow::Rejection& rejection) noexcept;
  [[nodiscard]] std::optional<Answer> take_one(const flow::RawEvent& event,
                                               const Task& task) noexcept;
  [[nodiscard]] std::optional<Answer> take_batch(flow::RawEvent event, flow::BatchForm form,
                                                 const Task& task) noexcept;
  void start_text();
  /// As JSON; the last one is remembered, as most are the same.
  [[nodiscard]] std::string_view quoted(std::string_view type) noexcept;

  flow::Intake& intake_;
  HttpMetrics& metrics_;
  TriggerReader reader_;
  std::string text_;
  std::string fields_;
  std::string type_;
  std::string quoted_type_;
};

}  // namespace tocsin::ingress
