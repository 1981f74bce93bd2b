// Ops of ONNX Runtime's domain com.microsoft, which its optimizer puts for several of ONNX's own:
// norms with what comes before them, activations with bias, products and convolutions with what
// comes behind them. Attention is in microsoft_attention.cc.
#include <array>
#include <numeric>

#include "onnx/converters.h"

namespace cleave::onnx {
namespace {

constexpr double kNormEpsilon = 1e-12;

Attributes norm_attributes(const Conversion& c) {
  return {{"axes", Dim(1)}, {"epsilon", c.real("epsilon", kNormEpsilon)}};
}

void refuse_statistics(const Conversion& c) {
  if (c.wants_output(1) || c.wants_output(2)) {
    throw Unsupported{"mean and deviation as results, which training has"};
  }
}

// The sum of input, skip and bias.
ir::ValueId skipped(Conversion& c, size_t bias) {
  const Shape& shape = c.type(0).shape;
  ir::ValueId sum = c.help("add", {c.input(0), c.broadcast(c.input(1), shape)});
  if (c.has_input(bias)) sum = c.help("add", {sum, c.broadcast(c.input(bias), shape)});
  return sum;
}

// input, skip, gamma, beta, bias → the norm, and behind mean and deviation the sum.
void skip_layer_normalization(Conversion& c) {
  refuse_statistics(c);
  const ir::ValueId sum = skipped(c, 4);
  std::vector<ir::ValueId> inputs{sum, c.input(2)};
  if (c.has_input(3)) inputs.push_back(c.input(3));
  c.output(0, c.emit("layer_norm", inputs, norm_attributes(c)));
  c.output(3, sum);
}

// input, skip, gamma, bias
void skip_simplified_layer_normalization(Conversion& c) {
  refuse_statistics(c);
  const ir::ValueId sum = skipped(c, 3);
  c.output(0, c.emit("rms_norm", {sum, c.input(2)}, norm_attributes(c)));
  c.output(3, sum);
}

ir::ValueId rows_of(Conversion& c, size_t table, size_t indices) {
  return c.help("gather", {c.input(table), c.input(indices)}, {{"axis", Dim(0)}});
}

// Without numbers of positions, row s is at position s.
ir::ValueId positions_of(Conversion& c, size_t table, const Shape& ids) {
  const ir::ValueId rows = c.part(c.input(table), Shape(2), {ids[1], c.type(table).shape[1]});
  return c.reshape(rows, {1, ids[1], c.type(table).shape[1]});
}

// How many elements of each row of a mask are 1.
ir::ValueId lengths_of(Conversion& c, size_t mask) {
  const ir::ValueId is_one = c.binary("equal", c.input(mask), 1.0);
  return c.help("reduce_sum", {c.cast(is_one, DType::kInt32)}, {{"axes", std::vector<Dim>{1}}});
}

// BERT's embeddings: those of words, positions and segments, their sum normalised.
void embed_layer_normalization(Conversion& c) {
  enum : size_t { kIds, kSegmentIds, kWords, kPositions, kSegments, kGamma, kBeta, kMask, kPlaces };
  if (c.rank(kIds) != 2 || c.rank(kPositions) != 2) {
    throw Error(ErrorCode::kInvalid, "EmbedLayerNormalization of " + c.type(kIds).text() +
                                         " with positions " + c.type(kPositions).text());
  }
  const Shape& ids = c.type(kIds).shape;
  ir::ValueId sum = rows_of(c, kWords, kIds);
  const Shape shape = c.shape_of(sum);
  const ir::ValueId positions =
      c.has_input(kPlaces) ? rows_of(c, kPositions, kPlaces) : positions_of(c, kPositions, ids);
  sum = c.help("add", {sum, c.broadcast(positions, shape)});
  if (c.has_input(kSegments)) {
    sum = c.help("add", {sum, c.broadcast(rows_of(c, kSegments, kSegmentIds), shape)});
  }
  c.output(0, c.emit("layer_norm", {sum, c.input(kGamma), c.input(kBeta)}, norm_attributes(c)));
  if (c.wants_output(1)) {
    c.output(1, c.has_input(kMask) ? lengths_of(c, kMask) : c.filled({DType::kInt32, {ids[0]}}, 0));
  }
  c.output(2, sum);
}

// op(x + bias)
Converter biased(std::string op) {
  return [op](Conversion& c) {
    ir::ValueId x = c.input(0);
    if (c.has_input(1)) x = c.help("add", {x, c.broadcast(c.input(1), c.type(0).shape)});
    c.output(0, c.emit(op, {x}));
  };
}

// x · sigmoid(alpha · x)
void quick_gelu(Conversion& c) {
  const double alpha = c.real("alpha", 1.702);
  const ir::ValueId x = c.input(0);
  if (alpha == 1.0) return c.output(0, c.emit("silu", {x}));
  c.output(0, c.emit("mul", {x, c.help("sigmoid", {c.binary("mul", x, alpha)})}));
}

// An operand of FusedMatMul: first `batch` brings the first dimension before the last, then
// `matrix` exchanges the last two.
ir::ValueId turned(Conversion& c, size_t input, bool matrix, bool batch) {
  const size_t rank = c.rank(input);
  std::vector<size_t> order(rank);
  std::iota(order.begin(), order.end(), size_t{0});
  if (rank < 2) return c.input(input);
  if (batch) std::rotate(order.begin(), order.begin() + 1, order.end() - 1);
  if (matrix) std::swap(order[rank - 1], order[rank - 2]);
  return c.transpose(c.input(input), order);
}

// alpha · a b
void fused_matmul(Conversion& c) {
  const auto operand = [&](size_t input, const char* matrix, const char* batch) {
    return turned(c, input, c.integer(matrix, 0) != 0, c.integer(batch, 0) != 0);
  };
  const ir::ValueId a = operand(0, "transA", "transBatchA");
  const ir::ValueId y = matrix_product(c, a, operand(1, "transB", "transBatchB"));
  const double alpha = c.real("alpha", 1.0);
  c.output(0, alpha == 1.0 ? y : c.binary("mul", y, alpha));
}

// The activation that an op of this domain applies to its result, with its parameters.
ir::ValueId activated(Conversion& c, ir::ValueId x, const std::string& activation,
                      const std::vector<double>& parameters) {
  const auto parameter = [&](size_t i, double otherwise) {
    return i < parameters.size() ? parameters[i] : otherwise;
  };
  const auto clamped = [&](ir::ValueId value, double low, double high) {
    return c.binary("min", c.binary("max", value, low), high);
  };
  if (activation.empty()) return x;
  if (activation == "Relu") return c.emit("relu", {x});
  if (activation == "Sigmoid") return c.emit("sigmoid", {x});
  if (activation == "Tanh") return c.emit("tanh", {x});
  if (activation == "LeakyRelu") {
    return c.emit("leaky_relu", {x}, {{"alpha", parameter(0, 0.01)}});
  }
  if (activation == "HardSigmoid") {
    const ir::ValueId scaled = c.binary("mul", x, parameter(0, 0.2));
    return clamped(c.binary("add", scaled, parameter(1, 0.5)), 0.0, 1.0);
  }
  if (activation == "Clip" && parameters.size() == 2) {
    return clamped(x, parameters[0], parameters[1]);
  }
  throw Unsupported{"the activation '" + activation + "'"};
}

// activation(Conv + z)
void fused_conv(Conversion& c) {
  ir::ValueId y = convolution(c);
  if (c.has_input(3)) y = c.binary("add", y, c.input(3));
  const auto parameters = c.real_list("activation_params");
  c.output(0,
           activated(c, y, c.string("activation", ""), parameters.value_or(std::vector<double>{})));
}

// activation(Gemm)
void fused_gemm(Conversion& c) {
  std::vector<double> parameters;
  for (const char* name : {"activation_alpha", "activation_beta", "activation_gamma"}) {
    if (c.has(name)) parameters.push_back(c.real(name));
  }
  c.output(0, activated(c, gemm_product(c), c.string("activation", ""), parameters));
}

}  // namespace

void add_microsoft_converters(ConverterTable& table) {
  const auto add = [&](std::string_view op, Converter converter) {
    table.add(kMicrosoft, op, 1, std::move(converter));
  };
  add("SkipLayerNormalization", skip_layer_normalization);
  add("SkipSimplifiedLayerNormalization", skip_simplified_layer_normalization);
  add("EmbedLayerNormalization", embed_layer_normalization);
  add("Gelu", biased("gelu"));
  add("BiasGelu", biased("gelu"));
  add("FastGelu", biased("gelu_tanh"));
  add("QuickGelu", quick_gelu);
  add("FusedMatMul", fused_matmul);
  add("FusedConv", fused_conv);
  add("FusedGemm", fused_gemm);
}

}  // namespace cleave::onnx
