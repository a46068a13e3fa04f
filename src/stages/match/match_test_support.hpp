#pragma once
// For tests of the stages from match to render: documents and records made from text.

#include <memory>
#include <string>
#include <string_view>

#include <tocsin/event.hpp>
#include <tocsin/limits.hpp>

#include "protocol/json/validator.hpp"

namespace tocsin::match {

/// A validated document that owns its text.
class TestDocument {
 public:
  explicit TestDocument(std::string_view text)
      : text_(std::string(text) + std::string(json_padding, '"')), validator_(text.size() + 1) {
    const auto result = validator_.validate(std::string_view{text_}.substr(0, text.size()));
    if (result) document_ = *result;
  }
  [[nodiscard]] bool valid() const { return !document_.text.empty(); }
  [[nodiscard]] json::Value root() const { return document_.root(); }

 private:
  std::string text_;
  json::Validator validator_;
  json::Document document_;
};

/// A record that owns its bytes.
class TestRecord {
 public:
  explicit TestRecord(std::string_view payload)
      : payload_(std::string(payload) + std::string(json_padding, '"')), size_(payload.size()) {
    header_.id = {0x018BCFE56800'7000, 0x8000000000000001};  // 2023-11-14T22:13:20Z
    header_.priority = Priority::normal;
    header_.producer_time_us = producer_time_absent;
  }
  TestRecord& attribute(AttributeTag tag, std::string_view value, std::string_view name = {}) {
    std::string field;
    if (tag == AttributeTag::extension) {
      field += static_cast<char>(name.size());
      field += name;
    }
    field += value;
    attrs_ += static_cast<char>(tag);
    attrs_ += static_cast<char>(field.size() & 0xFFU);
    attrs_ += static_cast<char>(field.size() >> 8U);
    attrs_ += field;
    return *this;
  }
  [[nodiscard]] RecordHeader& header() { return header_; }
  [[nodiscard]] RecordView view() const {
    return {header_, attrs_, std::string_view{payload_}.substr(0, size_), 1, MonoTime{}};
  }

 private:
  RecordHeader header_{};
  std::string attrs_;
  std::string payload_;
  std::size_t size_;
};

}  // namespace tocsin::match
