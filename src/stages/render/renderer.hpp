#pragma once
// Renders notifications from their rules' templates: the stage `render`.

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <tocsin/event.hpp>
#include <tocsin/result.hpp>

#include "base/metrics.hpp"
#include "flow/catalogue.hpp"
#include "protocol/json/walker.hpp"
#include "stages/render/template.hpp"

namespace tocsin::render {

/// The templates of one rule.
struct RuleTemplates {
  std::string rule;
  Template subject;
  Template body;  ///< Empty: the body is the payload as it came.
  Escape escape = Escape::none;
};

/// The templates of all rules, immutable, in the order of the list they were compiled from: so a
/// rule's index is the same as in match::RuleSet.
class TemplateSet {
 public:
  /// Says how variables in a rule's body are escaped.
  using EscapeOf = std::function<Escape(const flow::RuleConfig& rule)>;

  /// The error names rule and template.
  [[nodiscard]] static Result<std::shared_ptr<const TemplateSet>, std::string> compile(
      std::span<const flow::RuleConfig> rules, const EscapeOf& escape_of);
  [[nodiscard]] const RuleTemplates& rule(std::uint32_t index) const noexcept {
    return rules_[index];
  }
  [[nodiscard]] std::size_t size() const noexcept { return rules_.size(); }

 private:
  std::vector<RuleTemplates> rules_;
};

/// What variables can name.
struct RenderInput {
  const RecordView& record;
  const std::optional<json::Value>& document;  ///< The payload; nothing when it is binary.
  std::string_view rule;
  Priority priority;  ///< Of the notification.
  Severity severity;
};

/// One worker's renderer; one thread. Into strings that have the capacity it allocates nothing.
class Renderer final : public MetricSource {
 public:
  explicit Renderer(std::shared_ptr<const TemplateSet> templates)
      : templates_(std::move(templates)) {}

  /// Changes to another snapshot, between two records.
  void adopt(std::shared_ptr<const TemplateSet> templates) { templates_ = std::move(templates); }
  [[nodiscard]] const TemplateSet& templates() const noexcept { return *templates_; }

  /// Replaces `subject` (one line, at most notification_subject_max bytes) and `body` (at most
  /// notification_body_max). Both are UTF-8 whatever the payload is.
  void render(std::uint32_t rule, const RecordView& record,
              const std::optional<json::Value>& document, Priority priority, Severity severity,
              std::string& subject, std::string& body);

  void describe(MetricSink& sink) const override;

 private:
  std::shared_ptr<const TemplateSet> templates_;
  Counter rendered_;
  Counter subjects_cut_;
  Counter bodies_cut_;
};

/// Renders one template. Whether the output was cut. For previews, too.
bool render_template(const Template& text, Escape escape, const RenderInput& input,
                     std::size_t size_max, std::string& out);

}  // namespace tocsin::render
