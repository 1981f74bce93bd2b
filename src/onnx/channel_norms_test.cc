// Normalisations by channel.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "onnx/test_node.h"

namespace cleave::onnx {
namespace {

using ::onnx::NodeProto;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const HostTensor kScale = floats({2}, {2, 1});
const HostTensor kBias = floats({2}, {1, -1});
const HostTensor kMean = floats({2}, {1, 0});
const HostTensor kVariance = floats({2}, {4, 0.25});
const Edit kExact = [](NodeProto& node) { set(node, "epsilon", 0.0); };

TEST(ChannelNorms, Batch) {
  const HostTensor x = floats({1, 2, 2}, {3, 5, 1, -1});
  for (const int64_t opset : {7, 9, 14, 15}) {
    expect(run("BatchNormalization", opset,
               {data(x), fixed(kScale), fixed(kBias), fixed(kMean), fixed(kVariance)}, kExact)[0],
           {1, 2, 2}, {3, 5, 1, -3});
    expect(run("BatchNormalization", opset,
               {data(x), data(kScale), data(kBias), data(kMean), data(kVariance)}, kExact)[0],
           {1, 2, 2}, {3, 5, 1, -3});
  }
}

TEST(ChannelNorms, BatchOfConstantParametersIsAProductAndASum) {
  TestModel model;
  model.input("x", {"n", 2, "h", "w"}).output("y");
  model.initializer("s", kScale).initializer("b", kBias);
  model.initializer("m", kMean).initializer("v", kVariance);
  model.node("BatchNormalization", {"x", "s", "b", "m", "v"}, {"y"});
  EXPECT_THAT(ops_of(model.load()), ElementsAre("broadcast", "mul", "broadcast", "add"));
}

TEST(ChannelNorms, BatchRefusesTraining) {
  const std::vector<Operand> operands = {data(floats({1, 2, 2}, {3, 5, 1, -1})), fixed(kScale),
                                         fixed(kBias), fixed(kMean), fixed(kVariance)};
  const Edit trains = [](NodeProto& node) { set(node, "training_mode", int64_t{1}); };
  const auto message = [&](int64_t opset, const Edit& edit, size_t outputs) {
    return error_of([&] { run("BatchNormalization", opset, operands, edit, outputs); }).message();
  };
  EXPECT_THAT(message(15, trains, 3), HasSubstr("training mode"));
  EXPECT_THAT(message(9, {}, 3), HasSubstr("training mode"));
  EXPECT_THAT(message(
                  7, [](NodeProto& node) { set(node, "spatial", int64_t{0}); }, 1),
              HasSubstr("spatial=0"));
}

TEST(ChannelNorms, Instance) {
  const HostTensor x = floats({1, 2, 2}, {3, 5, 4, -4});
  for (const int64_t opset : {7, 22}) {
    expect(run("InstanceNormalization", opset, {data(x), fixed(kScale), fixed(kBias)}, kExact)[0],
           {1, 2, 2}, {-1, 3, 0, -2});
  }
}

TEST(ChannelNorms, Group) {
  const HostTensor x = floats({1, 4, 1}, {3, 5, 4, -4});
  const Edit two = [](NodeProto& node) {
    set(node, "epsilon", 0.0);
    set(node, "num_groups", int64_t{2});
  };
  expect(run("GroupNormalization", 18, {data(x), fixed(kScale), fixed(kBias)}, two)[0], {1, 4, 1},
         {-1, 3, 0, -2});
  const HostTensor scale = floats({4}, {1, 2, 3, 4});
  const HostTensor bias = floats({4}, {0, 0, 10, 20});
  expect(run("GroupNormalization", 21, {data(x), fixed(scale), fixed(bias)}, two)[0], {1, 4, 1},
         {-1, 2, 13, 16});
  const Edit three = [](NodeProto& node) { set(node, "num_groups", int64_t{3}); };
  EXPECT_THAT(error_of([&] {
                run("GroupNormalization", 21, {data(x), fixed(scale), fixed(bias)}, three);
              }).message(),
              HasSubstr("the channels of all groups"));
}

TEST(ChannelNorms, SaysWhichParameterDoesNotFit) {
  const HostTensor x = floats({1, 2, 2}, {3, 5, 1, -1});
  const HostTensor three = floats({3}, {1, 2, 3});
  EXPECT_THAT(error_of([&] {
                run("BatchNormalization", 15,
                    {data(x), fixed(three), fixed(kBias), fixed(kMean), fixed(kVariance)});
              }).message(),
              HasSubstr("the elements of input 1 and the channels: 3 is not 2"));
  EXPECT_THAT(error_of([&] {
                run("InstanceNormalization", 22, {data(x), fixed(three), fixed(kBias)});
              }).message(),
              HasSubstr("the scale of group_norm"));
}

}  // namespace
}  // namespace cleave::onnx
