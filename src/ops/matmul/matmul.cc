// matmul: the matrix product, batched, with either operand transposed.
#include "ops/matmul/reference.h"
#include "ops/operands.h"

namespace cleave::ops {
namespace {

using layout::Factor;
using layout::OperandFactors;
using layout::ShardingRule;

// Which dimensions of the operands are which.
struct Shapes {
  bool transpose_a;
  bool transpose_b;
  bool shared_b;   // b is one matrix for all of a's leading dimensions
  size_t leading;  // how many leading dimensions a has
  Dim m, n, k_of_a, k_of_b;

  explicit Shapes(const OpContext& context) {
    const Shape& a = context.inputs[0].shape;
    const Shape& b = context.inputs[1].shape;
    transpose_a = context.attributes.integer("transpose_a", 0) != 0;
    transpose_b = context.attributes.integer("transpose_b", 0) != 0;
    shared_b = b.size() == 2;
    leading = a.size() - 2;
    m = a[leading + (transpose_a ? 1 : 0)];
    k_of_a = a[leading + (transpose_a ? 0 : 1)];
    k_of_b = b[b.size() - (transpose_b ? 1 : 2)];
    n = b[b.size() - (transpose_b ? 2 : 1)];
  }
};

class MatMul : public OpDefinition {
 public:
  std::string_view name() const override { return "matmul"; }

  std::vector<AttributeField> fields() const override {
    return {{"transpose_a", AttributeField::Kind::kDim, false},
            {"transpose_b", AttributeField::Kind::kDim, false},
            {"tf32", AttributeField::Kind::kDim, false}};
  }

  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 2, 2);
    const TensorType& a = context.inputs[0];
    const TensorType& b = context.inputs[1];
    require_same_dtype(a, b, "the operands of a matrix product");
    if (a.dtype == DType::kBool) invalid("a matrix product of booleans has no meaning");
    if (a.rank() < 2 || b.rank() < 2 || (b.rank() != 2 && b.rank() != a.rank())) {
      invalid("matmul cannot multiply " + a.text() + " by " + b.text(),
              "both need two dimensions or more, and b as many as a or two");
    }
    const Shapes shapes(context);
    context.require_equal(shapes.k_of_a, shapes.k_of_b,
                          "the inner dimensions of " + a.text() + " times " + b.text());
    TensorType out{a.dtype, {}};
    for (size_t d = 0; d < shapes.leading; ++d) {
      out.shape.push_back(shapes.shared_b
                              ? a.shape[d]
                              : context.require_equal(a.shape[d], b.shape[d],
                                                      "batch dimension " + std::to_string(d) +
                                                          " of a matrix product"));
    }
    out.shape.push_back(shapes.m);
    out.shape.push_back(shapes.n);
    return {out};
  }

  ShardingRule rule(const OpContext& context) const override {
    const Shapes shapes(context);
    ShardingRule rule;
    OperandFactors a, b, out;
    for (size_t d = 0; d < shapes.leading; ++d) {
      const uint32_t factor = rule.add_factor("b" + std::to_string(d), context.inputs[0].shape[d]);
      a.push_back(along(factor));
      if (!shapes.shared_b) b.push_back(along(factor));
      out.push_back(along(factor));
    }
    const uint32_t m = rule.add_factor("m", shapes.m);
    const uint32_t n = rule.add_factor("n", shapes.n);
    const uint32_t k = rule.add_factor("k", shapes.k_of_a, Factor::Kind::kReduction);
    const auto append = [](OperandFactors& operand, uint32_t row, uint32_t column, bool swapped) {
      operand.push_back(along(swapped ? column : row));
      operand.push_back(along(swapped ? row : column));
    };
    append(a, m, k, shapes.transpose_a);
    append(b, k, n, shapes.transpose_b);
    append(out, m, n, false);
    rule.inputs = {a, b};
    rule.outputs = {out};
    rule.linear = {{ReduceOp::kSum, {0}}, {ReduceOp::kSum, {1}}};
    return rule;
  }

  void reference(const Attributes& attributes, std::span<const HostTensor* const> inputs,
                 std::span<HostTensor> outputs) const override {
    reference_matmul(attributes, *inputs[0], *inputs[1], outputs[0]);
  }

  Work work(const OpContext& context, std::span<const TensorType> outputs) const override {
    const Shapes shapes(context);
    const Shape& out = outputs[0].shape;
    const Dim leading = product(std::span(out).first(shapes.leading));
    Work work = OpDefinition::work(context, outputs);
    work.flops = Dim(2) * outputs[0].elements() * shapes.k_of_a;
    // With one b for all, leading dimensions are rows, unless a's rows are its minor dimension.
    if (shapes.shared_b && !shapes.transpose_a) {
      work.product = Work::Product{1, leading * shapes.m, shapes.n, shapes.k_of_a};
    } else {
      work.product = Work::Product{leading, shapes.m, shapes.n, shapes.k_of_a};
    }
    return work;
  }
};

}  // namespace

std::vector<std::shared_ptr<const OpDefinition>> make_matmul() {
  return {std::make_shared<MatMul>()};
}

}  // namespace cleave::ops
