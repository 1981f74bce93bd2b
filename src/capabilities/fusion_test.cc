#include "capabilities/fusion.h"

#include <gtest/gtest.h>

#include "ops/builder.h"

namespace cleave::capabilities {
namespace {

class Fusing : public ::testing::Test {
 protected:
  ir::ValueId input(const std::string& name) { return graph_.add_input(name, {type_, {8, 8}}); }
  ir::ValueId apply(const std::string& name, const std::string& op,
                    std::vector<ir::ValueId> inputs) {
    return ops::Builder(graph_, registry_).add1(name, op, {}, std::move(inputs));
  }
  // "a+b, c": the groups, by their nodes.
  std::string groups(ir::ValueId output) {
    graph_.set_outputs({output});
    std::string text;
    for (const FusionGroup& group : fuse(graph_, registry_, *capabilities_).groups) {
      text += text.empty() ? "" : ", ";
      for (size_t i = 0; i < group.nodes.size(); ++i) {
        text += (i == 0 ? "" : "+") + graph_.node(group.nodes[i]).name;
      }
    }
    return text;
  }

  DType type_ = DType::kFloat32;  // of inputs
  std::shared_ptr<const Capabilities> capabilities_ = cpu();
  ir::Graph graph_;
  ops::Registry registry_ = ops::Registry::builtin();
};

TEST_F(Fusing, AChainRunsInItsProduct) {
  const auto y = apply("y", "matmul", {input("x"), input("w")});
  EXPECT_EQ(groups(apply("b", "add", {apply("a", "relu", {y}), input("r")})), "y+a+b");
}

TEST_F(Fusing, AValueThatSeveralMembersReadComesIn) {
  const auto y = apply("y", "matmul", {input("x"), input("w")});
  const auto gate = apply("b", "sigmoid", {apply("a", "neg", {y})});
  EXPECT_EQ(groups(apply("c", "mul", {y, gate})), "y+a+b+c");
}

TEST_F(Fusing, AValueThatOthersReadTooStaysOutside) {
  const auto a = apply("a", "relu", {input("x")});
  const auto b = apply("b", "neg", {a});
  const auto y = apply("y", "matmul", {a, input("w")});
  EXPECT_EQ(groups(apply("c", "add", {y, b})), "a, b+y+c");
}

TEST_F(Fusing, WhatAProductReadsIsMadeBeforeIt) {
  const auto a = apply("a", "relu", {input("x")});
  const auto y = apply("y", "matmul", {a, input("w")});
  EXPECT_EQ(groups(apply("c", "add", {y, a})), "a, y+c");
}

TEST_F(Fusing, AFunctionOfAGroupNormRunsInItsKernelOnGpus) {
  const auto norm = [&](const std::string& name) {
    const auto x = graph_.add_input(name + "/x", {type_, {2, 8, 5}});
    const auto parameter = graph_.add_constant(name + "/p", ir::constant_fill(type_, {8}, 1));
    const Attributes attributes = {{"group_channels", Dim(4)}, {"epsilon", 1e-5}};
    return ops::Builder(graph_, registry_)
        .add1(name, "group_norm", attributes, {x, parameter, parameter});
  };
  const auto a = apply("a", "silu", {norm("n")});
  const auto b = apply("b", "add", {norm("m"), a});  // what has other operands does not
  EXPECT_EQ(groups(b), "n, m, a+b");
  capabilities_ = of_backend("cuda");
  EXPECT_EQ(groups(b), "n+a, m, b");
  EXPECT_EQ(groups(apply("d", "exp", {apply("c", "silu", {a})})), "n+a, m, b, c+d");
}

// cuBLASLt adds one row and one matrix and then has few functions.
class FusingOnGpus : public Fusing {
 protected:
  FusingOnGpus() { capabilities_ = of_backend("cuda"); }
  ir::ValueId product(DType type = DType::kFloat16) {
    type_ = type;
    return apply("y", "matmul", {input("x"), input("w")});
  }
  ir::ValueId row(const std::string& name, Shape shape = {8}) {
    const auto source = graph_.add_input(name + "_row", {type_, std::move(shape)});
    const Attributes attributes = {{"shape", std::vector<Dim>{8, 8}}};
    return ops::Builder(graph_, registry_).add1(name, "broadcast", attributes, {source});
  }
};

TEST_F(FusingOnGpus, AProductTakesBiasMatrixAndFunction) {
  const auto biased = apply("a", "add", {product(), row("b")});
  const auto sum = apply("c", "add", {input("r"), biased});
  EXPECT_EQ(groups(apply("d", "relu", {sum})), "b, y+a+c+d");
}

TEST_F(FusingOnGpus, GeluOfHalfPrecisionIsTheOneWithTanh) {
  EXPECT_EQ(groups(apply("a", "gelu_tanh", {product()})), "y+a");
}

TEST_F(FusingOnGpus, GeluOfFloat32IsAKernelOfItsOwn) {
  EXPECT_EQ(groups(apply("a", "gelu_tanh", {product(DType::kFloat32)})), "y, a");
}

TEST_F(FusingOnGpus, WhatAProductDoesNotTakeStaysTogether) {
  const auto biased = apply("a", "add", {product(), row("b")});
  EXPECT_EQ(groups(apply("d", "mul", {apply("c", "gelu", {biased}), input("r")})), "b, y+a, c+d");
}

TEST_F(FusingOnGpus, AColumnIsNoBias) {
  EXPECT_EQ(groups(apply("a", "add", {product(), row("b", {8, 1})})), "y, b, a");
}

TEST_F(FusingOnGpus, OneMatrixIsTaken) {
  const auto sum = apply("a", "add", {product(), input("r")});
  EXPECT_EQ(groups(apply("b", "add", {sum, input("s")})), "y+a, b");
}

}  // namespace
}  // namespace cleave::capabilities
