// Conv and ConvTranspose of ONNX: what is refused, and a value by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "onnx/test_node.h"

namespace cleave::onnx {
namespace {

using ::onnx::NodeProto;
using ::testing::HasSubstr;
using Ints = std::vector<int64_t>;

Edit list(const char* name, Ints values) {
  return [=](NodeProto& node) { set(node, name, values); };
}

Error refusal(const char* op, std::vector<int64_t> x, std::vector<int64_t> w, const Edit& edit) {
  const Error error = error_of([&] {
    run(op, 17, {data(HostTensor(DType::kFloat32, x)), data(HostTensor(DType::kFloat32, w))}, edit);
  });
  EXPECT_EQ(error.code(), ErrorCode::kInvalid) << error.what();
  return error;
}

TEST(Convolution, TransposedByHand) {
  const Operand x = data(floats({1, 1, 2}, {1, 2}));
  const Operand w = data(floats({1, 1, 3}, {1, 10, 100}));
  expect(run("ConvTranspose", 17, {x, w}, list("strides", {2}))[0], {1, 1, 5},
         {1, 10, 102, 20, 200});
}

TEST(Convolution, RefusesWhatCannotBe) {
  const Ints x = {1, 4, 5, 5};
  const Ints w = {6, 4, 3, 3};
  EXPECT_THAT(refusal("Conv", x, {6, 4, 7, 3}, {}).message(), HasSubstr("larger than the padded"));
  EXPECT_THAT(refusal("Conv", x, w, list("dilations", {3, 1})).message(),
              HasSubstr("larger than the padded"));
  for (const char* op : {"Conv", "ConvTranspose"}) {
    const Ints weights = op == std::string("Conv") ? w : Ints{4, 6, 3, 3};
    refusal(op, x, weights, list("strides", {0, 1}));
    refusal(op, x, weights, list("dilations", {1, 0}));
    refusal(op, x, weights, list("pads", {-1, 0, 0, 0}));
    refusal(op, x, weights, list("kernel_shape", {5, 5}));
    refusal(op, x, {6, 4, 3}, {});
    refusal(op, x, {6, 4, 0, 3}, {});
    refusal(op, x, weights, [](NodeProto& node) { set(node, "group", int64_t{0}); });
  }
  refusal("Conv", x, {6, 3, 3, 3}, {});
  refusal("Conv", x, {5, 2, 3, 3}, [](NodeProto& node) { set(node, "group", int64_t{2}); });
  refusal("ConvTranspose", {1, 3, 5, 5}, {3, 2, 3, 3},
          [](NodeProto& node) { set(node, "group", int64_t{2}); });
}

}  // namespace
}  // namespace cleave::onnx
