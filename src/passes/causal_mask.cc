#include "passes/causal_mask.h"

#include <algorithm>

#include "passes/index_form.h"
#include "passes/large_constant.h"

namespace cleave::passes {
namespace {

using ir::ValueId;
using Shift = std::optional<Dim>;

bool is_single(std::span<const Dim> dims) {
  return std::all_of(dims.begin(), dims.end(), [](const Dim& d) { return d.is(1); });
}

// The value behind broadcasts that do not stretch rows or columns.
ValueId matrix_source(const Rewriter& r, ValueId value) {
  while (const ir::Node* node = r.made_by(value, "broadcast")) {
    const Shape& from = r.shape(node->inputs[0]);
    const Shape& to = r.shape(value);
    if (from.size() < 2) break;
    const auto stretches = [&](size_t last) {
      return from[from.size() - last].is(1) && !to[to.size() - last].is(1);
    };
    if (stretches(1) || stretches(2)) break;
    value = node->inputs[0];
  }
  return value;
}

// Whether an element lets a row see a column; nullopt where it does neither clearly.
using Meaning = std::optional<bool> (*)(double element);

std::optional<bool> as_boolean(double element) { return element != 0; }

std::optional<bool> as_addend(double element) {
  if (element == 0) return true;
  return element <= kHiddenScore ? std::optional(false) : std::nullopt;
}

// The shift of a constant triangle.
Shift triangle_shift(const ir::Value& value, Meaning meaning) {
  const size_t rank = value.type.rank();
  if (rank < 2 || !is_single(std::span(value.type.shape).first(rank - 2))) return {};
  const auto tensor = readable_constant(value);
  if (!tensor || tensor->elements() == 0) return {};
  const int64_t columns = tensor->shape[rank - 1], rows = tensor->shape[rank - 2];
  int64_t seen = 0;  // by the first row
  while (seen < columns && meaning(tensor->get(seen)) == true) ++seen;
  const int64_t shift = seen - 1;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < columns; ++column) {
      const auto visible = meaning(tensor->get(row * columns + column));
      if (!visible || *visible != (column <= row + shift)) return {};
    }
  }
  return Dim(shift);
}

// Whether a reshape only adds or drops leading dimensions of size 1.
bool keeps_matrix(const Shape& from, const Shape& to) {
  return from.size() >= 2 && to.size() >= 2 && is_single(std::span(from).first(from.size() - 2)) &&
         is_single(std::span(to).first(to.size() - 2)) &&
         from[from.size() - 2] == to[to.size() - 2] && from.back() == to.back();
}

// The shift of a constant, or of what slices and reshapes leave of one.
Shift view_shift(const Rewriter& r, ValueId value, Meaning meaning) {
  if (r.graph().value(value).is_constant()) return triangle_shift(r.graph().value(value), meaning);
  const ir::Node* node = r.producer(value);
  const size_t rank = r.shape(value).size();
  if (node == nullptr || rank < 2) return {};
  if (node->op == "slice") {
    const std::vector<Dim>& begin = node->attributes.dims("begin");
    const std::vector<Dim>& step = node->attributes.dims("step");
    if (!is_single(step)) return {};
    const auto shift = view_shift(r, node->inputs[0], meaning);
    return shift ? Shift(*shift + begin[rank - 2] - begin[rank - 1]) : Shift();
  }
  if (node->op == "reshape") {
    if (!keeps_matrix(r.shape(node->inputs[0]), r.shape(value))) return {};
    return view_shift(r, node->inputs[0], meaning);
  }
  return {};
}

// A comparison's truth as Σ … + constant <= 0 over rows and columns.
std::optional<IndexForm> difference(const Rewriter& r, const ir::Node& node) {
  const bool is_less = node.op == "less" || node.op == "less_equal";
  if (!is_less && node.op != "greater" && node.op != "greater_equal") return {};
  const auto a = index_form(r, node.inputs[is_less ? 0 : 1]);
  const auto b = index_form(r, node.inputs[is_less ? 1 : 0]);
  if (!a || !b) return {};
  IndexForm form = *a;
  for (size_t d = 0; d < form.coefficients.size(); ++d) {
    form.coefficients[d] -= b->coefficients[d];
  }
  form.constant = form.constant - b->constant;
  if (node.op == "less" || node.op == "greater") form.constant += 1;
  return form;
}

// The shift of a comparison of indices; with `is_hidden`, of its opposite.
Shift comparison_shift(const Rewriter& r, const ir::Node& node, bool is_hidden) {
  const auto form = difference(r, node);
  if (!form || form->coefficients.size() < 2) return {};
  const size_t rank = form->coefficients.size();
  for (size_t d = 0; d + 2 < rank; ++d) {
    if (form->coefficients[d] != 0) return {};
  }
  const int64_t row = form->coefficients[rank - 2], column = form->coefficients[rank - 1];
  // column - row + c <= 0, or row - column + c <= 0, which holds where column > row + c - 1.
  if (!is_hidden && column == 1 && row == -1) return -form->constant;
  if (is_hidden && column == -1 && row == 1) return form->constant - 1;
  return {};
}

Shift boolean_shift(const Rewriter& r, ValueId mask, bool is_hidden, int depth = 8) {
  mask = matrix_source(r, mask);
  const ir::Node* node = r.producer(mask);
  if (node != nullptr && depth > 0) {
    if (node->op == "not") return boolean_shift(r, node->inputs[0], !is_hidden, depth - 1);
    if (const auto shift = comparison_shift(r, *node, is_hidden)) return shift;
    if (node->op == "cast" && r.type(node->inputs[0]).dtype != DType::kBool) {
      return is_hidden ? Shift() : view_shift(r, node->inputs[0], as_boolean);
    }
    if (node->op == "reshape" && r.producer(node->inputs[0]) != nullptr &&
        keeps_matrix(r.shape(node->inputs[0]), r.shape(mask))) {
      return boolean_shift(r, node->inputs[0], is_hidden, depth - 1);
    }
  }
  const Meaning opposite = [](double element) { return std::optional(element == 0); };
  return view_shift(r, mask, is_hidden ? opposite : as_boolean);
}

}  // namespace

Shift causal_shift(const Rewriter& r, ValueId mask) { return boolean_shift(r, mask, false); }

Shift hidden_causal_shift(const Rewriter& r, ValueId mask) { return boolean_shift(r, mask, true); }

Shift additive_causal_shift(const Rewriter& r, ValueId mask) {
  mask = matrix_source(r, mask);
  if (const ir::Node* where = r.made_by(mask, "where")) {
    const auto yes = r.scalar(where->inputs[1]), no = r.scalar(where->inputs[2]);
    if (!yes || !no) return {};
    const bool is_visible = *yes == 0 && *no <= kHiddenScore;
    const bool is_hidden = *no == 0 && *yes <= kHiddenScore;
    if (!is_visible && !is_hidden) return {};
    return boolean_shift(r, where->inputs[0], is_hidden);
  }
  return view_shift(r, mask, as_addend);
}

}  // namespace cleave::passes
