#include "passes/index_form.h"

namespace cleave::passes {
namespace {

using Form = std::optional<IndexForm>;

Form of_iota(const ir::Node& iota, const Shape& shape) {
  IndexForm form{std::vector<int64_t>(shape.size(), 0), iota.attributes.dim("offset", 0)};
  const auto axis = static_cast<size_t>(iota.attributes.integer("axis"));
  if (!shape.at(axis).is(1)) form.coefficients[axis] = 1;
  return form;
}

Form of_broadcast(IndexForm form, const Shape& shape) {
  form.coefficients.insert(form.coefficients.begin(), shape.size() - form.coefficients.size(), 0);
  return form;
}

// Dimensions other than 1 must be the same, in the same order.
Form of_reshape(const IndexForm& form, const Shape& from, const Shape& to) {
  IndexForm result{std::vector<int64_t>(to.size(), 0), form.constant};
  size_t i = 0;
  for (size_t d = 0; d < to.size(); ++d) {
    if (to[d].is(1)) continue;
    while (i < from.size() && from[i].is(1)) ++i;
    if (i == from.size() || from[i] != to[d]) return {};
    result.coefficients[d] = form.coefficients[i++];
  }
  while (i < from.size() && from[i].is(1)) ++i;
  return i == from.size() ? Form(result) : Form();
}

Form of_sum(IndexForm a, const IndexForm& b, int64_t sign) {
  for (size_t d = 0; d < a.coefficients.size(); ++d) {
    a.coefficients[d] += sign * b.coefficients[d];
  }
  a.constant += Dim(sign) * b.constant;
  return a;
}

}  // namespace

Form index_form(const Rewriter& r, ir::ValueId value, int depth) {
  const Shape& shape = r.shape(value);
  if (const auto size = r.size(value)) {
    return IndexForm{std::vector<int64_t>(shape.size(), 0), *size};
  }
  const ir::Node* node = r.producer(value);
  if (node == nullptr || depth == 0) return {};
  if (node->op == "iota") return of_iota(*node, shape);
  const auto operand = [&](size_t i) { return index_form(r, node->inputs[i], depth - 1); };
  if (node->op == "broadcast" || node->op == "reshape" || node->op == "cast") {
    const auto form = operand(0);
    if (!form) return {};
    if (node->op == "broadcast") return of_broadcast(*form, shape);
    if (node->op == "reshape") return of_reshape(*form, r.shape(node->inputs[0]), shape);
    // Wide enough for indices: they come out as they went in.
    return size_of(r.type(value).dtype) >= 4 ? form : Form();
  }
  if (node->op != "add" && node->op != "sub") return {};
  const auto a = operand(0);
  const auto b = a ? operand(1) : Form();
  return b ? of_sum(*a, *b, node->op == "add" ? 1 : -1) : Form();
}

}  // namespace cleave::passes
