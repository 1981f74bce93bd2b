#include "program/metadata.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include "base/check.h"
#include "engine.pb.h"

namespace cleave::program {
namespace {

[[noreturn]] void malformed(const std::string& what) {
  throw Error(ErrorCode::kInvalid, "the engine's metadata is malformed: " + what);
}

void encode(const std::vector<Dim>& dims, google::protobuf::RepeatedPtrField<std::string>& into) {
  for (const Dim& dim : dims) into.Add(dim.text());
}

std::vector<Dim> decode(const google::protobuf::RepeatedPtrField<std::string>& texts) {
  std::vector<Dim> dims;
  for (const std::string& text : texts) dims.push_back(Dim::parse(text));
  return dims;
}

void encode(const TensorType& type, engine::TensorType& into) {
  into.set_dtype(static_cast<uint32_t>(type.dtype));
  encode(type.shape, *into.mutable_shape());
}

DType decode_dtype(uint32_t number) {
  if (number > static_cast<uint32_t>(DType::kBool)) {
    malformed("there is no element type " + std::to_string(number));
  }
  return static_cast<DType>(number);
}

TensorType decode(const engine::TensorType& from) {
  return {decode_dtype(from.dtype()), decode(from.shape())};
}

void encode(const Operand& operand, engine::Operand& into) {
  into.set_space(static_cast<uint32_t>(operand.space));
  into.set_index(operand.index);
  into.set_offset(operand.offset);
  encode(operand.type, *into.mutable_type());
  into.set_element_offset(operand.element_offset.text());
  encode(operand.strides, *into.mutable_strides());
}

Operand decode(const engine::Operand& from) {
  if (from.space() > static_cast<uint32_t>(Space::kOutput)) {
    malformed("there is no operand space " + std::to_string(from.space()));
  }
  Operand operand;
  operand.space = static_cast<Space>(from.space());
  operand.index = from.index();
  operand.offset = from.offset();
  operand.type = decode(from.type());
  operand.element_offset = Dim::parse(from.element_offset());
  operand.strides = decode(from.strides());
  return operand;
}

std::string encode(const layout::Placement& placement) {
  return placement.is_replicate() ? "" : placement.text();
}

layout::Placement decode_placement(const std::string& text) {
  return text.empty() ? layout::Placement::replicate() : layout::Placement::parse(text);
}

void encode(const ModelTensor& tensor, engine::ModelTensor& into) {
  into.set_name(tensor.name);
  encode(tensor.type, *into.mutable_type());
  into.set_placement(encode(tensor.placement));
}

void encode(const Instruction& instruction, engine::Instruction& into) {
  into.set_op(instruction.op);
  into.set_name(instruction.name);
  into.set_attributes(instruction.attributes.text());
  for (const Operand& input : instruction.inputs) encode(input, *into.add_inputs());
  for (const Operand& output : instruction.outputs) encode(output, *into.add_outputs());
  for (const ModelTensor& tensor : instruction.tensors) encode(tensor, *into.add_tensors());
  into.set_predicted_us(instruction.predicted_us);
}

Instruction decode(const engine::Instruction& from) {
  Instruction instruction;
  instruction.op = from.op();
  instruction.name = from.name();
  if (!from.attributes().empty()) {
    size_t position = 0;
    instruction.attributes = Attributes::parse(from.attributes(), position);
    if (position != from.attributes().size()) malformed("text follows an attribute list");
  }
  for (const engine::Operand& input : from.inputs()) instruction.inputs.push_back(decode(input));
  for (const engine::Operand& output : from.outputs()) {
    instruction.outputs.push_back(decode(output));
  }
  for (const engine::ModelTensor& tensor : from.tensors()) {
    instruction.tensors.push_back(
        {tensor.name(), decode(tensor.type()), decode_placement(tensor.placement())});
  }
  instruction.predicted_us = from.predicted_us();
  return instruction;
}

void encode(const Noise& noise, engine::Noise& into) {
  for (const DType type : noise.types) into.add_types(static_cast<uint32_t>(type));
  for (const NoiseBox& box : noise.boxes) {
    engine::NoiseBox& added = *into.add_boxes();
    added.mutable_begin()->Add(box.begin.begin(), box.begin.end());
    added.mutable_extent()->Add(box.extent.begin(), box.extent.end());
    added.set_seed(box.seed);
    added.set_scale(box.scale);
    added.set_first(box.first);
    added.mutable_strides()->Add(box.strides.begin(), box.strides.end());
  }
}

Noise decode(const engine::Noise& from) {
  Noise noise;
  for (const uint32_t type : from.types()) noise.types.push_back(decode_dtype(type));
  for (const engine::NoiseBox& box : from.boxes()) {
    noise.boxes.push_back({.begin = {box.begin().begin(), box.begin().end()},
                           .extent = {box.extent().begin(), box.extent().end()},
                           .seed = box.seed(),
                           .scale = box.scale(),
                           .first = box.first(),
                           .strides = {box.strides().begin(), box.strides().end()}});
  }
  return noise;
}

void encode(const Weight& weight, engine::Weight& into) {
  into.set_name(weight.name);
  into.set_dtype(static_cast<uint32_t>(weight.dtype));
  for (const std::vector<int64_t>& shape : weight.shapes) {
    into.add_shapes()->mutable_extents()->Add(shape.begin(), shape.end());
  }
  for (const WeightSlice& slice : weight.slices) {
    engine::WeightSlice& added = *into.add_slices();
    added.set_offset(slice.offset);
    added.set_bytes(slice.bytes);
  }
  into.set_placement(encode(weight.placement));
  for (const Noise& noise : weight.noise) encode(noise, *into.add_noise());
}

Weight decode(const engine::Weight& from) {
  Weight weight;
  weight.name = from.name();
  weight.dtype = decode_dtype(from.dtype());
  for (const engine::WeightShape& shape : from.shapes()) {
    weight.shapes.emplace_back(shape.extents().begin(), shape.extents().end());
  }
  for (const engine::WeightSlice& slice : from.slices()) {
    weight.slices.push_back({slice.offset(), slice.bytes()});
  }
  weight.placement = decode_placement(from.placement());
  for (const engine::Noise& noise : from.noise()) weight.noise.push_back(decode(noise));
  return weight;
}

void encode(const Program& program, engine::Program& into) {
  for (const Symbol& symbol : program.symbols) {
    engine::Symbol& added = *into.add_symbols();
    added.set_name(symbol.name);
    added.set_min(symbol.min);
    added.set_opt(symbol.opt);
    added.set_max(symbol.max);
  }
  for (const SizeGuard& guard : program.guards) {
    engine::SizeGuard& added = *into.add_guards();
    added.set_a(guard.a.text());
    added.set_b(guard.b.text());
    added.set_where(guard.where);
  }
  for (const Segment& segment : program.segments) {
    engine::Segment& added = *into.add_segments();
    for (const Instruction& instruction : segment.instructions) {
      encode(instruction, *added.add_instructions());
    }
  }
  into.set_arena_bytes(program.arena_bytes);
  into.set_workspace_bytes(program.workspace_bytes);
  into.set_predicted_us(program.predicted_us);
  into.set_unsplit_us(program.unsplit_us);
}

Program decode(const engine::Program& from) {
  Program program;
  for (const engine::Symbol& symbol : from.symbols()) {
    program.symbols.push_back({symbol.name(), symbol.min(), symbol.opt(), symbol.max()});
  }
  for (const engine::SizeGuard& guard : from.guards()) {
    program.guards.push_back({Dim::parse(guard.a()), Dim::parse(guard.b()), guard.where()});
  }
  for (const engine::Segment& segment : from.segments()) {
    Segment& added = program.segments.emplace_back();
    for (const engine::Instruction& instruction : segment.instructions()) {
      added.instructions.push_back(decode(instruction));
    }
  }
  program.arena_bytes = from.arena_bytes();
  program.workspace_bytes = from.workspace_bytes();
  program.predicted_us = from.predicted_us();
  program.unsplit_us = from.unsplit_us();
  return program;
}

void encode(const Binding& binding, engine::Binding& into) {
  into.set_name(binding.name);
  encode(binding.type, *into.mutable_type());
}

}  // namespace

std::string encode_metadata(const EngineData& data) {
  engine::Metadata message;
  message.set_backend(data.backend);
  message.set_ranks(data.ranks);
  for (const Binding& input : data.inputs) encode(input, *message.add_inputs());
  for (const Binding& output : data.outputs) encode(output, *message.add_outputs());
  for (const Weight& weight : data.weights) encode(weight, *message.add_weights());
  for (const Program& program : data.programs) encode(program, *message.add_programs());
  message.mutable_memory_bytes()->Add(data.memory_bytes.begin(), data.memory_bytes.end());
  message.set_plan_json(data.plan_json);

  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    CLEAVE_CHECK(message.SerializeToCodedStream(&coded), "the engine's metadata cannot be encoded");
  }
  return bytes;
}

EngineData decode_metadata(std::string_view bytes) {
  engine::Metadata message;
  // No message holds itself, so the parser's depth is bounded by the schema.
  if (bytes.size() > INT32_MAX ||
      !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    malformed("it cannot be parsed");
  }
  EngineData data;
  data.backend = message.backend();
  data.ranks = message.ranks();
  for (const engine::Binding& input : message.inputs()) {
    data.inputs.push_back({input.name(), decode(input.type())});
  }
  for (const engine::Binding& output : message.outputs()) {
    data.outputs.push_back({output.name(), decode(output.type())});
  }
  for (const engine::Weight& weight : message.weights()) data.weights.push_back(decode(weight));
  for (const engine::Program& program : message.programs()) {
    data.programs.push_back(decode(program));
  }
  data.memory_bytes.assign(message.memory_bytes().begin(), message.memory_bytes().end());
  data.plan_json = message.plan_json();
  return data;
}

}  // namespace cleave::program
