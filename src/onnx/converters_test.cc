// Converters, each on a tiny model against numbers worked out by hand: every form that an op has
// had. Breadth over shapes and attributes comes from ONNX's own node tests (tests/onnx_nodes).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "onnx/test_node.h"

namespace cleave::onnx {
namespace {

using ::onnx::NodeProto;
using ::onnx::TensorProto;
using ::testing::HasSubstr;

TEST(Converters, Gemm) {
  const HostTensor a = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  const HostTensor b = floats({3, 2}, {1, 0, 0, 1, 1, 1});
  const HostTensor c = floats({2}, {10, 20});
  expect(run("Gemm", 13, {data(a), data(b), data(c)})[0], {2, 2}, {14, 25, 20, 31});
  const Edit scaled = [](NodeProto& node) {
    set(node, "alpha", 2.0);
    set(node, "beta", 0.5);
    set(node, "transA", int64_t{1});
    set(node, "transB", int64_t{1});
  };
  const HostTensor at = floats({3, 2}, {1, 4, 2, 5, 3, 6});
  const HostTensor bt = floats({2, 3}, {1, 0, 1, 0, 1, 1});
  expect(run("Gemm", 7, {data(at), data(bt), data(c)}, scaled)[0], {2, 2}, {13, 20, 25, 32});
}

TEST(Converters, MatMulRanks) {
  const HostTensor vector = floats({2}, {1, 2});
  const HostTensor matrix = floats({2, 2}, {1, 2, 3, 4});
  const HostTensor batch = floats({2, 1, 2}, {1, 0, 0, 1});
  expect(run("MatMul", 13, {data(vector), data(vector)})[0], {}, {5});
  expect(run("MatMul", 13, {data(vector), data(matrix)})[0], {2}, {7, 10});
  expect(run("MatMul", 13, {data(matrix), data(vector)})[0], {2}, {5, 11});
  expect(run("MatMul", 13, {data(batch), data(matrix)})[0], {2, 1, 2}, {1, 2, 3, 4});
  expect(run("MatMul", 13, {data(batch), data(vector)})[0], {2, 1}, {1, 2});
  // Leading dimensions stretch on either side.
  const HostTensor columns = floats({2, 2, 1}, {1, 2, 3, 4});
  expect(run("MatMul", 13, {data(matrix), data(columns)})[0], {2, 2, 1}, {5, 11, 11, 25});
  const HostTensor one = floats({1, 2, 1}, {1, 2});
  expect(run("MatMul", 13, {data(batch), data(one)})[0], {2, 1, 1}, {1, 2});
  EXPECT_EQ(error_of([&] {
              run("MatMul", 13, {data(matrix), data(floats({3}, {1, 2, 3}))});
            }).code(),
            ErrorCode::kInvalid);
}

TEST(Converters, SqueezeAndUnsqueeze) {
  const HostTensor x = floats({1, 2, 1}, {1, 2});
  const Edit axes = [](NodeProto& node) { set(node, "axes", std::vector<int64_t>{-1}); };
  EXPECT_EQ(run("Squeeze", 11, {data(x)}, axes)[0].shape, (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(run("Squeeze", 13, {data(x), fixed(integers({1}, {0}))})[0].shape,
            (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(run("Squeeze", 13, {data(x)})[0].shape, (std::vector<int64_t>{2}));
  EXPECT_EQ(run("Unsqueeze", 11, {data(floats({2}, {1, 2}))}, axes)[0].shape,
            (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(
      run("Unsqueeze", 13, {data(floats({2}, {1, 2})), fixed(integers({2}, {0, -1}))})[0].shape,
      (std::vector<int64_t>{1, 2, 1}));
  EXPECT_EQ(error_of([&] {
              run("Squeeze", 13, {data(x), fixed(integers({1}, {1}))});
            }).code(),
            ErrorCode::kInvalid);
}

TEST(Converters, Slices) {
  const HostTensor x = floats({5}, {0, 1, 2, 3, 4});
  const auto slice = [&](double start, double end, double step) {
    return values_of(run("Slice", 13,
                         {data(x), fixed(integers({1}, {start})), fixed(integers({1}, {end})),
                          fixed(integers({1}, {0})), fixed(integers({1}, {step}))})[0]);
  };
  EXPECT_EQ(slice(1, 3, 1), (Values{1, 2}));
  EXPECT_EQ(slice(-2, 9e18, 1), (Values{3, 4}));
  EXPECT_EQ(slice(-9e18, 2, 1), (Values{0, 1}));
  EXPECT_EQ(slice(0, 5, 2), (Values{0, 2, 4}));
  EXPECT_EQ(slice(3, 1, 1), (Values{}));
  EXPECT_EQ(slice(-1, -9e18, -1), (Values{4, 3, 2, 1, 0}));
  EXPECT_EQ(slice(4, 0, -2), (Values{4, 2}));
  EXPECT_EQ(slice(3, -1, -1), (Values{}));
  const Edit attributes = [](NodeProto& node) {
    set(node, "starts", std::vector<int64_t>{1});
    set(node, "ends", std::vector<int64_t>{-1});
  };
  expect(run("Slice", 9, {data(x)}, attributes)[0], {3}, {1, 2, 3});
}

TEST(Converters, Splits) {
  const HostTensor x = floats({5}, {0, 1, 2, 3, 4});
  const Edit sizes = [](NodeProto& node) { set(node, "split", std::vector<int64_t>{2, 3}); };
  expect(run("Split", 11, {data(x)}, sizes, 2)[1], {3}, {2, 3, 4});
  expect(run("Split", 13, {data(x), fixed(integers({2}, {1, 4}))}, {}, 2)[0], {1}, {0});
  const Edit parts = [](NodeProto& node) { set(node, "num_outputs", int64_t{2}); };
  expect(run("Split", 18, {data(x)}, parts, 2)[1], {2}, {3, 4});
  EXPECT_EQ(error_of([&] { run("Split", 13, {data(x)}, {}, 2); }).code(), ErrorCode::kInvalid);
  EXPECT_EQ(error_of([&] { run("Split", 11, {data(x)}, sizes, 3); }).code(), ErrorCode::kInvalid);
}

TEST(Converters, Gathers) {
  const HostTensor x = floats({3, 2}, {0, 1, 10, 11, 20, 21});
  const Edit columns = [](NodeProto& node) { set(node, "axis", int64_t{1}); };
  expect(run("Gather", 13, {data(x), fixed(integers({}, {-1}))})[0], {2}, {20, 21});
  expect(run("Gather", 13, {data(x), fixed(integers({}, {1}))}, columns)[0], {3}, {1, 11, 21});
  expect(run("Gather", 13, {data(x), fixed(integers({2}, {1, 2}))})[0], {2, 2}, {10, 11, 20, 21});
  expect(run("Gather", 13, {data(x), fixed(integers({2}, {-1, 0}))})[0], {2, 2}, {20, 21, 0, 1});
  expect(run("Gather", 13, {data(x), data(integers({1, 2}, {2, 0}))})[0], {1, 2, 2},
         {20, 21, 0, 1});
  EXPECT_EQ(error_of([&] {
              run("Gather", 13, {data(x), fixed(integers({}, {3}))});
            }).code(),
            ErrorCode::kInvalid);
}

TEST(Converters, Pads) {
  const HostTensor x = floats({2}, {1, 2});
  const Edit attributes = [](NodeProto& node) {
    set(node, "pads", std::vector<int64_t>{1, 2});
    set(node, "value", 9.0);
  };
  expect(run("Pad", 7, {data(x)}, attributes)[0], {5}, {9, 1, 2, 9, 9});
  expect(run("Pad", 13, {data(x), fixed(integers({2}, {-1, 1}))})[0], {2}, {2, 0});
  expect(run("Pad", 13, {data(x), fixed(integers({2}, {1, -1})), data(floats({1}, {7}))})[0], {2},
         {7, 1});
  expect(run("Pad", 18,
             {data(floats({1, 2}, {1, 2})), fixed(integers({2}, {1, 0})), fixed(floats({}, {5})),
              fixed(integers({1}, {-1}))})[0],
         {1, 3}, {5, 1, 2});
  const auto padded = [&](const char* mode, const Values& pads) {
    const Edit edit = [mode](NodeProto& node) { set(node, "mode", mode); };
    return values_of(
        run("Pad", 19, {data(floats({3}, {1, 2, 3})), fixed(integers({2}, pads))}, edit)[0]);
  };
  EXPECT_EQ(padded("reflect", {2, 1}), (Values{3, 2, 1, 2, 3, 2}));
  EXPECT_EQ(padded("edge", {2, 1}), (Values{1, 1, 1, 2, 3, 3}));
  EXPECT_EQ(padded("wrap", {2, 1}), (Values{2, 3, 1, 2, 3, 1}));
  // What is left after the cut is padded.
  EXPECT_EQ(padded("reflect", {-1, 1}), (Values{2, 3, 2}));
  EXPECT_THAT(error_of([&] {
                padded("mirror", {1, 1});
              }).message(),
              HasSubstr("the mode of pad is 'mirror'"));
}

TEST(Converters, SoftmaxBeforeAndAfter13) {
  const HostTensor x(DType::kFloat32, {2, 2, 2});  // zeros: the size of what counts as one is seen
  expect(run("Softmax", 13, {data(x)})[0], {2, 2, 2}, Values(8, 0.5));
  expect(run("Softmax", 11, {data(x)})[0], {2, 2, 2}, Values(8, 0.25));
  const Edit all = [](NodeProto& node) { set(node, "axis", int64_t{0}); };
  expect(run("Softmax", 11, {data(x)}, all)[0], {2, 2, 2}, Values(8, 0.125));
  expect(run("LogSoftmax", 13, {data(floats({2}, {100, 100 + std::log(3.0)}))})[0], {2},
         {-std::log(4.0), std::log(0.75)});
  expect(run("LogSoftmax", 7, {data(x)}, all)[0], {2, 2, 2}, Values(8, -std::log(8.0)));
}

TEST(Converters, Hardmax) {
  const HostTensor x = floats({2, 3}, {1, 5, 5, 0, -1, -2});
  expect(run("Hardmax", 13, {data(x)})[0], {2, 3}, {0, 1, 0, 1, 0, 0});
  const Edit all = [](NodeProto& node) { set(node, "axis", int64_t{0}); };
  expect(run("Hardmax", 11, {data(x)}, all)[0], {2, 3}, {0, 1, 0, 0, 0, 0});
}

TEST(Converters, Reductions) {
  const HostTensor x = floats({2, 2}, {1, -2, 3, 4});
  const Edit rows = [](NodeProto& node) {
    set(node, "axes", std::vector<int64_t>{-1});
    set(node, "keepdims", int64_t{0});
  };
  const struct {
    const char* op;
    double first, second, all;
  } ops[] = {{"ReduceSum", -1, 7, 6},
             {"ReduceMean", -0.5, 3.5, 1.5},
             {"ReduceMax", 1, 4, 4},
             {"ReduceMin", -2, 3, -2},
             {"ReduceProd", -2, 12, -24},
             {"ReduceL1", 3, 7, 10},
             {"ReduceL2", std::sqrt(5.0), 5, std::sqrt(30.0)},
             {"ReduceSumSquare", 5, 25, 30},
             {"ReduceLogSumExp", 1.0485873515737420, 4.3132616875182230, 4.350759163364269}};
  for (const auto& row : ops) {
    SCOPED_TRACE(row.op);
    expect(run(row.op, 11, {data(x)}, rows)[0], {2}, {row.first, row.second});
    const HostTensor kept = run(row.op, 18, {data(x), fixed(integers({1}, {1}))})[0];
    expect(kept, {2, 1}, {row.first, row.second});
    const HostTensor all = run(row.op, 18, {data(x)})[0];
    EXPECT_EQ(all.shape, (std::vector<int64_t>{1, 1}));
    EXPECT_NEAR(all.get(0), row.all, 1e-5);
    const Edit noop = [](NodeProto& node) { set(node, "noop_with_empty_axes", int64_t{1}); };
    expect(run(row.op, 18, {data(x)}, noop)[0], {2, 2}, {1, -2, 3, 4});
  }
  expect(run("ReduceLogSum", 18, {data(floats({2}, {1, 3}))})[0], {1}, {std::log(4.0)});
}

// The squares leave the range of a half on the way, the root does not.
TEST(Converters, ReductionsOfHalves) {
  const HostTensor x = tensor_of(DType::kFloat16, {2}, {3000, 4000});
  expect(run("ReduceL2", 18, {data(x)})[0], {1}, {5000});
  expect(run("ReduceMean", 18, {data(tensor_of(DType::kFloat16, {2}, {60000, 60000}))})[0], {1},
         {60000});
}

TEST(Converters, ArgExtremes) {
  const HostTensor x = floats({2, 3}, {1, 5, 5, -1, -2, -2});
  const Edit last = [](NodeProto& node) {
    set(node, "axis", int64_t{1});
    set(node, "select_last_index", int64_t{1});
    set(node, "keepdims", int64_t{0});
  };
  const Edit first = [](NodeProto& node) { set(node, "axis", int64_t{-1}); };
  expect(run("ArgMax", 13, {data(x)}, first)[0], {2, 1}, {1, 0});
  expect(run("ArgMax", 13, {data(x)}, last)[0], {2}, {2, 0});
  expect(run("ArgMin", 13, {data(x)}, last)[0], {2}, {0, 2});
}

TEST(Converters, Normalizations) {
  const HostTensor x = floats({2, 2}, {1, 3, -4, 4});
  const HostTensor scale = floats({2}, {1, 2});
  const HostTensor bias = floats({2}, {10, 20});
  const Edit exact = [](NodeProto& node) { set(node, "epsilon", 0.0); };
  const auto y = run("LayerNormalization", 17, {data(x), data(scale), data(bias)}, exact, 3);
  expect(y[0], {2, 2}, {9, 22, 9, 22});
  expect(y[1], {2, 1}, {2, 0});
  expect(y[2], {2, 1}, {1, 0.25});
  const double root = std::sqrt(5.0);
  expect(run("RMSNormalization", 23, {data(x), data(scale)}, exact)[0], {2, 2},
         {1 / root, 6 / root, -1, 2});
}

TEST(Converters, RotaryEmbedding) {
  // A quarter turn of the first row's pair, none of the second's.
  const HostTensor x = floats({1, 1, 2, 2}, {1, 2, 3, 4});
  const HostTensor cosines = floats({2, 1}, {0, 1});
  const HostTensor sines = floats({2, 1}, {1, 0});
  const HostTensor positions = integers({1, 2}, {0, 1});
  expect(run("RotaryEmbedding", 23, {data(x), data(cosines), data(sines), data(positions)})[0],
         {1, 1, 2, 2}, {-2, 1, 3, 4});
}

TEST(Converters, TilesAndTriangles) {
  expect(run("Tile", 13, {data(floats({2, 1}, {1, 2})), fixed(integers({2}, {2, 3}))})[0], {4, 3},
         {1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2});
  const HostTensor x = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  const Edit lower = [](NodeProto& node) { set(node, "upper", int64_t{0}); };
  expect(run("Trilu", 14, {data(x)})[0], {2, 3}, {1, 2, 3, 0, 5, 6});
  expect(run("Trilu", 14, {data(x), fixed(integers({}, {1}))}, lower)[0], {2, 3},
         {1, 2, 0, 4, 5, 6});
}

TEST(Converters, Constants) {
  const Edit value = [](NodeProto& node) { set(node, "value", integers({2}, {3, 4})); };
  expect(run("Constant", 9, {}, value)[0], {2}, {3, 4});
  expect(run("Constant", 13, {}, [](NodeProto& node) { set(node, "value_float", 1.5); })[0], {},
         {1.5});
  expect(run("Constant", 13, {},
             [](NodeProto& node) { set(node, "value_ints", std::vector<int64_t>{5}); })[0],
         {1}, {5});
  expect(run("ConstantOfShape", 9, {fixed(integers({2}, {1, 2}))})[0], {1, 2}, {0, 0});
  expect(run("Range", 11,
             {fixed(integers({}, {10})), fixed(integers({}, {3})), fixed(integers({}, {-3}))})[0],
         {3}, {10, 7, 4});
  expect(run("Range", 11,
             {fixed(floats({}, {0})), fixed(floats({}, {1})), fixed(floats({}, {0.3}))})[0],
         {4}, {0, 0.3, 0.6, 0.9});
  expect(run("EyeLike", 9, {data(floats({2, 3}, Values(6, 7)))},
             [](NodeProto& node) { set(node, "k", int64_t{1}); })[0],
         {2, 3}, {0, 1, 0, 0, 0, 1});
}

TEST(Converters, ConcatTransposeFlattenShape) {
  const HostTensor x = floats({1, 2, 2}, {1, 2, 3, 4});
  const Edit axis = [](NodeProto& node) { set(node, "axis", int64_t{-1}); };
  expect(run("Concat", 13, {data(floats({1, 1}, {1})), data(floats({1, 2}, {2, 3}))}, axis)[0],
         {1, 3}, {1, 2, 3});
  expect(run("Transpose", 13, {data(x)})[0], {2, 2, 1}, {1, 3, 2, 4});
  EXPECT_EQ(run("Flatten", 13, {data(x)}, axis)[0].shape, (std::vector<int64_t>{2, 2}));
  expect(run("Shape", 15, {data(x)}, [](NodeProto& node) { set(node, "start", int64_t{-2}); })[0],
         {2}, {2, 2});
  const Edit twice = [](NodeProto& node) { set(node, "perm", std::vector<int64_t>{0, 1, 1}); };
  EXPECT_EQ(error_of([&] { run("Transpose", 13, {data(x)}, twice); }).code(), ErrorCode::kInvalid);
}

TEST(Converters, AttributesOfTheWrongKind) {
  const Edit wrong = [](NodeProto& node) { set(node, "axis", 1.0); };
  EXPECT_THAT(error_of([&] {
                run("Softmax", 13, {data(floats({2}, {1, 2}))}, wrong);
              }).message(),
              HasSubstr("'axis' is a FLOAT, not a INT"));
}

}  // namespace
}  // namespace cleave::onnx
