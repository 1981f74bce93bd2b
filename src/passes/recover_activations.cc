#include "passes/recover_activations.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "passes/hard_gates.h"
#include "passes/rewriter.h"

namespace cleave::passes {
namespace {

using ir::ValueId;

// Coefficients of x⁰ … x³.
using Polynomial = std::array<double, 4>;

std::optional<Polynomial> product_of(const Polynomial& a, const Polynomial& b) {
  Polynomial result{};
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t j = 0; j < b.size(); ++j) {
      const double term = a[i] * b[j];
      if (term == 0) continue;
      if (i + j >= result.size()) return {};
      result[i + j] += term;
    }
  }
  return result;
}

// `value` as a polynomial in x.
std::optional<Polynomial> polynomial(const Rewriter& r, ValueId value, ValueId x, int depth = 12) {
  if (value == x) return Polynomial{0, 1, 0, 0};
  if (const auto number = r.scalar(value)) return Polynomial{*number, 0, 0, 0};
  const ir::Node* node = r.producer(value);
  if (node == nullptr || depth == 0) return {};
  const auto of = [&](size_t i) { return polynomial(r, node->inputs[i], x, depth - 1); };
  if (node->op == "neg") {
    const auto a = of(0);
    return a ? product_of(*a, {-1, 0, 0, 0}) : std::nullopt;
  }
  if (node->op == "pow") {
    const auto a = of(0);
    const auto exponent = r.scalar(node->inputs[1]);
    if (!a || (exponent != 2.0 && exponent != 3.0)) return {};
    const auto square = product_of(*a, *a);
    return square && exponent == 3.0 ? product_of(*square, *a) : square;
  }
  if (node->op == "div") {
    const auto a = of(0);
    const auto divisor = r.scalar(node->inputs[1]);
    if (!a || !divisor || *divisor == 0) return {};
    return product_of(*a, {1 / *divisor, 0, 0, 0});
  }
  if (node->op != "mul" && node->op != "add" && node->op != "sub") return {};
  const auto a = of(0);
  const auto b = a ? of(1) : std::nullopt;
  if (!b) return {};
  if (node->op == "mul") return product_of(*a, *b);
  Polynomial sum = *a;
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += node->op == "add" ? (*b)[i] : -(*b)[i];
  return sum;
}

bool is_near(double a, double b, DType dtype) {
  const double tolerance = dtype == DType::kBFloat16  ? 1.6e-2
                           : dtype == DType::kFloat16 ? 2e-3
                                                      : 2e-6;
  return std::abs(a - b) <= tolerance * std::abs(b);
}

bool is_near(const Polynomial& a, const Polynomial& b, DType dtype) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (!is_near(a[i], b[i], dtype)) return false;
  }
  return true;
}

// coefficient · factors[0] · factors[1] …
struct Product {
  double coefficient = 1;
  std::vector<ValueId> factors;
};

// Takes apart what only the product reads.
void collect(const Rewriter& r, ValueId value, bool is_root, Product& into, int depth = 8) {
  if (const auto number = r.scalar(value)) {
    into.coefficient *= *number;
    return;
  }
  const ir::Node* node = is_root || r.use_count(value) == 1 ? r.producer(value) : nullptr;
  if (node != nullptr && depth > 0 && node->op == "mul") {
    collect(r, node->inputs[0], false, into, depth - 1);
    collect(r, node->inputs[1], false, into, depth - 1);
    return;
  }
  if (node != nullptr && depth > 0 && node->op == "div") {
    const auto divisor = r.scalar(node->inputs[1]);
    if (divisor && *divisor != 0) {
      into.coefficient /= *divisor;
      collect(r, node->inputs[0], false, into, depth - 1);
      return;
    }
  }
  into.factors.push_back(value);
}

// scale · function(argument) + shift
struct Gate {
  std::string function;
  ValueId argument;
  double scale = 1;
  double shift = 0;
};

std::optional<Gate> gate_of(const Rewriter& r, ValueId value, int depth = 6) {
  const ir::Node* node = r.producer(value);
  if (node == nullptr || depth == 0) return {};
  if (node->op == "erf" || node->op == "tanh" || node->op == "sigmoid") {
    return Gate{node->op, node->inputs[0]};
  }
  if (node->op != "add" && node->op != "mul") return {};
  for (size_t i = 0; i < 2; ++i) {
    const auto number = r.scalar(node->inputs[i]);
    if (!number) continue;
    auto gate = gate_of(r, node->inputs[1 - i], depth - 1);
    if (!gate) return {};
    if (node->op == "add") {
      gate->shift += *number;
    } else {
      gate->scale *= *number;
      gate->shift *= *number;
    }
    return gate;
  }
  return {};
}

// The name of coefficient · x · gate; empty where it has none.
std::string_view name_of(const Rewriter& r, double coefficient, ValueId x, const Gate& gate) {
  const DType dtype = r.type(x).dtype;
  if (gate.function == "sigmoid" && gate.argument == x && gate.shift == 0 &&
      coefficient * gate.scale == 1) {
    return "silu";
  }
  const auto argument = polynomial(r, gate.argument, x);
  if (!argument) return "";
  const double scale = coefficient * gate.scale, shift = coefficient * gate.shift;
  const double c = std::sqrt(2 / std::numbers::pi);
  if (gate.function == "sigmoid") {  // ½(1 + tanh(u)) = sigmoid(2u)
    const bool is_gelu = is_near(scale, 1, dtype) && shift == 0 &&
                         is_near(*argument, {0, 2 * c, 0, 2 * c * 0.044715}, dtype);
    return is_gelu ? "gelu_tanh" : "";
  }
  if (!is_near(scale, 0.5, dtype) || !is_near(shift, 0.5, dtype)) return "";
  if (gate.function == "erf") {
    return is_near(*argument, {0, std::numbers::sqrt2 / 2, 0, 0}, dtype) ? "gelu" : "";
  }
  return is_near(*argument, {0, c, 0, c * 0.044715}, dtype) ? "gelu_tanh" : "";
}

// Whether coefficient · gate is x's of hard_swish.
bool is_hard_swish_gate(const Rewriter& r, double coefficient, ValueId x, ValueId gate) {
  const std::vector<HardGate> gates = hard_gates(r, gate, coefficient);
  return std::any_of(gates.begin(), gates.end(), [&](const HardGate& g) {
    return g.argument == x && is_near(g.alpha, 1.0 / 6, r.type(x).dtype);
  });
}

bool recover_product(Rewriter& r, ir::NodeId id) {
  const ir::Node& node = r.graph().node(id);
  if (node.op != "mul" && node.op != "div") return false;
  const ValueId root = node.outputs[0];
  if (!is_floating(r.type(root).dtype)) return false;
  Product parts;
  collect(r, root, true, parts);
  if (parts.factors.size() != 2) return false;
  for (size_t i = 0; i < 2; ++i) {
    const ValueId x = parts.factors[i];
    const ValueId factor = parts.factors[1 - i];
    if (r.type(x) != r.type(root)) continue;
    std::string_view name;
    if (const auto gate = gate_of(r, factor)) name = name_of(r, parts.coefficient, x, *gate);
    if (is_hard_swish_gate(r, parts.coefficient, x, factor)) name = "hard_swish";
    const ValueId leaves[] = {x};
    if (name.empty() || !r.is_closed(root, leaves)) continue;
    return r.replace(root, r.add_for(root, name, {}, {x}));
  }
  return false;
}

bool recover_hard_sigmoid(Rewriter& r, ir::NodeId id) {
  const ir::Node& node = r.graph().node(id);
  if (node.outputs.size() != 1 || !is_floating(r.type(node.outputs[0]).dtype)) return false;
  const ValueId root = node.outputs[0];
  if (r.made_by(root, "hard_sigmoid") != nullptr) return false;
  const std::vector<HardGate> gates = hard_gates(r, root);
  // The farthest argument leaves the fewest ops.
  for (size_t i = gates.size(); i-- > 0;) {
    const ValueId leaves[] = {gates[i].argument};
    if (r.type(leaves[0]) != r.type(root) || !r.is_closed(root, leaves)) continue;
    const Attributes alpha{{"alpha", gates[i].alpha}};
    return r.replace(root, r.add_for(root, "hard_sigmoid", alpha, {leaves[0]}));
  }
  return false;
}

bool recover(Rewriter& r, ir::NodeId id) {
  return recover_product(r, id) || recover_hard_sigmoid(r, id);
}

}  // namespace

bool recover_activations(ir::Graph& graph, const ops::Registry& registry) {
  return rewrite_nodes(graph, registry, recover);
}

}  // namespace cleave::passes
