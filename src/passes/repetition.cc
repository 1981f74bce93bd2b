#include "passes/repetition.h"

#include <algorithm>

#include "passes/large_constant.h"

namespace cleave::passes {
namespace {

using ir::ValueId;

bool constant_repeats(const ir::Value& value, Repetition pattern) {
  const auto tensor = readable_constant(value);
  if (!tensor || tensor->shape.empty()) return false;
  const int64_t columns = tensor->shape.back();
  if (columns % 2 != 0) return false;
  const int64_t half = columns / 2;
  const auto size = static_cast<int64_t>(size_of(tensor->dtype));
  const auto equal = [&](int64_t a, int64_t b) {
    const std::byte* bytes = tensor->bytes.data();
    return std::equal(bytes + a * size, bytes + (a + 1) * size, bytes + b * size);
  };
  const int64_t rows = columns == 0 ? 0 : tensor->elements() / columns;
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t start = row * columns;
    for (int64_t i = 0; i < half; ++i) {
      const bool same = pattern == Repetition::kHalves ? equal(start + i, start + i + half)
                                                       : equal(start + 2 * i, start + 2 * i + 1);
      if (!same) return false;
    }
  }
  return true;
}

class Prover {
 public:
  Prover(const Rewriter& rewriter, Repetition pattern) : r_(rewriter), pattern_(pattern) {}

  bool repeats(ValueId value, int depth = 32) const {
    const Shape& shape = r_.shape(value);
    if (shape.empty() || shape.back().is(1)) return true;  // spread over the dimension
    if (r_.graph().value(value).is_constant()) {
      return constant_repeats(r_.graph().value(value), pattern_);
    }
    const ir::Node* node = r_.producer(value);
    if (node == nullptr || depth == 0 || !exact_div(shape.back(), 2)) return false;
    const auto operand = [&](size_t i) { return repeats(node->inputs[i], depth - 1); };
    const std::string& op = node->op;
    const Dim& last = shape.back();
    const auto keeps_last = [&] { return r_.shape(node->inputs[0]).back() == last; };
    if (op == "concat") return is_doubled(*node, shape.size());
    if (op == "broadcast") return operand(0);
    if (op == "reshape")
      return reshape_repeats(*node, shape) || (has_rows(*node, last) && operand(0));
    if (op == "transpose") {
      const auto from = static_cast<size_t>(node->attributes.dims("perm").back().constant());
      return from + 1 == shape.size() && operand(0);
    }
    if (op == "slice" || op == "split") {
      const bool is_whole =
          keeps_last() && (op == "split" || node->attributes.dims("step").back().is(1));
      return is_whole && operand(0);
    }
    if (op == "gather") {
      const auto axis = static_cast<size_t>(node->attributes.integer("axis"));
      return axis + 1 < r_.shape(node->inputs[0]).size() && operand(0);
    }
    if (op != "cast" && !r_.registry().at(op).is_elementwise()) return false;
    for (size_t i = 0; i < node->inputs.size(); ++i) {
      if (!operand(i)) return false;
    }
    return !node->inputs.empty();
  }

 private:
  bool is_doubled(const ir::Node& concat, size_t rank) const {
    return pattern_ == Repetition::kHalves && concat.inputs.size() == 2 &&
           concat.inputs[0] == concat.inputs[1] &&
           static_cast<size_t>(concat.attributes.integer("axis")) + 1 == rank;
  }

  // The reshape keeps rows as they are.
  bool has_rows(const ir::Node& reshape, const Dim& last) const {
    const Shape& from = r_.shape(reshape.inputs[0]);
    return !from.empty() && from.back() == last;
  }

  // [.., n/2, 1] spread to [.., n/2, 2], or [.., 1, n/2] to [.., 2, n/2], and then joined.
  bool reshape_repeats(const ir::Node& reshape, const Shape& to) const {
    const ir::Node* broadcast = r_.made_by(reshape.inputs[0], "broadcast");
    if (broadcast == nullptr) return false;
    const Shape& wide = r_.shape(reshape.inputs[0]);
    const Shape& narrow = r_.shape(broadcast->inputs[0]);
    if (wide.size() != to.size() + 1 || narrow.size() != wide.size()) return false;
    const size_t spread = wide.size() - (pattern_ == Repetition::kPairs ? 1 : 2);
    return wide[spread].is(2) && narrow[spread].is(1) &&
           wide[wide.size() - 1] * wide[wide.size() - 2] == to.back();
  }

  const Rewriter& r_;
  Repetition pattern_;
};

}  // namespace

bool repeats(const Rewriter& rewriter, ir::ValueId value, Repetition pattern) {
  return Prover(rewriter, pattern).repeats(value);
}

}  // namespace cleave::passes
