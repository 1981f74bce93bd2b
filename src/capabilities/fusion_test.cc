#include "capabilities/fusion.h"

#include <gtest/gtest.h>

#include "ops/builder.h"

namespace cleave::capabilities {
namespace {

class Fusing : public ::testing::Test {
 protected:
  ir::ValueId input(const std::string& name) {
    return graph_.add_input(name, {DType::kFloat32, {8, 8}});
  }
  ir::ValueId apply(const std::string& name, const std::string& op,
                    std::vector<ir::ValueId> inputs) {
    return ops::Builder(graph_, registry_).add1(name, op, {}, std::move(inputs));
  }
  // "a+b, c": the groups, by their nodes.
  std::string groups(ir::ValueId output) {
    graph_.set_outputs({output});
    std::string text;
    for (const FusionGroup& group : fuse(graph_, registry_, *cpu()).groups) {
      text += text.empty() ? "" : ", ";
      for (size_t i = 0; i < group.nodes.size(); ++i) {
        text += (i == 0 ? "" : "+") + graph_.node(group.nodes[i]).name;
      }
    }
    return text;
  }

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

}  // namespace
}  // namespace cleave::capabilities
