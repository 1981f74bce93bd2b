#include "passes/hard_gates.h"

#include <cmath>

namespace cleave::passes {
namespace {

using ir::ValueId;

constexpr int kMostOps = 8;  // of a line

// scale · value + shift
struct Line {
  ValueId value;
  double scale = 1;
  double shift = 0;
};

// Takes the op that makes the line's value into the line, where that is affine with numbers.
bool peel(const Rewriter& r, Line& line) {
  const ir::Node* node = r.producer(line.value);
  if (node == nullptr || node->inputs.size() != 2) return false;
  const std::string& op = node->op;
  if (op != "add" && op != "sub" && op != "mul" && op != "div") return false;
  for (size_t i = 0; i < 2; ++i) {
    const auto number = r.scalar(node->inputs[i]);
    if (!number) continue;
    if (op == "div" && (i == 0 || *number == 0)) return false;
    if (op == "mul") line.scale *= *number;
    if (op == "div") line.scale /= *number;
    if (op == "add") line.shift += line.scale * *number;
    if (op == "sub") line.shift += line.scale * (i == 0 ? *number : -*number);
    if (op == "sub" && i == 0) line.scale = -line.scale;
    line.value = node->inputs[1 - i];
    return true;
  }
  return false;
}

struct Bound {
  ValueId value;
  double number;
};

std::optional<Bound> bound_of(const Rewriter& r, ValueId value, std::string_view op) {
  if (op == "max") {
    if (const ir::Node* relu = r.made_by(value, "relu")) return Bound{relu->inputs[0], 0};
  }
  const ir::Node* node = r.made_by(value, op);
  if (node == nullptr) return {};
  for (size_t i = 0; i < 2; ++i) {
    if (const auto number = r.scalar(node->inputs[i])) return Bound{node->inputs[1 - i], *number};
  }
  return {};
}

// min(max(value, low), high), where low < high: the order is all the same.
struct Clamp {
  ValueId value;
  double low, high;
};

std::optional<Clamp> clamp_of(const Rewriter& r, ValueId value) {
  for (const bool is_min_last : {true, false}) {
    const auto outer = bound_of(r, value, is_min_last ? "min" : "max");
    const auto inner = outer ? bound_of(r, outer->value, is_min_last ? "max" : "min") : outer;
    if (!inner) continue;
    const Clamp clamp{inner->value, is_min_last ? inner->number : outer->number,
                      is_min_last ? outer->number : inner->number};
    if (clamp.low < clamp.high) return clamp;
  }
  return {};
}

}  // namespace

std::vector<HardGate> hard_gates(const Rewriter& r, ValueId value, double coefficient) {
  const DType dtype = r.type(value).dtype;
  const double tolerance = dtype == DType::kBFloat16  ? 8e-3
                           : dtype == DType::kFloat16 ? 1e-3
                                                      : 1e-6;
  const auto is_near = [&](double a, double b) { return std::abs(a - b) <= tolerance; };
  Line line{value, coefficient, 0};
  auto clamp = clamp_of(r, value);
  for (int i = 0; !clamp && i < kMostOps && peel(r, line); ++i) clamp = clamp_of(r, line.value);
  std::vector<HardGate> gates;
  if (!clamp) {
    const ir::Node* gate = r.made_by(line.value, "hard_sigmoid");
    if (gate == nullptr || !is_near(line.scale, 1) || line.shift != 0) return {};
    return {{gate->inputs[0], gate->attributes.real("alpha")}};
  }
  if (!is_near(line.scale * clamp->low + line.shift, 0) ||
      !is_near(line.scale * clamp->high + line.shift, 1)) {
    return {};
  }
  line.value = clamp->value;
  for (int i = 0; i < kMostOps; ++i) {
    if (is_near(line.shift, 0.5)) gates.push_back({line.value, line.scale});
    if (!peel(r, line)) break;
  }
  return gates;
}

}  // namespace cleave::passes
