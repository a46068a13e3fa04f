// Goal: whatever comes in, what is accepted makes a sound block: it parses, every record is intact,
// and every payload that is not marked binary is valid JSON.
// Method: the first byte picks the envelope, the second its dressing; the rest is the payload or,
// for binary mode, attributes and payload separated by bytes 0x01. From 4 on, the first byte picks
// how plain payloads come that are looked into together; record separators stand between them.
#include <simdjson.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "stages/decode/test_rig.hpp"
#include "tests/support/known_shapes.hpp"

namespace {

using namespace tocsin;
using decode::test::Padded;
using decode::test::Rig;

void require(bool condition) {
  if (!condition) std::abort();
}

struct Verdicts final : flow::EntryVerdicts {
  std::uint32_t tokens = 0;
  std::uint32_t entries = 0;
  std::uint32_t accepted = 0;
  flow::AckToken token(std::uint32_t index) noexcept override {
    require(index == tokens++);
    return {};
  }
  void on_entry(std::uint32_t index,
                const Result<flow::Accepted, flow::Rejection>& verdict) noexcept override {
    require(index == entries++ && entries == tokens);
    if (verdict) ++accepted;
  }
};

void check_block(flow::Batch& batch) {
  static simdjson::dom::parser parser;
  batch.assign(1, 1);
  const auto block = flow::BlockView::parse(batch.block());
  require(block.has_value());
  require(test::wrong_about(batch).empty());
  for (std::uint32_t i = 0; i < block->size(); ++i) {
    require(block->record_intact(i));
    const RecordView record = block->record(i);
    require(!record.attribute(AttributeTag::type).empty());
    require(!record.attribute(AttributeTag::event_source).empty());
    std::size_t attrs_size = 0;
    record.for_each_attribute([&](AttributeTag tag, std::string_view name, std::string_view value) {
      attrs_size += 3 + value.size() + (tag == AttributeTag::extension ? 1 + name.size() : 0);
      return true;
    });
    require(attrs_size == record.attrs().size());
    if ((record.header().flags & record_flag::binary_payload) != 0) continue;
    const std::string copy(record.payload());
    require(parser.parse(copy).error() == simdjson::SUCCESS);
  }
}

std::uint32_t feed(Rig& rig, std::uint8_t kind, std::uint8_t dressing, std::string_view text) {
  std::vector<flow::Field> fields;
  flow::RawEvent event;
  event.envelope = static_cast<flow::Envelope>(kind);
  if ((dressing & 1U) != 0)
    event.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  if ((dressing & 2U) != 0) event.level = Level::accepted;
  if ((dressing & 4U) != 0) event.content_type = "image/png";
  if (event.envelope == flow::Envelope::cloudevents_binary) {
    fields = {{"specversion", "1.0"}, {"type", "order_created"}};
    for (std::size_t end = text.find('\x01'); end != text.npos; end = text.find('\x01')) {
      const std::string_view pair = text.substr(0, end);
      const std::size_t equals = std::min(pair.find('='), pair.size());
      fields.push_back({pair.substr(0, equals), pair.substr(std::min(equals + 1, pair.size()))});
      text.remove_prefix(end + 1);
    }
  } else if (event.envelope == flow::Envelope::device) {
    const std::size_t end = text.find('\x01');
    event.topic = end == text.npos ? "devices/d/telemetry/k" : text.substr(0, end);
    if (end != text.npos) text.remove_prefix(end + 1);
  }
  event.attributes = fields;
  const Padded payload(text);
  event.payload = payload.view();
  if ((dressing & 8U) == 0) return rig.stage.add(event, {}) ? 1 : 0;
  Verdicts verdicts;
  const auto form = (dressing & 16U) != 0 ? flow::BatchForm::array : flow::BatchForm::ndjson;
  const auto count = rig.stage.add_all(event, form, verdicts);
  require(verdicts.entries == (count ? *count : 0));
  return verdicts.accepted;
}

struct Refusals final : flow::RefusalSink {
  std::vector<std::uint64_t> details;
  void on_refused(const flow::AckToken& token, const flow::Rejection&) noexcept override {
    details.push_back(token.detail);
  }
};

bool is_json(std::string_view text) {
  static simdjson::dom::parser parser;
  static const bool ready = parser.allocate(64 * 1024, json_depth_max + 1) == simdjson::SUCCESS;
  require(ready);
  return parser.parse(simdjson::padded_string(text)).error() == simdjson::SUCCESS;
}

// Every third one is looked into at once when `mixed`.
std::uint32_t feed_run(Rig& rig, bool mixed, std::string_view text) {
  Refusals refusals;
  std::vector<std::uint64_t> wanted;
  std::uint32_t accepted = 0;
  flow::RawEvent event;
  event.envelope = flow::Envelope::device;
  event.topic = "devices/d/telemetry/k";
  for (std::uint64_t i = 0; !text.empty(); ++i) {
    const Padded payload(text.substr(0, text.find('\x1E')));
    text.remove_prefix(std::min(payload.size + 1, text.size()));
    const bool valid = is_json(payload.view());
    if (valid) ++accepted;
    event.payload = payload.view();
    const bool at_once = mixed && i % 3 == 2;
    const auto taken = at_once ? flow::Taken::unusual
                               : rig.stage.take({.topic = event.topic, .payload = event.payload},
                                                {.detail = i}, refusals);
    require(taken != flow::Taken::no_room);
    if (taken == flow::Taken::unusual) {
      require(rig.stage.add(event, {}).has_value() == valid);
    } else if (!valid) {
      wanted.push_back(i);
    }
  }
  rig.loop.turn();
  require(refusals.details == wanted);
  return accepted;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2 || size > 64 * 1024) return 0;
  static Rig rig(8);
  const std::string_view text{reinterpret_cast<const char*>(data) + 2, size - 2};
  const bool run = data[0] >= 4;
  const std::uint32_t accepted =
      run ? feed_run(rig, data[0] % 2 != 0, text) : feed(rig, data[0], data[1], text);
  rig.loop.turn();
  std::uint32_t recorded = 0;
  while (!rig.sink.batches.empty()) {
    flow::Batch& batch = *rig.sink.batches.front();
    check_block(batch);
    recorded += batch.size();
    rig.commit();
    rig.loop.turn();
  }
  require(accepted == recorded);
  require(rig.stage.idle());
  return 0;
}
