#include "stages/decode/decode_stage.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "base/base64.hpp"
#include "base/hash.hpp"
#include "flow/route_info.hpp"
#include "stages/decode/envelope.hpp"
#include "stages/decode/refuse_json.hpp"

namespace tocsin::decode {
namespace {

using flow::Accepted;
using flow::AckToken;
using flow::Envelope;
using flow::RawEvent;
using flow::Refusal;
using flow::Rejection;
using flow::Taken;

std::string_view type_of(const flow::SourceConfig& source) noexcept {
  return source.type.empty() ? source.name : source.type;
}

// Nothing but topic and payload says anything about the event.
bool is_plain(const RawEvent& event) noexcept {
  return event.envelope == Envelope::device && event.attributes.empty() &&
         event.traceparent.empty() &&
         (event.message == nullptr ||
          (event.message->properties.empty() && event.message->publisher.empty()));
}

std::uint64_t random_seed(io::Io& io) noexcept {
  std::uint64_t seed = 0;
  io.random(std::as_writable_bytes(std::span{&seed, 1}));
  return seed;
}

}  // namespace

DecodeStage::DecodeStage(flow::Loop& loop, flow::BatchPool& pool, flow::BatchSink& sink,
                         std::shared_ptr<const flow::SourceTable> sources, const Settings& settings,
                         Log log)
    : loop_(loop),
      event_size_max_(settings.event_size_max),
      body_size_max_(std::max(settings.body_size_max, settings.event_size_max)),
      payload_max_(pool.payload_max()),
      unseen_size_max_(std::min({run_bytes_max, event_size_max_, payload_max_})),
      quotas_(settings.quotas),
      batches_(loop, pool, sink, *this, settings.reactor, settings.inflight_max),
      sources_(std::move(sources)),
      known_topics_(random_seed(loop.io())),
      validator_(event_size_max_, body_size_max_),
      run_validator_(run_bytes_max + unseen_size_max_ + run_records_max),
      ids_(random_seed(loop.io())),
      log_(std::move(log)) {}

void DecodeStage::set_sources(std::shared_ptr<const flow::SourceTable> sources) {
  known_topics_.forget();
  sources_ = SourceIndex(std::move(sources));
  log_->debug("reactor takes {} event sources", sources_.table().sources().size());
}

void DecodeStage::drain() noexcept {
  draining_ = true;
  batches_.drain();
}

DecodeStage::Outcome DecodeStage::add(const RawEvent& event, const AckToken& ack) noexcept {
  if (is_plain(event)) {
    if (const KnownTopics::Entry* const known = known_topics_.find(event.topic)) {
      return account(add_known(*known, event, ack));
    }
  }
  return decode(event, nullptr, ack);
}

DecodeStage::Outcome DecodeStage::add_known(const KnownTopics::Entry& known, const RawEvent& event,
                                            const AckToken& ack) noexcept {
  if (const auto check = check_size(event); !check) return Unexpected{check.error()};
  const std::string_view payload = event.payload;
  if (const auto document = validator_.validate(payload); !document) {
    return refuse_json(document.error());
  }
  if (payload.size() > payload_max_) return refuse(Refusal::too_large, "the payload is too large");
  flow::Batch* const batch = batches_.room_for(event.level.value_or(known.source->level),
                                               payload.size(), known.attrs_size);
  if (batch == nullptr) return refuse(Refusal::capacity, "no memory is free: try again later");
  if (const auto check = admit(event, *known.source); !check) return Unexpected{check.error()};
  std::memcpy(batch->payload_tail(), payload.data(), payload.size());
  RecordHeader header = make_header(*known.source, payload.size());
  header.partition_hash = known.partition_hash;
  if (event.message != nullptr) header.mqtt = flow::route_byte(*event.message);
  batch->append(header, known.attrs(), loop_.now(), ack);
  batches_.appended(*batch);
  return Accepted{.id = header.id, .type = type_of(*known.source), .data = payload};
}

flow::Taken DecodeStage::take(const flow::PlainEvent& event, const AckToken& ack,
                              flow::RefusalSink& refusals) noexcept {
  const std::string_view payload = event.payload;
  // A long payload is a run of its own, and needs its own memory to be checked in.
  if (draining_ || payload.empty() || payload.size() > unseen_size_max_) return Taken::unusual;
  const KnownTopics::Entry* const known = known_topics_.find(event.topic);
  if (known == nullptr || known->source->rate != 0) return Taken::unusual;
  flow::Batch* const batch =
      batches_.room_for_unseen(known->source->level, payload.size(), known->attrs_size, refusals);
  if (batch == nullptr) {
    turned_away_.add();
    return Taken::no_room;
  }
  std::memcpy(batch->payload_tail(), payload.data(), payload.size());
  RecordHeader header = make_header(*known->source, payload.size());
  header.partition_hash = known->partition_hash;
  header.mqtt = flow::route_byte(event);
  batch->append(header, known->attrs(), loop_.now(), ack);
  batches_.appended_unseen(*batch);
  return Taken::yes;
}

void DecodeStage::check_run(flow::Batch& batch, std::uint32_t first,
                            flow::RefusalSink& refusals) noexcept {
  const std::size_t count = batch.size() - first;
  std::array<std::optional<json::JsonError>, run_records_max> results;
  const RunValidator::Verdicts verdicts{results.data(), count};
  received_.add(count);
  if (run_validator_.validate(batch, first, verdicts)) {
    decoded_.add(count);
    run_validator_.note_shapes(batch, first, verdicts);
    return batch.checksum();
  }
  std::array<AckToken, run_records_max> tokens;
  std::copy_n(batch.acks().begin() + first, count, tokens.begin());
  for (std::size_t i = count; i-- > 0;) {
    if (verdicts[i]) batch.remove(first + static_cast<std::uint32_t>(i));
  }
  run_validator_.note_shapes(batch, first, verdicts);
  batch.checksum();
  for (std::size_t i = 0; i < count; ++i) {
    if (!verdicts[i]) {
      decoded_.add();
      continue;
    }
    const Rejection rejection = refuse_json(*verdicts[i]).error;
    refused_[static_cast<std::size_t>(rejection.reason)].add();
    refusals.on_refused(tokens[i], rejection);
  }
}

DecodeStage::Outcome DecodeStage::account(Outcome outcome) noexcept {
  if (outcome) {
    decoded_.add();
  } else if (outcome.error().reason == Refusal::capacity) {
    // Nothing was decided about the event: whoever sent it tries again.
    turned_away_.add();
    return outcome;
  } else {
    refused_[static_cast<std::size_t>(outcome.error().reason)].add();
  }
  received_.add();
  return outcome;
}

DecodeStage::Outcome DecodeStage::decode(const RawEvent& event, const json::Value* root,
                                         const AckToken& ack) noexcept {
  draft_.reset();
  if (const auto check = check_size(event); !check) return account(Unexpected{check.error()});
  auto check = read(event, root);
  if (check && event.envelope != Envelope::message) check = find_source();
  if (!check && check.error().reason == Refusal::unknown_source && event.message_if_unmatched) {
    draft_.reset();
    check = read_opaque(event);
  }
  if (check) check = apply_transport(event);
  if (!check) return account(Unexpected{check.error()});
  return account(append(event, ack));
}

Check DecodeStage::read_opaque(const RawEvent& event) noexcept {
  draft_.data = event.payload;
  draft_.data_kind = EventDraft::Data::opaque;
  return read_message(event, draft_);
}

Check DecodeStage::check_size(const RawEvent& event) const noexcept {
  if (draining_) return refuse(Refusal::shutting_down, "the server is shutting down");
  if (event.payload.size() > event_size_max_) {
    return refuse(Refusal::too_large, "the event is larger than event_size_max");
  }
  if (event.payload.empty() && event.envelope != Envelope::cloudevents_binary &&
      event.envelope != Envelope::message) {
    return refuse(Refusal::empty, "there is no payload");
  }
  return {};
}

Check DecodeStage::read(const RawEvent& event, const json::Value* root) noexcept {
  switch (event.envelope) {
    case Envelope::api:
    case Envelope::cloudevents:
      return read_document(event, root);
    case Envelope::cloudevents_binary:
      if (root != nullptr) {
        return refuse(Refusal::content_type, "binary mode carries one event");
      }
      return read_binary(event);
    case Envelope::message:
      return read_opaque(event);
    case Envelope::device:
      break;
  }
  if (auto check = read_device(event, sources_.table(), draft_); !check) return check;
  if (root == nullptr) {
    const auto document = validator_.validate(event.payload);
    if (!document) return refuse_json(document.error());
  }
  draft_.data = event.payload;
  draft_.data_kind = EventDraft::Data::json;
  return {};
}

Check DecodeStage::read_document(const RawEvent& event, const json::Value* root) noexcept {
  if (root == nullptr) {
    if (!is_json_media_type(event.content_type)) {
      return refuse(Refusal::content_type, "the content type is not JSON");
    }
    const auto document = validator_.validate(event.payload);
    if (!document) return refuse_json(document.error());
    const json::Value own = document->root();
    return read_document(event, &own);
  }
  return event.envelope == Envelope::api ? read_api(*root, draft_)
                                         : read_cloudevents(*root, draft_);
}

Check DecodeStage::read_binary(const RawEvent& event) noexcept {
  if (auto check = read_cloudevents_binary(event, draft_); !check) return check;
  if (event.payload.empty()) return {};
  draft_.data = event.payload;
  draft_.data_kind = EventDraft::Data::opaque;
  if (!is_json_media_type(draft_.get(AttributeTag::content_type))) return {};
  const auto document = validator_.validate(event.payload);
  if (!document) return refuse_json(document.error());
  draft_.data_kind = EventDraft::Data::json;
  return {};
}

Check DecodeStage::find_source() noexcept {
  if (draft_.registered == nullptr) {
    draft_.registered = sources_.find_for_type(draft_.get(AttributeTag::type));
  }
  if (draft_.registered == nullptr) {
    return refuse(Refusal::unknown_source, "no event source has this type");
  }
  if (!draft_.registered->active) {
    return refuse(Refusal::inactive_source, "the event source is not active");
  }
  return {};
}

// Last of all: what has been charged is stored.
Check DecodeStage::admit(const RawEvent& event, const flow::SourceConfig& source) noexcept {
  if (event.sender != nullptr && !event.sender->allows(flow::Access::publish, source.name, {})) {
    return refuse(Refusal::access, "the client may not send events of this source");
  }
  if (source.rate == 0 || quotas_ == nullptr) return {};
  const auto wait = quotas_->take_source(source.name, 1, loop_.now());
  if (!wait) return {};
  return Unexpected{Rejection{.reason = Refusal::quota,
                              .detail = "the event source takes no more events for now",
                              .retry_after = *wait}};
}

Check DecodeStage::apply_transport(const RawEvent& event) noexcept {
  draft_.message = event.message;
  if (event.message != nullptr && draft_.get(AttributeTag::source) != event.topic) {
    if (auto check = draft_.set(AttributeTag::topic, event.topic, {}); !check) return check;
  }
  if (draft_.registered == nullptr) return {};  // Nothing but a message.
  if (event.envelope != Envelope::cloudevents_binary) {
    for (const flow::Field& field : event.attributes) {
      if (auto check = draft_.set_default(field.name, field.value); !check) return check;
    }
  }
  if (draft_.get(AttributeTag::traceparent).empty()) draft_.set_traceparent(event.traceparent);
  if (draft_.data_kind == EventDraft::Data::absent) {
    // Only CloudEvents may lack data. Match and render need some document to look into.
    draft_.data = "null";
    draft_.data_kind = EventDraft::Data::json;
  }
  return {};
}

Result<std::size_t, Rejection> DecodeStage::write_payload(flow::Batch& batch) noexcept {
  const std::string_view data = draft_.data;
  if (draft_.data_kind != EventDraft::Data::base64) {
    if (!data.empty()) std::memcpy(batch.payload_tail(), data.data(), data.size());
    return data.size();
  }
  const std::string_view raw = data.substr(1, data.size() - 2);
  const auto size = base64_decode(raw, {batch.payload_tail(), base64_decoded_max(raw)});
  if (!size) return refuse(Refusal::envelope, "data_base64 is not base64", "/data_base64");
  return *size;
}

void DecodeStage::read_wall_clock() noexcept {
  if (wall_read_at_ == loop_.now()) return;
  wall_read_at_ = loop_.now();
  wall_ = loop_.io().wall_now();
  wall_trusted_ = loop_.io().wall_trusted();
}

std::uint32_t DecodeStage::partition_hash() const noexcept {
  std::string_view key;
  for (const auto tag :
       {AttributeTag::partition_key, AttributeTag::subject, AttributeTag::source}) {
    key = draft_.get(tag);
    if (!key.empty()) break;
  }
  if (key.empty() && draft_.registered != nullptr) key = draft_.registered->name;
  return static_cast<std::uint32_t>(hash64(key));
}

RecordHeader DecodeStage::make_header(const flow::SourceConfig& source,
                                      std::size_t payload_size) noexcept {
  read_wall_clock();
  RecordHeader header{};
  header.priority = source.priority;
  header.severity = source.severity;
  if (!wall_trusted_) header.flags = record_flag::untrusted_clock;
  header.id = ids_.next(wall_);
  header.payload_size = static_cast<std::uint32_t>(payload_size);
  header.producer_time_us = producer_time_absent;
  return header;
}

RecordHeader DecodeStage::header_of_draft(std::size_t payload_size) noexcept {
  static const flow::SourceConfig no_source{};
  const bool event = draft_.registered != nullptr;
  RecordHeader header = make_header(event ? *draft_.registered : no_source, payload_size);
  header.priority = draft_.priority.value_or(header.priority);
  header.severity = draft_.severity.value_or(header.severity);
  if (!event) header.flags |= record_flag::message;
  if (draft_.data_kind == EventDraft::Data::base64 ||
      draft_.data_kind == EventDraft::Data::opaque) {
    header.flags |= record_flag::binary_payload;
  }
  if (draft_.message != nullptr) header.mqtt = flow::route_byte(*draft_.message);
  header.partition_hash = partition_hash();
  header.producer_time_us = draft_.producer_time_us;
  return header;
}

DecodeStage::Outcome DecodeStage::append(const RawEvent& event, const AckToken& ack) noexcept {
  const auto attrs_size = draft_.write_attributes(attrs_);
  if (!attrs_size) {
    return refuse(Refusal::attribute_size, "the attributes together are too long");
  }
  const bool base64 = draft_.data_kind == EventDraft::Data::base64;
  const std::size_t room = base64 ? base64_decoded_max(draft_.data) : draft_.data.size();
  if (room > payload_max_) return refuse(Refusal::too_large, "the payload is too large");
  const Level level =
      event.level.value_or(draft_.registered == nullptr ? Level::stored : draft_.registered->level);
  flow::Batch* const batch = batches_.room_for(level, room, *attrs_size);
  if (batch == nullptr) return refuse(Refusal::capacity, "no memory is free: try again later");
  const auto payload_size = write_payload(*batch);
  if (!payload_size) return Unexpected{payload_size.error()};
  const flow::SourceConfig* const source = draft_.registered;
  if (source != nullptr) {
    if (const auto check = admit(event, *source); !check) return Unexpected{check.error()};
  }
  const RecordHeader header = header_of_draft(*payload_size);
  const std::string_view attrs{attrs_.data(), *attrs_size};
  batch->append(header, attrs, loop_.now(), ack);
  if (source != nullptr && is_plain(event)) {
    known_topics_.keep(event.topic, attrs, *source, header.partition_hash);
  }
  batches_.appended(*batch);
  return Accepted{.id = header.id, .type = draft_.get(AttributeTag::type), .data = draft_.data};
}

}  // namespace tocsin::decode
