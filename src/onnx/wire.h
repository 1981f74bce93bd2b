// The model's file as protobuf wire format: read once, without its large payloads.
//
// A model may hold gigabytes of weights in TensorProto.raw_data. `strip` walks the nested messages
// by their lengths, skips what is large or of no use (documentation, training graphs) and returns
// the rest, small enough for libprotobuf to parse.
#pragma once

#include <cstdint>
#include <string>

#include "base/file.h"

namespace cleave::onnx {

// Payloads of tensors longer than this stay in the file.
inline constexpr uint64_t kInlinePayloadBytes = 1024;

// The serialized ModelProto of `source` with every large tensor payload (raw_data, or float_data or
// double_data in one packed piece) replaced by TensorProto.segment: `begin` is where the payload
// starts in the file, `end` where it ends.
// Error(kInvalid), each with a message of its own: an empty file, a file that is no ONNX model, one
// that is cut short, one that is damaged, one whose graph is too large.
// A model that uses `segment` itself (ONNX deprecates it) is Error(kUnsupported).
std::string strip(const ByteSource& source);

}  // namespace cleave::onnx
