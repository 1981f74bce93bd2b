// Ops of com.microsoft: values by hand, and what is refused. Breadth comes from comparing with ONNX
// Runtime (tests/end_to_end/test_microsoft.py).
#include <gmock/gmock.h>

#include <cmath>

#include "onnx/test_node.h"

namespace cleave::onnx {
namespace {

using ::onnx::NodeProto;
using ::testing::HasSubstr;

// The node in ONNX Runtime's domain, edited further.
Edit microsoft(const Edit& edit = {}) {
  return [edit](NodeProto& node) {
    node.set_domain("com.microsoft");
    if (edit) edit(node);
  };
}

HostTensor zeros(std::vector<int64_t> shape, DType dtype = DType::kFloat32) {
  return HostTensor(dtype, std::move(shape));
}

std::string refusal(const char* op, ErrorCode code, const std::vector<Operand>& operands,
                    const Edit& edit = {}, size_t outputs = 1) {
  const Error error = error_of([&] { run(op, 17, operands, microsoft(edit), outputs); });
  EXPECT_EQ(error.code(), code) << error.what();
  return error.message();
}

// Leaves operands out that are not the last.
void drop_inputs(NodeProto& node, std::initializer_list<int> which) {
  for (const int i : which) node.set_input(i, "");
}

const Edit kTwoHeads = with({{"num_heads", 2}});

TEST(MicrosoftConverters, SkippedNormByHand) {
  const Operand x = data(floats({1, 1, 2}, {1, 2}));
  const Operand skip = data(floats({1, 2}, {1, 4}));
  const Operand gamma = fixed(floats({2}, {1, 2}));
  const Operand beta = fixed(floats({2}, {0, 0.5}));
  const Operand bias = fixed(floats({2}, {1, -1}));
  // 3 and 5: one deviation from the mean on either side.
  expect(run("SkipLayerNormalization", 17, {x, skip, gamma, beta, bias}, microsoft())[0], {1, 1, 2},
         {-1, 2.5});
  const double root = std::sqrt((9.0 + 25.0) / 2);
  expect(run("SkipSimplifiedLayerNormalization", 17, {x, skip, gamma, bias}, microsoft())[0],
         {1, 1, 2}, {3 / root, 10 / root});
}

TEST(MicrosoftConverters, ProductsByHand) {
  const Operand a = data(floats({2, 1, 3}, {1, 2, 3, 4, 5, 6}));
  const Operand b = data(floats({3, 1}, {1, 10, 100}));
  // [rows, batches, k]: the result's batches come first.
  const Edit edit = [](NodeProto& node) {
    set(node, "transBatchA", int64_t{1});
    set(node, "alpha", 0.5);
  };
  expect(run("FusedMatMul", 17, {a, b}, microsoft(edit))[0], {1, 2, 1}, {160.5, 327});
}

TEST(MicrosoftConverters, AttentionByHand) {
  // One head of depth 1; equal scores weigh the columns alike, masked ones not at all.
  const Operand x = data(floats({1, 2, 1}, {3, 5}));
  const Operand weights = fixed(floats({1, 3}, {0, 0, 1}));
  const Operand bias = fixed(floats({3}, {0, 0, 1}));
  const Edit one_head = microsoft(with({{"num_heads", 1}}));
  expect(run("Attention", 17, {x, weights, bias}, one_head)[0], {1, 2, 1}, {5, 5});
  const Operand mask = data(tensor_of(DType::kInt32, {1, 2}, {0, 1}));
  expect(run("Attention", 17, {x, weights, bias, mask}, one_head)[0], {1, 2, 1}, {6, 6});
  const Edit causal = microsoft(with({{"num_heads", 1}, {"unidirectional", 1}}));
  expect(run("Attention", 17, {x, weights, bias}, causal)[0], {1, 2, 1}, {4, 5});
}

TEST(MicrosoftConverters, RefusesWhatTrainingHas) {
  const Operand x = data(zeros({1, 2, 4}));
  const Operand scale = fixed(zeros({4}));
  for (const char* op : {"SkipLayerNormalization", "SkipSimplifiedLayerNormalization"}) {
    EXPECT_THAT(refusal(op, ErrorCode::kUnsupported, {x, x, scale}, {}, 2),
                HasSubstr("mean and deviation as results"));
  }
}

TEST(MicrosoftConverters, RefusesUnknownActivations) {
  const Operand image = data(zeros({1, 1, 4}));
  const Operand taps = fixed(zeros({1, 1, 3}));
  const auto activation = [](const char* name) {
    return [name](NodeProto& node) { set(node, "activation", name); };
  };
  EXPECT_THAT(refusal("FusedConv", ErrorCode::kUnsupported, {image, taps}, activation("Softplus")),
              HasSubstr("the activation 'Softplus'"));
  // Without its two bounds.
  EXPECT_THAT(refusal("FusedConv", ErrorCode::kUnsupported, {image, taps}, activation("Clip")),
              HasSubstr("the activation 'Clip'"));
  const Operand matrix = data(zeros({2, 2}));
  EXPECT_THAT(refusal("FusedGemm", ErrorCode::kUnsupported, {matrix, matrix}, activation("Selu")),
              HasSubstr("the activation 'Selu'"));
}

TEST(MicrosoftConverters, RefusesCachedKeys) {
  const Operand x = data(zeros({1, 2, 4}));
  const std::vector<Operand> packed = {x, fixed(zeros({4, 12})), fixed(zeros({12}))};
  EXPECT_THAT(refusal("Attention", ErrorCode::kUnsupported, packed, kTwoHeads, 2),
              HasSubstr("export the model without a cache"));
  std::vector<Operand> with_past = packed;
  with_past.push_back(data(zeros({1, 2}, DType::kInt32)));
  with_past.push_back(data(zeros({2, 1, 2, 3, 2})));
  EXPECT_THAT(refusal("Attention", ErrorCode::kUnsupported, with_past, kTwoHeads),
              HasSubstr("keys and values of earlier calls"));
  EXPECT_THAT(refusal("MultiHeadAttention", ErrorCode::kUnsupported, {x, x, x}, kTwoHeads, 3),
              HasSubstr("keys and values of earlier calls"));
  EXPECT_THAT(refusal("GroupQueryAttention", ErrorCode::kUnsupported, {x, x, x}),
              HasSubstr("keeps keys and values between calls"));
}

TEST(MicrosoftConverters, RefusesFormsOfAttention) {
  const Operand x = data(zeros({2, 3, 4}));
  const std::vector<Operand> packed = {x, fixed(zeros({4, 12})), fixed(zeros({12}))};
  // The ends and begins of both rows.
  std::vector<Operand> masked = packed;
  masked.push_back(data(zeros({4}, DType::kInt32)));
  EXPECT_THAT(refusal("Attention", ErrorCode::kUnsupported, masked, kTwoHeads),
              HasSubstr("the mask i32[4]"));
  const Edit rotating = with({{"num_heads", 2}, {"do_rotary", 1}});
  EXPECT_THAT(refusal("Attention", ErrorCode::kUnsupported, packed, rotating),
              HasSubstr("do_rotary=1"));
  EXPECT_THAT(refusal("MultiHeadAttention", ErrorCode::kUnsupported, {x, x, x},
                      [](NodeProto& node) {
                        set(node, "num_heads", int64_t{2});
                        drop_inputs(node, {1, 2});
                      }),
              HasSubstr("packed in one operand"));
  const Operand by_heads = data(zeros({2, 2, 3, 2}));
  EXPECT_THAT(refusal("MultiHeadAttention", ErrorCode::kUnsupported,
                      {x, by_heads, by_heads, fixed(zeros({12}))}, kTwoHeads),
              HasSubstr("with a bias, or packed"));
}

TEST(MicrosoftConverters, FindsInvalidAttention) {
  const Operand x = data(zeros({2, 3, 4}));
  const std::vector<Operand> packed = {x, fixed(zeros({4, 12})), fixed(zeros({12}))};
  refusal("Attention", ErrorCode::kInvalid, packed, with({{"num_heads", 0}}));
  EXPECT_THAT(refusal("Attention", ErrorCode::kInvalid, packed, with({{"num_heads", 3}})),
              HasSubstr("the width of all heads"));
  const Edit widths = [](NodeProto& node) {
    set(node, "num_heads", int64_t{2});
    set(node, "qkv_hidden_sizes", std::vector<int64_t>{4, 4, 2});
  };
  EXPECT_THAT(refusal("Attention", ErrorCode::kInvalid, packed, widths),
              HasSubstr("the widths of query, key and value"));
  EXPECT_THAT(
      refusal("MultiHeadAttention", ErrorCode::kInvalid, {x, x, x, fixed(zeros({13}))}, kTwoHeads),
      HasSubstr("the biases of query, key and value"));
}

TEST(MicrosoftConverters, RefusesFormsOfRotaryEmbedding) {
  const Operand x = data(zeros({1, 2, 4}));
  const Operand first = data(zeros({1}, DType::kInt64));
  const Operand angles = fixed(zeros({5, 2}));
  const std::vector<Operand> operands = {x, first, angles, angles};
  EXPECT_THAT(refusal("RotaryEmbedding", ErrorCode::kUnsupported, operands,
                      with({{"is_packed_batching", 1}})),
              HasSubstr("is_packed_batching"));
  EXPECT_THAT(refusal("RotaryEmbedding", ErrorCode::kUnsupported, operands,
                      [](NodeProto& node) { set(node, "scale", 2.0); }),
              HasSubstr("a scale"));
  const Operand three = data(zeros({3}, DType::kInt64));
  EXPECT_THAT(refusal("RotaryEmbedding", ErrorCode::kInvalid, {x, three, angles, angles}),
              HasSubstr("first positions"));
}

}  // namespace
}  // namespace cleave::onnx
