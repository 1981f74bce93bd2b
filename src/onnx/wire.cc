#include "onnx/wire.h"

#include <algorithm>
#include <array>
#include <climits>
#include <span>
#include <string_view>

#include "cleave/error.h"
#include "onnx/limits.h"

namespace cleave::onnx {
namespace {

enum class Message { kModel, kGraph, kNode, kAttribute, kTensor, kSparseTensor, kFunction };

enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

// What to do with one length-delimited field of a message; others are copied.
struct FieldRule {
  Message parent;
  uint32_t field;
  enum { kDescend, kDrop, kRefuse } action;
  Message child = Message::kModel;
};

constexpr std::array kRules = {
    FieldRule{Message::kModel, 7, FieldRule::kDescend, Message::kGraph},
    FieldRule{Message::kModel, 25, FieldRule::kDescend, Message::kFunction},
    FieldRule{Message::kModel, 6, FieldRule::kDrop},   // doc_string
    FieldRule{Message::kModel, 14, FieldRule::kDrop},  // metadata_props
    FieldRule{Message::kModel, 20, FieldRule::kDrop},  // training_info
    FieldRule{Message::kGraph, 1, FieldRule::kDescend, Message::kNode},
    FieldRule{Message::kGraph, 5, FieldRule::kDescend, Message::kTensor},
    FieldRule{Message::kGraph, 15, FieldRule::kDescend, Message::kSparseTensor},
    FieldRule{Message::kGraph, 10, FieldRule::kDrop},  // doc_string
    FieldRule{Message::kGraph, 14, FieldRule::kDrop},  // quantization_annotation
    FieldRule{Message::kGraph, 16, FieldRule::kDrop},  // metadata_props
    FieldRule{Message::kFunction, 7, FieldRule::kDescend, Message::kNode},
    FieldRule{Message::kFunction, 11, FieldRule::kDescend, Message::kAttribute},
    FieldRule{Message::kFunction, 8, FieldRule::kDrop},   // doc_string
    FieldRule{Message::kFunction, 14, FieldRule::kDrop},  // metadata_props
    FieldRule{Message::kNode, 5, FieldRule::kDescend, Message::kAttribute},
    FieldRule{Message::kNode, 6, FieldRule::kDrop},   // doc_string
    FieldRule{Message::kNode, 9, FieldRule::kDrop},   // metadata_props
    FieldRule{Message::kNode, 10, FieldRule::kDrop},  // device_configurations
    FieldRule{Message::kAttribute, 5, FieldRule::kDescend, Message::kTensor},
    FieldRule{Message::kAttribute, 10, FieldRule::kDescend, Message::kTensor},
    FieldRule{Message::kAttribute, 6, FieldRule::kDescend, Message::kGraph},
    FieldRule{Message::kAttribute, 11, FieldRule::kDescend, Message::kGraph},
    FieldRule{Message::kAttribute, 22, FieldRule::kDescend, Message::kSparseTensor},
    FieldRule{Message::kAttribute, 23, FieldRule::kDescend, Message::kSparseTensor},
    FieldRule{Message::kAttribute, 13, FieldRule::kDrop},  // doc_string
    FieldRule{Message::kSparseTensor, 1, FieldRule::kDescend, Message::kTensor},
    FieldRule{Message::kSparseTensor, 2, FieldRule::kDescend, Message::kTensor},
    FieldRule{Message::kTensor, 3, FieldRule::kRefuse},  // segment
    FieldRule{Message::kTensor, 12, FieldRule::kDrop},   // doc_string
    FieldRule{Message::kTensor, 16, FieldRule::kDrop},   // metadata_props
};

const FieldRule* rule_of(Message parent, uint32_t field) {
  for (const FieldRule& rule : kRules) {
    if (rule.parent == parent && rule.field == field) return &rule;
  }
  return nullptr;
}

// Wire types of ModelProto's fields, by which a file of another kind is told.
bool is_model_field(uint32_t field, uint32_t wire_type) {
  switch (field) {
    case 1:
    case 5:
      return wire_type == kVarint;
    case 2:
    case 3:
    case 4:
    case 6:
    case 7:
    case 8:
    case 14:
    case 20:
    case 25:
    case 26:
      return wire_type == kBytes;
    default:
      return false;
  }
}

void append_varint(uint64_t value, std::string& out) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

void append_bytes(uint32_t field, std::string_view bytes, std::string& out) {
  append_varint(uint64_t{field} << 3 | kBytes, out);
  append_varint(bytes.size(), out);
  out += bytes;
}

// Reads a source at moving positions through a window, so that skipping costs nothing.
class Cursor {
 public:
  explicit Cursor(const ByteSource& source) : source_(source) {}

  // One byte; `position` must be inside the source.
  uint8_t byte(uint64_t position) {
    if (position < begin_ || position >= begin_ + window_.size()) {
      begin_ = position;
      window_.resize(static_cast<size_t>(std::min<uint64_t>(kWindow, source_.size() - position)));
      source_.read(begin_, std::as_writable_bytes(std::span(window_)));
    }
    return static_cast<uint8_t>(window_[static_cast<size_t>(position - begin_)]);
  }

  void copy(uint64_t begin, uint64_t end, std::string& out) const {
    if (begin >= end) return;
    const size_t size = static_cast<size_t>(end - begin);
    const size_t old = out.size();
    out.resize(old + size);
    if (begin >= begin_ && end <= begin_ + window_.size()) {
      std::copy_n(window_.begin() + static_cast<ptrdiff_t>(begin - begin_), size,
                  out.begin() + static_cast<ptrdiff_t>(old));
    } else {
      source_.read(begin, std::as_writable_bytes(std::span(out).subspan(old)));
    }
  }

 private:
  static constexpr uint64_t kWindow = 64 * 1024;
  const ByteSource& source_;
  uint64_t begin_ = 0;
  std::string window_;
};

class Stripper {
 public:
  explicit Stripper(const ByteSource& source) : source_(source), cursor_(source) {}

  std::string run() {
    if (source_.size() == 0) {
      throw Error(ErrorCode::kInvalid, source_.name() + " is empty", "copy or export it again");
    }
    return rewrite(Message::kModel, 0, source_.size(), 0);
  }

 private:
  // A field's header, and where its value starts and ends.
  struct Field {
    uint64_t begin;
    uint64_t value;
    uint64_t end;
    uint32_t number;
    uint32_t wire_type;
  };

  [[noreturn]] void fail_damaged(uint64_t position) const {
    if (!is_model_) {
      throw Error(ErrorCode::kInvalid, source_.name() + " is not an ONNX model",
                  "give a .onnx file; models of other kinds must be exported to ONNX first");
    }
    throw Error(ErrorCode::kInvalid,
                source_.name() + " is damaged: what is at byte " + std::to_string(position) +
                    " is no part of an ONNX model",
                "copy or export it again");
  }
  [[noreturn]] void fail_cut(uint64_t position) const {
    if (!is_model_) fail_damaged(position);
    throw Error(ErrorCode::kInvalid,
                source_.name() + " is cut short: it ends after " + std::to_string(source_.size()) +
                    " bytes, in the middle of a field that starts at byte " +
                    std::to_string(position),
                "the file is incomplete or still being written; copy or export it again");
  }

  uint64_t varint(uint64_t& position, uint64_t end) {
    uint64_t value = 0;
    const uint64_t begin = position;
    for (int shift = 0; shift < 64; shift += 7) {
      if (position >= end) {
        if (end == source_.size()) fail_cut(begin);
        fail_damaged(begin);
      }
      const uint8_t byte = cursor_.byte(position++);
      value |= uint64_t{byte & 0x7fu} << shift;
      if ((byte & 0x80) == 0) return value;
    }
    fail_damaged(begin);
  }

  Field next_field(Message kind, uint64_t position, uint64_t end) {
    Field field{position, 0, 0, 0, 0};
    const uint64_t tag = varint(position, end);
    if (tag >> 3 == 0 || tag >> 3 > 536870911) fail_damaged(field.begin);
    field.number = static_cast<uint32_t>(tag >> 3);
    field.wire_type = static_cast<uint32_t>(tag & 7);
    // The first fields must look like a model's before anything is called a damaged model.
    if (kind == Message::kModel) {
      if (!is_model_field(field.number, field.wire_type)) {
        is_model_ = is_model_ && position > 64;
      } else if (field.begin == 0) {
        is_model_ = field.number == 1 || field.number == 7 || field.number == 8;
      }
    }
    uint64_t size = 0;
    if (field.wire_type == kVarint) {
      field.value = position;
      varint(position, end);
      field.end = position;
      return field;
    }
    if (field.wire_type == kBytes) {
      size = varint(position, end);
    } else if (field.wire_type == kFixed64 || field.wire_type == kFixed32) {
      size = field.wire_type == kFixed64 ? 8 : 4;
    } else {
      fail_damaged(field.begin);
    }
    if (size > end - position) {
      if (end == source_.size()) fail_cut(field.begin);
      fail_damaged(field.begin);
    }
    field.value = position;
    field.end = position + size;
    return field;
  }

  std::string rewrite(Message kind, uint64_t begin, uint64_t end, int depth) {
    if (depth > kMaxNesting) {
      throw Error(
          ErrorCode::kInvalid,
          source_.name() + " nests its parts more than " + std::to_string(kMaxNesting) + " deep",
          "no exporter writes such a model");
    }
    const Payload payload = kind == Message::kTensor ? find_payload(begin, end) : Payload();
    std::string out;
    uint64_t copied = begin;  // what lies before is in `out`, or dropped
    for (uint64_t position = begin; position < end;) {
      const Field field = next_field(kind, position, end);
      position = field.end;
      const FieldRule* rule = field.wire_type == kBytes ? rule_of(kind, field.number) : nullptr;
      const bool is_payload = payload.stays_in_file && field.begin == payload.field.begin;
      const bool is_stale = payload.is_raw && field.number == kRawData && !is_payload &&
                            field.begin != payload.field.begin;
      if (rule == nullptr && !is_payload && !is_stale) continue;
      cursor_.copy(copied, field.begin, out);
      copied = field.end;
      if (is_payload) {
        append_segment(field, out);
      } else if (rule != nullptr && rule->action == FieldRule::kDescend) {
        append_bytes(field.number, rewrite(rule->child, field.value, field.end, depth + 1), out);
      } else if (rule != nullptr && rule->action == FieldRule::kRefuse) {
        throw Error(ErrorCode::kUnsupported,
                    source_.name() + " stores a tensor in segments, which ONNX has deprecated",
                    "load and save the model with a current version of the onnx package");
      }
      check_size(out.size());
    }
    check_size(out.size() + (end - copied));
    cursor_.copy(copied, end, out);
    return out;
  }

  // The field that holds a tensor's values.
  struct Payload {
    Field field{};
    bool is_raw = false;
    bool stays_in_file = false;
  };
  static constexpr uint32_t kFloatData = 4;
  static constexpr uint32_t kRawData = 9;
  static constexpr uint32_t kDoubleData = 10;

  // Packed floats and doubles lie in the file as raw_data does.
  Payload find_payload(uint64_t begin, uint64_t end) {
    Payload payload;
    int candidates = 0;
    for (uint64_t position = begin; position < end;) {
      const Field field = next_field(Message::kTensor, position, end);
      position = field.end;
      const bool is_raw = field.number == kRawData && field.wire_type == kBytes;
      if (is_raw) {
        payload.field = field;  // of several, the last counts
        payload.is_raw = true;
      } else if (field.number == kFloatData || field.number == kDoubleData) {
        ++candidates;
        if (!payload.is_raw && field.wire_type == kBytes) payload.field = field;
      }
    }
    payload.stays_in_file = (payload.is_raw || candidates == 1) &&
                            payload.field.end - payload.field.value > kInlinePayloadBytes;
    return payload;
  }

  static void append_segment(const Field& field, std::string& out) {
    std::string segment;
    append_varint(1 << 3 | kVarint, segment);
    append_varint(field.value, segment);
    append_varint(2 << 3 | kVarint, segment);
    append_varint(field.end, segment);
    append_bytes(3, segment, out);
  }

  void check_size(uint64_t size) const {
    if (size > INT_MAX) {
      throw Error(ErrorCode::kInvalid,
                  source_.name() + " is larger than 2 GiB even without its weights' raw data",
                  "save the model with external data, or with raw data instead of typed fields");
    }
  }

  const ByteSource& source_;
  Cursor cursor_;
  bool is_model_ = false;
};

}  // namespace

std::string strip(const ByteSource& source) { return Stripper(source).run(); }

}  // namespace cleave::onnx
