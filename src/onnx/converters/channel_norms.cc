// Normalisations by channel: BatchNormalization, InstanceNormalization, GroupNormalization.
#include "onnx/converters.h"

namespace cleave::onnx {
namespace {

void require_channels(const Conversion& c) {
  if (c.rank(0) < 2) {
    throw Error(ErrorCode::kInvalid,
                "the operand is " + c.type(0).text() + ", but must be [n, c, image...]");
  }
}

// Scale, bias, mean or variance: one element a channel, as the type that is computed in.
ir::ValueId channel_parameter(Conversion& c, size_t input, DType computed) {
  if (c.rank(input) != 1) {
    throw Error(ErrorCode::kInvalid, "the input " + std::to_string(input) + " is " +
                                         c.type(input).text() + ", not one element a channel");
  }
  c.require_equal(c.type(input).shape[0], c.type(0).shape[1],
                  "the elements of input " + std::to_string(input) + " and the channels");
  return c.cast(c.input(input), computed);
}

bool is_training(const Conversion& c) {
  if (c.version() >= 14) return c.integer("training_mode", 0) != 0;
  for (size_t i = 1; i < c.output_count(); ++i) {
    if (c.wants_output(i)) return true;
  }
  return false;
}

// x · factor + shift, factor = scale / √(variance + ε) and shift = bias − mean · factor: both are
// folded where the parameters are constants.
void batch_normalization(Conversion& c) {
  require_channels(c);
  if (is_training(c)) {
    throw Unsupported{"training mode: statistics of the batch are not kept; export for inference"};
  }
  if (c.version() < 9 && c.integer("spatial", 1) == 0) throw Unsupported{"spatial=0"};
  const DType dtype = c.type(0).dtype;
  const DType computed = dtype == DType::kFloat64 ? dtype : DType::kFloat32;
  const auto parameter = [&](size_t input) { return channel_parameter(c, input, computed); };
  const ir::ValueId variance = parameter(4);
  const ir::ValueId epsilon = c.filled(c.type_of(variance), c.real("epsilon", 1e-5));
  const ir::ValueId inverse = c.help("rsqrt", {c.help("add", {variance, epsilon})});
  const ir::ValueId factor = c.help("mul", {parameter(1), inverse});
  const ir::ValueId shift = c.help("sub", {parameter(2), c.help("mul", {parameter(3), factor})});
  Shape kept(c.rank(0) - 1, 1);
  kept[0] = c.shape_of(factor)[0];
  const auto spread = [&](ir::ValueId value) {
    return c.broadcast(c.reshape(value, kept), c.type(0).shape);
  };
  const ir::ValueId scaled = c.emit("mul", {c.cast(c.input(0), computed), spread(factor)});
  c.output(0, c.cast(c.help("add", {scaled, spread(shift)}), dtype));
}

void instance_normalization(Conversion& c) {
  require_channels(c);
  c.output(0, c.emit("group_norm", {c.input(0), c.input(1), c.input(2)},
                     {{"group_channels", Dim(1)}, {"epsilon", c.real("epsilon", 1e-5)}}));
}

// Before 21, scale and bias have one element a group.
void group_normalization(Conversion& c) {
  require_channels(c);
  const int64_t groups = c.integer("num_groups");
  if (groups < 1) {
    throw Error(ErrorCode::kInvalid, "the attribute 'num_groups' is " + std::to_string(groups));
  }
  const Dim& channels = c.type(0).shape[1];
  const Dim each = floor_div(channels, groups);
  c.require_equal(each * groups, channels, "the channels of all groups and the channels");
  const auto parameter = [&](size_t input) {
    const ir::ValueId value = c.input(input);
    if (c.version() >= 21) return value;
    return c.reshape(c.broadcast(c.reshape(value, {groups, 1}), {groups, each}), {channels});
  };
  c.output(0, c.emit("group_norm", {c.input(0), parameter(1), parameter(2)},
                     {{"group_channels", each}, {"epsilon", c.real("epsilon", 1e-5)}}));
}

}  // namespace

void add_channel_norm_converters(ConverterTable& table) {
  table.add("BatchNormalization", 7, batch_normalization);
  table.add("InstanceNormalization", 1, instance_normalization);
  table.add("GroupNormalization", 18, group_normalization);
}

}  // namespace cleave::onnx
