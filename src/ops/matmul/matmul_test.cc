#include <gtest/gtest.h>

#include "tests/ops_support/rule_check.h"
#include "tests/ops_support/tensors.h"

namespace cleave::ops {
namespace {

using testing::inference_error;
using testing::random_integers;
using testing::run_reference;
using testing::tensor;
using testing::values_of;

TensorType f32(Shape shape) { return {DType::kFloat32, std::move(shape)}; }

TEST(MatMul, Multiplies) {
  const HostTensor a = tensor(DType::kFloat32, {2, 3}, {1, 2, 3, 4, 5, 6});
  const HostTensor b = tensor(DType::kFloat32, {3, 2}, {7, 8, 9, 10, 11, 12});
  const std::vector<double> expected = {58, 64, 139, 154};
  EXPECT_EQ(values_of(run_reference("matmul", {}, {a, b})[0]), expected);
  const HostTensor a_t = tensor(DType::kFloat32, {3, 2}, {1, 4, 2, 5, 3, 6});
  const HostTensor b_t = tensor(DType::kFloat32, {2, 3}, {7, 9, 11, 8, 10, 12});
  EXPECT_EQ(values_of(run_reference("matmul", {{"transpose_a", Dim(1)}}, {a_t, b})[0]), expected);
  EXPECT_EQ(values_of(run_reference("matmul", {{"transpose_b", Dim(1)}}, {a, b_t})[0]), expected);
  EXPECT_EQ(values_of(run_reference("matmul", {{"transpose_a", Dim(1)}, {"transpose_b", Dim(1)}},
                                    {a_t, b_t})[0]),
            expected);
}

TEST(MatMul, BatchesAndSharedRightOperand) {
  const HostTensor a = tensor(DType::kFloat32, {2, 1, 2}, {1, 2, 3, 4});
  const HostTensor b = tensor(DType::kFloat32, {2, 2, 1}, {5, 6, 7, 8});
  EXPECT_EQ(values_of(run_reference("matmul", {}, {a, b})[0]), (std::vector<double>{17, 53}));
  const HostTensor shared = tensor(DType::kFloat32, {2, 2}, {1, 0, 0, 10});
  const HostTensor out = run_reference("matmul", {}, {a, shared})[0];
  EXPECT_EQ(out.shape, (std::vector<int64_t>{2, 1, 2}));
  EXPECT_EQ(values_of(out), (std::vector<double>{1, 20, 3, 40}));
}

TEST(MatMul, HalfTypesRoundOnce) {
  // 2048 + 1 + 1 in float16 steps would stay at 2048.
  const HostTensor a = tensor(DType::kFloat16, {1, 3}, {2048, 1, 1});
  const HostTensor b = tensor(DType::kFloat16, {3, 1}, {1, 1, 1});
  EXPECT_EQ(values_of(run_reference("matmul", {}, {a, b})[0]), std::vector<double>{2050});
}

TEST(MatMul, IntegersWrapAround) {
  const HostTensor a = tensor(DType::kInt8, {1, 2}, {100, 100});
  const HostTensor b = tensor(DType::kInt8, {2, 1}, {1, 1});
  EXPECT_EQ(values_of(run_reference("matmul", {}, {a, b})[0]), std::vector<double>{-56});
  HostTensor large(DType::kInt64, {1, 1});
  large.set_integer(0, (int64_t{1} << 53) + 1);
  const HostTensor one = tensor(DType::kInt64, {1, 1}, {1});
  EXPECT_EQ(run_reference("matmul", {}, {large, one})[0].get_integer(0), (int64_t{1} << 53) + 1);
}

TEST(MatMul, NoElements) {
  const HostTensor a(DType::kFloat32, {2, 0});
  const HostTensor b(DType::kFloat32, {0, 3});
  EXPECT_EQ(values_of(run_reference("matmul", {}, {a, b})[0]), std::vector<double>(6, 0));
  EXPECT_EQ(run_reference(
                "matmul", {},
                {HostTensor(DType::kFloat32, {0, 0, 2}), HostTensor(DType::kFloat32, {0, 2, 3})})[0]
                .shape,
            (std::vector<int64_t>{0, 0, 3}));
}

TEST(MatMul, Rules) {
  const Dim n = Dim::symbol("n");
  const Dim s = Dim::symbol("s");
  const std::set<std::string> shared = {"b0", "m", "n", "k", "partial 0", "partial 1"};
  for (int64_t t = 0; t < 4; ++t) {
    const bool ta = (t & 1) != 0;
    const bool tb = (t & 2) != 0;
    const Attributes attributes = {{"transpose_a", Dim(t & 1)}, {"transpose_b", Dim(t / 2)}};
    const std::vector<int64_t> a =
        ta ? std::vector<int64_t>{3, 7, 5} : std::vector<int64_t>{3, 5, 7};
    const std::vector<int64_t> b = tb ? std::vector<int64_t>{4, 7} : std::vector<int64_t>{7, 4};
    testing::RuleCase c{
        "matmul",
        attributes,
        {random_integers(DType::kFloat32, a, 1), random_integers(DType::kFloat32, b, 2)}};
    EXPECT_EQ(testing::check_rules(c), shared);
    c.shapes = {ta ? Shape{n, s, 5} : Shape{n, 5, s}, tb ? Shape{4, s} : Shape{s, 4}};
    c.symbols = {{"n", 3}, {"s", 7}};
    EXPECT_EQ(testing::check_rules(c), shared);
  }
  // Batches on both sides, half types and nothing at all.
  const testing::RuleCase batched{"matmul",
                                  {},
                                  {random_integers(DType::kFloat16, {2, 3, 5, 2}, 1),
                                   random_integers(DType::kFloat16, {2, 3, 2, 4}, 2)}};
  EXPECT_EQ(testing::check_rules(batched),
            (std::set<std::string>{"b0", "b1", "m", "n", "k", "partial 0", "partial 1"}));
  testing::check_rules(
      {"matmul", {}, {HostTensor(DType::kFloat32, {0, 2}), HostTensor(DType::kFloat32, {2, 0})}});
  testing::check_rules(
      {"matmul", {}, {HostTensor(DType::kFloat32, {3, 0}), HostTensor(DType::kFloat32, {0, 3})}});
}

TEST(MatMul, Work) {
  const Registry registry = Registry::builtin();
  const Dim s = Dim::symbol("s");
  const Attributes none;
  std::vector<TensorType> inputs = {f32({8, s, 16}), f32({16, 4})};
  OpContext context{none, inputs};
  const OpDefinition& matmul = registry.at("matmul");
  Work work = matmul.work(context, matmul.infer_types(context));
  EXPECT_EQ(work.flops, Dim(2 * 8 * 16 * 4) * s);
  EXPECT_EQ(work.bytes, Dim(4) * (Dim(8 * 16) * s + 64 + Dim(8 * 4) * s));
  EXPECT_EQ(work.product->batch, Dim(1));
  EXPECT_EQ(work.product->m, Dim(8) * s);
  inputs[1] = f32({8, 16, 4});
  context.inputs = inputs;
  work = matmul.work(context, matmul.infer_types(context));
  EXPECT_EQ(work.product->batch, Dim(8));
  EXPECT_EQ(work.product->m, s);
  EXPECT_EQ(work.product->n, Dim(4));
  EXPECT_EQ(work.product->k, Dim(16));
}

TEST(MatMul, Errors) {
  EXPECT_EQ(inference_error("matmul", {}, {f32({2, 3}), f32({4, 5})}),
            "the inner dimensions of f32[2, 3] times f32[4, 5]: 3 and 4 are not equal");
  EXPECT_EQ(inference_error("matmul", {}, {f32({3}), f32({3, 5})}),
            "matmul cannot multiply f32[3] by f32[3, 5]");
  EXPECT_NE(inference_error("matmul", {}, {f32({3, 5}), f32({2, 5, 3})}), "");
  EXPECT_NE(inference_error("matmul", {}, {f32({2, 3, 5}), f32({4, 5, 3})}), "");
  EXPECT_NE(inference_error("matmul", {}, {f32({2, 2}), {DType::kFloat16, {2, 2}}}), "");
  EXPECT_NE(inference_error("matmul", {}, {{DType::kBool, {2, 2}}, {DType::kBool, {2, 2}}}), "");
  EXPECT_NE(inference_error("matmul", {}, {f32({2, 2})}), "");
  std::vector<SizeGuard> guards;
  testing::infer("matmul", {}, {f32({2, Dim::symbol("a")}), f32({Dim::symbol("b"), 2})}, &guards);
  EXPECT_EQ(guards.size(), 1u);
}

}  // namespace
}  // namespace cleave::ops
