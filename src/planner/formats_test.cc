#include "planner/formats.h"

#include <gtest/gtest.h>

#include "capabilities/view_walk.h"
#include "ops/builder.h"

namespace cleave::planner {
namespace {

// A network of convolutions over an image, in the making.
class Formats : public ::testing::Test {
 protected:
  ir::ValueId input(const std::string& name, std::vector<Dim> shape) {
    return graph_.add_input(name, {type_, std::move(shape)});
  }
  // `taps` × `taps`, the image stays as large as it is.
  ir::ValueId conv(const std::string& name, ir::ValueId x, int64_t outputs, int64_t taps,
                   int64_t groups = 1) {
    const Shape shape = graph_.type(x).shape;
    const int64_t channels = shape[1].constant() / groups;
    const auto w = graph_.add_constant(
        name + "/w", ir::constant_fill(type_, {outputs, channels, taps, taps}, 0.5));
    const std::vector<Dim> ones = {1, 1};
    return ops::Builder(graph_, registry_)
        .add1(name, "conv",
              {{"strides", ones},
               {"dilations", ones},
               {"low", std::vector<Dim>{taps / 2, taps / 2}},
               {"outputs", std::vector<Dim>{shape[2], shape[3]}},
               {"groups", Dim(groups)}},
              {x, w});
  }
  ir::ValueId apply(const std::string& op, std::vector<ir::ValueId> inputs,
                    Attributes attributes = {}) {
    return ops::Builder(graph_, registry_).add1(op, op, std::move(attributes), std::move(inputs));
  }
  ir::ValueId attention(const std::string& name, Shape heads) {
    const auto operand = [&](const char* which) { return input(name + which, heads); };
    return apply("attention", {operand("/q"), operand("/k"), operand("/v")}, {{"scale", 0.125}});
  }
  // The heads of each position joined again, and a layer of what that gives.
  ir::ValueId layer_of_heads(ir::ValueId heads) {
    const auto turned = apply("transpose", {heads}, {{"perm", std::vector<Dim>{0, 2, 1, 3}}});
    const Shape shape = graph_.type(turned).shape;
    const Dim features = shape[2] * shape[3];
    const auto rows =
        apply("reshape", {turned}, {{"shape", std::vector<Dim>{shape[0], shape[1], features}}});
    const auto w = graph_.add_constant("", ir::constant_fill(type_, {features.constant(), 8}, 1));
    return apply("matmul", {rows, w});
  }
  // Chooses, and says what has to be copied.
  std::vector<std::string> copies(std::vector<ir::ValueId> outputs) {
    graph_.set_outputs(std::move(outputs));
    Options options;
    options.points = {{{"n", 2}}};
    const bool on_cpu = capabilities_->backend() == "cpu";
    choose_formats(graph_, registry_, *capabilities_,
                   on_cpu ? cost::MachineModel::builtin() : cost::MachineModel::builtin_gpu(),
                   options);
    std::vector<std::string> copied;
    capabilities::ViewWalk walk(graph_, registry_, *capabilities_,
                                [&](const capabilities::ViewWalk::Copy& copy) {
                                  copied.push_back(graph_.value(copy.value).name);
                                });
    for (const auto& group : capabilities::fuse(graph_, registry_, *capabilities_).groups) {
      walk.advance(group);
    }
    return copied;
  }
  Format format(ir::ValueId id) const { return graph_.value(id).format; }

  ir::Graph graph_;
  DType type_ = DType::kFloat32;
  ops::Registry registry_ = ops::Registry::builtin();
  std::shared_ptr<const capabilities::Capabilities> capabilities_ = capabilities::cpu();
};

TEST_F(Formats, ConvolutionsOneAfterTheOtherKeepChannelsLast) {
  const auto x = input("x", {Dim::symbol("n"), 64, 56, 56});
  const auto a = apply("relu", {conv("a", x, 128, 3)});
  const auto b = conv("b", a, 128, 3, 128);
  const auto c = conv("c", apply("add", {a, b}), 128, 1);
  EXPECT_EQ(copies({apply("reduce_sum", {c}, {{"axes", std::vector<Dim>{2, 3}}})}),
            std::vector<std::string>{"x"});
  for (const ir::ValueId id : {a, b, c}) EXPECT_EQ(format(id), Format::kChannelsLast);
  EXPECT_EQ(format(x), Format::kRowMajor);
}

TEST_F(Formats, AStageOfAUNetIsChannelsLastOnGpus) {
  capabilities_ = capabilities::of_backend("cuda");
  type_ = DType::kFloat16;
  const auto x = input("x", {2, 320, 128, 128});
  const auto norm = [&](ir::ValueId of) {
    const auto ones = graph_.add_constant("", ir::constant_fill(type_, {320}, 1));
    const auto zeros = graph_.add_constant("", ir::constant_fill(type_, {320}, 0));
    const Attributes groups = {{"group_channels", Dim(10)}, {"epsilon", 1e-5}};
    return apply("silu", {apply("group_norm", {of, ones, zeros}, groups)});
  };
  const auto a = conv("a", norm(conv("in", x, 320, 3)), 320, 3);
  const auto half = apply("average_pool", {apply("add", {conv("b", norm(a), 320, 3), a})},
                          {{"kernel", std::vector<Dim>{2, 2}},
                           {"strides", std::vector<Dim>{2, 2}},
                           {"dilations", std::vector<Dim>{1, 1}},
                           {"low", std::vector<Dim>{0, 0}},
                           {"outputs", std::vector<Dim>{64, 64}},
                           {"counted_low", std::vector<Dim>{0, 0}},
                           {"counted_high", std::vector<Dim>{0, 0}}});
  const auto up = apply("resize", {half},
                        {{"shape", std::vector<Dim>{2, 320, 128, 128}},
                         {"axes", std::vector<Dim>{2, 3}},
                         {"mode", "nearest"}});
  const auto joined = apply("concat", {up, a}, {{"axis", Dim(1)}});
  const auto c = conv("c", joined, 4, 3);
  EXPECT_EQ(copies({c}), std::vector<std::string>{"x"});
  for (const ir::ValueId id : {a, half, up, joined, c}) {
    EXPECT_EQ(format(id), Format::kChannelsLast);
  }
}

TEST_F(Formats, ATransposeToChannelsLastIsAView) {
  const auto x = input("x", {Dim::symbol("n"), 64, 56, 56});
  const auto a = conv("a", x, 64, 7, 64);
  const auto last = apply("transpose", {a}, {{"perm", std::vector<Dim>{0, 2, 3, 1}}});
  const auto softmax = apply("softmax", {last}, {{"axis", Dim(3)}});
  EXPECT_EQ(copies({softmax}), std::vector<std::string>{"x"});
  EXPECT_EQ(format(a), Format::kChannelsLast);
}

// Attention over an image takes its points as rows; cuBLAS reads them where they lie.
TEST_F(Formats, PointsOfAnImageAreRowsOfAProductOnGpus) {
  capabilities_ = capabilities::of_backend("cuda");
  type_ = DType::kFloat16;
  const auto a = conv("a", input("x", {2, 320, 64, 64}), 320, 3);
  const auto points = apply("reshape", {a}, {{"shape", std::vector<Dim>{2, 320, 4096}}});
  const auto weight = graph_.add_constant("w", ir::constant_fill(type_, {320, 320}, 0.5));
  const auto rows = apply("matmul", {points, weight}, {{"transpose_a", Dim(1)}});
  const auto back = apply("transpose", {rows}, {{"perm", std::vector<Dim>{0, 2, 1}}});
  const auto image = apply("reshape", {back}, {{"shape", std::vector<Dim>{2, 320, 64, 64}}});
  const auto c = conv("c", apply("add", {a, image}), 4, 3);
  EXPECT_EQ(copies({c}), std::vector<std::string>{"x"});
  for (const ir::ValueId id : {a, c}) EXPECT_EQ(format(id), Format::kChannelsLast);
}

// A chain on GPUs reads in one order and writes in the other in less time than a copy more takes.
TEST_F(Formats, ACastBringsAnImageToItsOrderOnGpus) {
  capabilities_ = capabilities::of_backend("cuda");
  const auto x = input("x", {2, 320, 128, 128});
  type_ = DType::kFloat16;
  const auto cast = apply("cast", {x}, {{"to", type_}});
  const auto a = conv("a", cast, 320, 3);
  EXPECT_TRUE(copies({a}).empty());
  for (const ir::ValueId id : {cast, a}) EXPECT_EQ(format(id), Format::kChannelsLast);
}

TEST_F(Formats, AttentionLeavesItsHeadsAsTheyAreJoined) {
  const auto y = attention("a", {Dim::symbol("n"), 12, 128, 64});
  EXPECT_TRUE(copies({layer_of_heads(y)}).empty());
  EXPECT_EQ(format(y), Format::kHeadsInside);
}

TEST_F(Formats, AChainHandsOnHowAttentionLeftItsHeads) {
  const auto y = attention("a", {2, 16, 512, 128});
  const auto bounded = apply("tanh", {y});
  EXPECT_TRUE(copies({layer_of_heads(bounded)}).empty());
  for (const ir::ValueId id : {y, bounded}) EXPECT_EQ(format(id), Format::kHeadsInside);
}

// There it is as good to read whole rows in one order and write them in the other.
TEST_F(Formats, AChainBringsHeadsInsideOnGpus) {
  capabilities_ = capabilities::of_backend("cuda");
  type_ = DType::kBFloat16;
  const auto bounded = apply("tanh", {attention("a", {2, 16, 512, 128})});
  EXPECT_TRUE(copies({layer_of_heads(bounded)}).empty());
  EXPECT_EQ(format(bounded), Format::kHeadsInside);
}

TEST_F(Formats, HeadsAreRowMajorForThoseWhoReadThemSo) {
  const auto y = attention("a", {Dim::symbol("n"), 12, 128, 64});
  EXPECT_TRUE(copies({apply("softmax", {y}, {{"axis", Dim(3)}})}).empty());
  EXPECT_EQ(format(y), Format::kRowMajor);
}

TEST_F(Formats, ReadersOfHeadsGetTheFewestCopies) {
  const auto heads = Shape{Dim::symbol("n"), 12, 128, 64};
  const auto as_rows = attention("a", heads);
  const auto joined = attention("b", heads);
  const auto softmax = [&](ir::ValueId of, int64_t axis) {
    return apply("softmax", {of}, {{"axis", Dim(axis)}});
  };
  const auto copied = copies({softmax(as_rows, 2), softmax(as_rows, 3), layer_of_heads(as_rows),
                              layer_of_heads(joined), layer_of_heads(joined), softmax(joined, 3)});
  EXPECT_EQ(copied, (std::vector<std::string>{"transpose", "attention#2"}));
  EXPECT_EQ(format(as_rows), Format::kRowMajor);
  EXPECT_EQ(format(joined), Format::kHeadsInside);
}

// What comes before attention is read through strides: nothing is gained by how it lies.
TEST_F(Formats, ChainsBeforeAttentionStayAsTheyWere) {
  const auto x = input("x", {2, 128, 12, 64});
  const auto turned = apply("transpose", {x}, {{"perm", std::vector<Dim>{0, 2, 1, 3}}});
  const auto q = apply("neg", {turned});
  const auto y = apply("attention", {q, turned, turned}, {{"scale", 0.125}});
  EXPECT_TRUE(copies({layer_of_heads(y)}).empty());
  EXPECT_EQ(format(q), Format::kRowMajor);
  EXPECT_EQ(format(y), Format::kHeadsInside);
}

TEST_F(Formats, ImagesAndHeadsOfOneNetworkHaveEachTheirs) {
  const auto a = conv("a", input("x", {2, 64, 56, 56}), 128, 3);
  const auto b = conv("b", a, 128, 3);
  const auto y = attention("c", {2, 12, 128, 64});
  const auto mean = apply("reduce_sum", {b}, {{"axes", std::vector<Dim>{2, 3}}});
  EXPECT_EQ(copies({mean, layer_of_heads(y)}), std::vector<std::string>{"x"});
  for (const ir::ValueId id : {a, b}) EXPECT_EQ(format(id), Format::kChannelsLast);
  EXPECT_EQ(format(y), Format::kHeadsInside);
}

// A flatten that is no view of an image as it lies is a copy, which counts like those of readers:
// more than the one of the few channels that come in.
TEST_F(Formats, AReshapeThatHasToCopyIsCounted) {
  const auto x = input("x", {Dim::symbol("n"), 8, 8, 8});
  const auto image = apply("transpose", {x}, {{"perm", std::vector<Dim>{0, 3, 1, 2}}});
  const auto a = conv("a", image, 512, 1);
  const auto flat =
      apply("reshape", {a}, {{"shape", std::vector<Dim>{Dim::symbol("n"), 512 * 64}}});
  const auto copied = copies({apply("softmax", {flat}, {{"axis", Dim(1)}})});
  EXPECT_EQ(copied, std::vector<std::string>{"transpose"});
  EXPECT_EQ(format(a), Format::kRowMajor);
}

TEST_F(Formats, OnlyWhereThatIsCheaper) {
  // One small convolution between readers of row-major tensors: copies cost more than it gains.
  const auto x = input("x", {Dim::symbol("n"), 256, 8, 8});
  const auto a = conv("a", apply("softmax", {x}, {{"axis", Dim(3)}}), 256, 1);
  EXPECT_TRUE(copies({apply("softmax", {a}, {{"axis", Dim(3)}})}).empty());
  EXPECT_EQ(format(a), Format::kRowMajor);
}

TEST_F(Formats, NetworksWithoutConvolutionsStayRowMajor) {
  const auto x = input("x", {Dim::symbol("n"), 12, 64, 64});
  const auto y = apply("add", {apply("relu", {x}), x});
  EXPECT_TRUE(copies({y}).empty());
  EXPECT_EQ(format(y), Format::kRowMajor);
}

}  // namespace
}  // namespace cleave::planner
