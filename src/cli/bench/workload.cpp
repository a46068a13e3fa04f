#include "cli/bench/workload.hpp"

#include <array>
#include <cassert>

#include <fmt/format.h>

namespace tocsin::cli::bench {
namespace {

using Fields = std::array<std::string_view, 10>;

// In the order in which they go in as long as there is room; "" ends a shape.
constexpr std::array<Fields, shapes_max> shapes_of_devices{
    Fields{R"("device":"boiler-0017")", R"("seq":{seq})", R"("sent_ns":{sent_ns})",
           R"("temperature":21.5)", R"("humidity":48.25)", R"("pressure_hpa":1013.2)",
           R"("battery_percent":87)", R"("status":"running")"},
    Fields{R"("seq":{seq})", R"("sent_ns":{sent_ns})", R"("status":"idle")",
           R"("temperature":-4.75)", R"("location":{"lat":52.5163,"lon":13.3777})",
           R"("firmware":"2.14.3-lts")", R"("ok":true)"},
    Fields{R"("sent_ns":{sent_ns})", R"("meter":"e-4711")", R"("seq":{seq})", R"("kwh":18233.401)",
           R"("phases":[229.8,230.1,230.4])", R"("tariff":2)", R"("status":"metering")"},
    Fields{R"("seq":{seq})", R"("door":"north-3")", R"("open":false)", R"("sent_ns":{sent_ns})",
           R"("status":"closed")", R"("badge":null)", R"("firmware":"1.0.9")",
           R"("battery_percent":64)"},
    Fields{R"("temperature":88)", R"("sent_ns":{sent_ns})", R"("seq":{seq})",
           R"("alarm":{"code":"W12","text":"filter","acknowledged":true})", R"("status":"warm")"},
    Fields{R"("v":3)", R"("seq":{seq})", R"("sent_ns":{sent_ns})",
           R"("gps":{"fix":true,"sats":11,"speed_kmh":63.2})", R"("vehicle":"truck-88")",
           R"("fuel":0.42)", R"("status":"driving")"},
    Fields{R"("line":"press-2")", R"("counter":{"good":9120,"bad":17})", R"("seq":{seq})",
           R"("sent_ns":{sent_ns})", R"("cycle_ms":1450)", R"("status":"producing")",
           R"("shift":"late")"},
    Fields{R"("sent_ns":{sent_ns})", R"("seq":{seq})", R"("co2_ppm":731)", R"("voc":0.18)",
           R"("room":"4.112 \u00e4")", R"("temperature":2.15e1)", R"("status":"air")",
           R"("window_open":false)"},
    Fields{R"("pump":7)", R"("flow_l_min":12.75)", R"("seq":{seq})", R"("pressure_bar":[2.1,2.2])",
           R"("sent_ns":{sent_ns})", R"("valves":{"a":true,"b":false})", R"("status":"pumping")"},
    Fields{R"("seq":{seq})", R"("tags":["roof","south","string-4"])", R"("dc_v":612.4)",
           R"("dc_a":7.91)", R"("sent_ns":{sent_ns})", R"("status":"feeding")",
           R"("firmware":"5.2")"},
    Fields{R"("id":"tank-12")", R"("sent_ns":{sent_ns})", R"("level_percent":55.5)",
           R"("seq":{seq})", R"("status":"stable")", R"("temperature":7)",
           R"("limits":{"low":10,"high":90})"},
    Fields{R"("lift":"B")", R"("floor":-1)", R"("seq":{seq})", R"("doors":{"open":false})",
           R"("sent_ns":{sent_ns})", R"("status":"moving")", R"("load_kg":320)",
           R"("trips_today":214)"},
};

bool is_slot(std::string_view field) { return field.find("{se") != field.npos; }

Template make_shape(const Fields& fields, std::size_t size) {
  // The two changing fields are in every size; the others as far as they fit.
  std::size_t used = 1;
  for (const auto field : fields) {
    if (is_slot(field)) used += make_template(field).text.size() + 1;
  }
  std::string source = "{";
  for (const auto field : fields) {
    if (field.empty()) break;
    if (!is_slot(field)) {
      if (used + field.size() + 1 > size) continue;
      used += field.size() + 1;
    }
    source += field;
    source += ',';
  }
  constexpr std::string_view note = R"("note":"",)";
  used = make_template(source).text.size() + 1;
  if (used + note.size() <= size + 1) {
    source += fmt::format(R"("note":"{}",)", std::string(size + 1 - used - note.size(), 'n'));
  }
  source.pop_back();
  Template shape = make_template(source);
  shape.text.append(size - shape.text.size() - 1, ' ');
  shape.text += '}';
  return shape;
}

constexpr std::string_view head = R"([server]
threads = 1
log_level = "warning"
data = "{}"

[http]
listen = "127.0.0.1:0"

[mqtt]
listen = "127.0.0.1:0"
receive_maximum = 1024

[[channel]]
name = "console"
type = "log"

[[channel]]
name = "subscribers"
type = "mqtt"
qos = 0

[[source]]
name = "telemetry"
topic = "devices/{{device}}/telemetry"
level = "{}"

[[source]]
name = "order_created"
level = "{}"

[[source]]
name = "through"
topic = "through/{{device}}"
level = "{}"

[[rule]]
name = "through"
source = "through"
channel = "subscribers"
body = "sent_ns: {{{{sent_ns}}}}"
)";

// One pattern a kind of condition; alone or together with another field, as rules are written.
std::string pattern_of(std::uint32_t i) {
  switch (i % 6) {
    case 0:
      return fmt::format(R"({{ status = ["state-{}"] }})", i);
    case 1:
      return fmt::format(R"({{ temperature = [{{ numeric = [">", {}] }}] }})", 1000 + i);
    case 2:
      return fmt::format(R"({{ firmware = [{{ prefix = "{}." }}] }})", 100 + i);
    case 3:
      return fmt::format(R"({{ alarm = {{ code = ["E{}"] }}, status = [{{ exists = true }}] }})",
                         i);
    case 4:
      return fmt::format(
          R"({{ battery_percent = [{{ numeric = [">=", {}, "<", {}] }}], status = ["state-{}"] }})",
          i % 90, i % 90 + 5, i);
    default:
      return fmt::format(R"({{ device = ["boiler-{}", "pump-{}"] }})", 10'000 + i, 10'000 + i);
  }
}

}  // namespace

std::vector<Template> make_shapes(std::uint32_t shapes, std::uint32_t size) {
  assert(shapes >= 1 && shapes <= shapes_max && size >= payload_size_min);
  std::vector<Template> made;
  for (std::uint32_t i = 0; i < shapes; ++i) {
    made.push_back(make_shape(shapes_of_devices[i], size));
    assert(made.back().text.size() == size);
  }
  return made;
}

std::string make_server_config(const ServerSetup& setup) {
  const std::string& level = setup.level;
  std::string text = fmt::format(head, setup.data, level, level, level);
  for (std::uint32_t i = 0; i < setup.rules; ++i) {
    // Both ways in have all the rules: no event is spared any of them.
    for (const std::string_view source : {"telemetry", "order_created"}) {
      text += fmt::format(
          "\n[[rule]]\nname = \"{}-{}\"\nsource = \"{}\"\npattern = {}\nchannel = \"console\"\n"
          "body = \"{{{{status}}}}\"\n",
          source, i, source, pattern_of(i));
    }
  }
  return text;
}

}  // namespace tocsin::cli::bench
