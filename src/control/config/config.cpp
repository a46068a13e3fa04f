#include "control/config/config.hpp"
#include "base/names.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <span>

#include <fmt/format.h>

#include "control/config/file_text.hpp"
#include "control/config/option_parser.hpp"
#include "control/config/options.hpp"
#include "control/config/semantic_check.hpp"
#include "flow/quota_table.hpp"
#include "io/tls/options.hpp"
#include "stages/deliver/channel_type.hpp"
#include "stages/deliver/options.hpp"
#include "stages/ingress/http/options.hpp"
#include "stages/ingress/mqtt/options.hpp"
#include "stages/ingress/subscription/options.hpp"
#include "stages/journal/options.hpp"
#include "stages/ledger/options.hpp"

namespace tocsin::config {
namespace {

template <class Enum, std::size_t n>
std::optional<Enum> to_enum(const std::array<std::string_view, n>& names, std::string_view text) {
  const auto it = std::ranges::find(names, text);
  if (it == names.end()) return std::nullopt;
  return static_cast<Enum>(it - names.begin());
}

flow::SourceConfig make_source(const OptionValues& v, flow::Origin origin) {
  flow::SourceConfig source;
  source.name = v.text("name");
  source.topic = v.text("topic");
  source.type = v.text("type");
  source.description = v.text("description");
  source.level = v.text("level") == "accepted" ? Level::accepted : Level::stored;
  source.priority =
      to_enum<Priority>(priority_names, v.text("priority")).value_or(Priority::normal);
  source.severity = to_enum<Severity>(severity_names, v.text("severity")).value_or(Severity::info);
  source.rate = static_cast<std::uint32_t>(v.number("rate"));
  source.burst = static_cast<std::uint32_t>(v.number("burst"));
  source.active = v.flag("active");
  source.origin = std::move(origin);
  return source;
}

flow::RuleConfig make_rule(const OptionValues& v, flow::Origin origin) {
  flow::RuleConfig rule;
  rule.name = v.text("name");
  rule.source = v.text("source");
  rule.pattern = v.text("pattern");
  rule.channel = v.text("channel");
  rule.subject = v.text("subject");
  rule.body = v.text("body");
  rule.recipients = v.list("recipients");
  rule.recipient_field = v.text("recipient_field");
  rule.priority = to_enum<Priority>(priority_names, v.text("priority"));
  rule.severity = to_enum<Severity>(severity_names, v.text("severity"));
  rule.active = v.flag("active");
  rule.origin = std::move(origin);
  return rule;
}

const deliver::ChannelType* find_type(std::string_view name) {
  for (const deliver::ChannelType* type : deliver::channel_types()) {
    if (type->name == name) return type;
  }
  return nullptr;
}

std::string type_names() {
  std::string names;
  for (const deliver::ChannelType* type : deliver::channel_types()) {
    names += names.empty() ? "" : ", ";
    names += type->name;
  }
  return names;
}

// Runs `read` over every table of an array of tables.
template <class Read>
void each_table(const toml::table& root, std::string_view key, const ParseContext& context,
                Read read) {
  const toml::node* node = root.get(key);
  if (node == nullptr) return;
  const toml::array* tables = node->as_array();
  if (tables == nullptr || !tables->is_homogeneous(toml::node_type::table)) {
    context.report(line_of(*node), std::string(key), fmt::format("write it as [[{}]]", key));
    return;
  }
  std::set<std::string> names;
  for (std::size_t i = 0; i < tables->size(); ++i) {
    const toml::table& table = *(*tables)[i].as_table();
    const std::string path = fmt::format("{}[{}]", key, i);
    const auto name = table["name"].value_exact<std::string>();
    if (name && !names.insert(*name).second) {
      context.report(line_of(*table.get("name")), path + ".name",
                     fmt::format("\"{}\" is used twice", *name));
    }
    read(table, path, flow::Origin{context.file, line_of(table)});
  }
}

flow::ChannelConfig read_channel(const toml::table& table, const std::string& path,
                                 flow::Origin origin, const ParseContext& context) {
  // One TOML table holds three option tables: the channel's own, delivery's and the type's.
  const OptionValues own = parse_options(&table, channel_options, path, context);
  flow::ChannelConfig channel;
  channel.type = own.text("type");
  channel.name = own.text("name");
  channel.delivery = parse_options(&table, deliver::delivery_options, path, context);
  channel.origin = std::move(origin);
  const deliver::ChannelType* type = find_type(channel.type);
  if (type == nullptr) {
    // Which keys it may have is not known either: only the type is reported.
    if (!channel.type.empty()) {
      context.report(line_of(*table.get("type")), path + ".type",
                     "expected one of " + type_names());
    }
    return channel;
  }
  channel.options = parse_options(&table, type->options, path, context);
  report_unknown_keys(table, {channel_options, deliver::delivery_options, type->options}, path,
                      context);
  return channel;
}

void check_sections(const toml::table& root, const ParseContext& context) {
  constexpr std::array known{"server", "http",   "mqtt",    "quota", "journal",      "auth",
                             "tls",    "source", "channel", "rule",  "subscription", "user"};
  for (const auto& [key, node] : root) {
    if (std::ranges::find(known, key.str()) == known.end()) {
      context.report(line_of(node), std::string(key.str()), "is not a section");
    }
  }
}

const toml::table* section(const toml::table& root, std::string_view key,
                           const ParseContext& context) {
  const toml::node* node = root.get(key);
  if (node == nullptr) return nullptr;
  if (node->as_table() == nullptr) {
    context.report(line_of(*node), std::string(key), fmt::format("write it as [{}]", key));
  }
  return node->as_table();
}

std::vector<OptionSpec> journal_section_options() {
  std::vector<OptionSpec> specs(journal::options_table.begin(), journal::options_table.end());
  specs.insert(specs.end(), ledger::options_table.begin(), ledger::options_table.end());
  return specs;
}

OptionValues read_section(const toml::table& root, std::string_view key,
                          std::span<const OptionSpec> specs, const ParseContext& context) {
  const toml::table* table = section(root, key, context);
  if (table != nullptr) report_unknown_keys(*table, {specs}, std::string(key), context);
  return parse_options(table, specs, std::string(key), context);
}

EngineConfig read(const toml::table& root, const ParseContext& context) {
  check_sections(root, context);
  EngineConfig config;
  config.server = read_section(root, "server", server_options, context);
  config.http = read_section(root, "http", ingress::http_options, context);
  config.mqtt = read_section(root, "mqtt", ingress::mqtt_options, context);
  config.quota = read_section(root, "quota", flow::quota_options, context);
  config.journal = read_section(root, "journal", journal_section_options(), context);
  config.auth = read_section(root, "auth", auth::auth_options, context);
  config.tls = read_section(root, "tls", io::tls_options, context);
  each_table(root, "source", context, [&](const auto& table, const auto& path, auto origin) {
    report_unknown_keys(table, {source_options}, path, context);
    config.sources.push_back(
        make_source(parse_options(&table, source_options, path, context), std::move(origin)));
  });
  each_table(root, "channel", context, [&](const auto& table, const auto& path, auto origin) {
    config.channels.push_back(read_channel(table, path, std::move(origin), context));
  });
  each_table(root, "rule", context, [&](const auto& table, const auto& path, auto origin) {
    report_unknown_keys(table, {rule_options}, path, context);
    config.rules.push_back(
        make_rule(parse_options(&table, rule_options, path, context), std::move(origin)));
  });
  each_table(root, "subscription", context, [&](const auto& table, const auto& path, auto origin) {
    report_unknown_keys(table, {subscription_name_options, ingress::subscription_options}, path,
                        context);
    config.subscriptions.push_back(
        {.name = parse_options(&table, subscription_name_options, path, context).text("name"),
         .options = parse_options(&table, ingress::subscription_options, path, context),
         .origin = std::move(origin)});
  });
  each_table(root, "user", context, [&](const auto& table, const auto& path, auto) {
    report_unknown_keys(table, {auth::user_options}, path, context);
    config.users.push_back(
        auth::UserConfig::from(parse_options(&table, auth::user_options, path, context)));
  });
  return config;
}

// The line of `path`, or of the nearest table around it.
std::uint32_t line_at(const toml::table& root, std::string path) {
  while (!path.empty()) {
    if (const auto found = root.at_path(path)) return line_of(*found.node());
    const std::size_t cut = path.find_last_of(".[");
    path.resize(cut == std::string::npos ? 0 : cut);
  }
  return 0;
}

}  // namespace

Result<EngineConfig, Diagnostics> parse(std::string_view text, const std::string& name) {
  Diagnostics diagnostics;
  const ParseContext context{name, diagnostics};
  const toml::parse_result parsed = toml::parse(text, name);
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    context.report(error.source().begin.line, "", std::string(error.description()));
    return Unexpected{std::move(diagnostics)};
  }
  EngineConfig config = read(parsed.table(), context);
  check_semantics(config, context,
                  [&](const std::string& path) { return line_at(parsed.table(), path); });
  if (diagnostics.empty()) return config;
  std::ranges::stable_sort(diagnostics, {}, &Diagnostic::line);
  return Unexpected{std::move(diagnostics)};
}

Result<EngineConfig, Diagnostics> load(const std::string& path) {
  constexpr std::size_t size_max = std::size_t{16} << 20U;
  const auto text = read_file(path, size_max);
  if (!text) return Unexpected{Diagnostics{{path, 0, "", text.error()}}};
  return parse(*text, path);
}

}  // namespace tocsin::config
