// broadcast, transpose, slice, reverse, concat, split and pad.
#include "ops/movement.h"

#include <gtest/gtest.h>

#include "tests/ops_support/rule_check.h"
#include "tests/ops_support/tensors.h"

namespace cleave::ops {
namespace {

using testing::check_rules;
using testing::inference_error;
using testing::integers_of;
using testing::random_integers;
using testing::RuleCase;
using testing::run_reference;
using testing::tensor;
using Names = std::set<std::string>;
using Values = std::vector<int64_t>;

const Dim n = Dim::symbol("n");
const DType kF32 = DType::kFloat32;

HostTensor counting(std::vector<int64_t> shape) {
  HostTensor result(kF32, std::move(shape));
  for (int64_t i = 0; i < result.elements(); ++i) result.set(i, static_cast<double>(i));
  return result;
}

Values run(std::string_view op, const Attributes& attributes, const HostTensor& x) {
  return integers_of(run_reference(op, attributes, {x})[0]);
}

// The names and the linear sets of `operands` for every reduction.
Names with_partial(Names names, const std::string& operands) {
  for (const char* reduce : {"", ":max", ":min", ":prod"}) {
    names.insert("partial" + operands + reduce);
  }
  return names;
}

TEST(Broadcast, AlignsFromTheRight) {
  const HostTensor x = tensor(kF32, {2, 1}, {1, 2});
  const HostTensor y = run_reference("broadcast", {{"shape", Shape{2, 2, 3}}}, {x})[0];
  EXPECT_EQ(y.shape, (Values{2, 2, 3}));
  EXPECT_EQ(integers_of(y), (Values{1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2}));
  EXPECT_EQ(run("broadcast", {{"shape", Shape{3}}}, tensor(kF32, {}, {7})), (Values{7, 7, 7}));
  EXPECT_EQ(run("broadcast", {{"shape", Shape{0, 2}}}, counting({1, 2})), Values{});
}

TEST(Broadcast, Rules) {
  RuleCase c{"broadcast",
             {{"shape", Shape{5, n, 3, 4}}},
             {random_integers(kF32, {6, 1, 4}, 1)},
             0,
             {{n, 1, 4}},
             {{"n", 6}}};
  EXPECT_EQ(check_rules(c), with_partial({"d0", "d1", "d2", "d3"}, " 0"));
}

TEST(Broadcast, Errors) {
  EXPECT_EQ(inference_error("broadcast", {{"shape", Shape{4}}}, {{kF32, {3}}}),
            "broadcast to [4], dimension 0: 4 and 3 are not equal");
  EXPECT_EQ(inference_error("broadcast", {{"shape", Shape{4}}}, {{kF32, {1, 4}}}),
            "broadcast of [1, 4] to fewer dimensions: [4]");
}

TEST(Transpose, MovesDimensions) {
  EXPECT_EQ(run("transpose", {{"perm", Shape{1, 0}}}, counting({2, 3})),
            (Values{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(run("transpose", {{"perm", Shape{2, 0, 1}}}, counting({2, 1, 2})),
            (Values{0, 2, 1, 3}));
  EXPECT_EQ(run("transpose", {{"perm", Shape{}}}, tensor(kF32, {}, {5})), (Values{5}));
}

TEST(Transpose, Rules) {
  RuleCase c{"transpose",
             {{"perm", Shape{2, 0, 1}}},
             {random_integers(kF32, {5, 4, 3}, 1)},
             0,
             {{n, 4, 3}},
             {{"n", 5}}};
  EXPECT_EQ(check_rules(c), with_partial({"d0", "d1", "d2"}, " 0"));
  EXPECT_NE(inference_error("transpose", {{"perm", Shape{0, 0}}}, {{kF32, {2, 2}}}), "");
  EXPECT_NE(inference_error("transpose", {{"perm", Shape{0}}}, {{kF32, {2, 2}}}), "");
}

Attributes slice(Shape begin, Shape extent, Shape step) {
  return {{"begin", std::move(begin)}, {"extent", std::move(extent)}, {"step", std::move(step)}};
}

TEST(Slice, TakesEveryStep) {
  EXPECT_EQ(run("slice", slice({1}, {3}, {2}), counting({7})), (Values{1, 3, 5}));
  EXPECT_EQ(run("slice", slice({1, 0}, {1, 2}, {1, 1}), counting({2, 3})), (Values{3, 4}));
  EXPECT_EQ(run("slice", slice({2, 0}, {0, 3}, {1, 1}), counting({2, 3})), Values{});
}

TEST(Slice, Rules) {
  // The first dimension whole, a part of the second, every second element of the third.
  RuleCase c{"slice",
             slice({0, 2, 1}, {n, 4, 2}, {1, 1, 2}),
             {random_integers(kF32, {5, 9, 5}, 1)},
             0,
             {{n, 9, 5}},
             {{"n", 5}}};
  EXPECT_EQ(check_rules(c), with_partial({"d0", "d1"}, " 0"));
  // Bounds that are expressions: the second half of a dimension of 2n.
  RuleCase half{"slice",   slice({n}, {n}, {1}), {random_integers(kF32, {10}, 1)}, 0, {{n * 2}},
                {{"n", 5}}};
  EXPECT_EQ(check_rules(half), with_partial({"d0"}, " 0"));
  // One of three interleaved tensors: a rank holds whole steps.
  for (int64_t begin : {0, 1, 2}) {
    RuleCase interleaved{"slice",
                         slice({0, begin}, {2, n}, {1, 3}),
                         {random_integers(kF32, {2, 21}, 1)},
                         0,
                         {{2, n * 3}},
                         {{"n", 7}}};
    EXPECT_EQ(check_rules(interleaved), with_partial({"d0", "d1"}, " 0"));
  }
}

TEST(Slice, Errors) {
  EXPECT_EQ(inference_error("slice", slice({1}, {3}, {2}), {{kF32, {5}}}),
            "dimension 0 of a slice ends at 6, beyond 5");
  EXPECT_EQ(inference_error("slice", slice({-1}, {3}, {1}), {{kF32, {5}}}),
            "the begin of a slice is negative: -1");
  EXPECT_EQ(inference_error("slice", slice({0}, {3}, {0}), {{kF32, {5}}}),
            "the step of a slice is 0");
  EXPECT_NE(inference_error("slice", slice({0}, {3}, {1}), {{kF32, {5, 5}}}), "");
  // A bound that only the shapes at run time show to be wrong.
  HostTensor out(kF32, {2});
  const HostTensor x = counting({3});
  const HostTensor* inputs[] = {&x};
  EXPECT_THROW(Registry::builtin().at("slice").reference(slice({2}, {2}, {1}), inputs, {&out, 1}),
               Error);
}

TEST(Reverse, RunsBackwards) {
  EXPECT_EQ(run("reverse", {{"axes", Shape{1}}}, counting({2, 3})), (Values{2, 1, 0, 5, 4, 3}));
  EXPECT_EQ(run("reverse", {{"axes", Shape{0, 1}}}, counting({2, 2})), (Values{3, 2, 1, 0}));
  EXPECT_EQ(run("reverse", {{"axes", Shape{0}}}, counting({0, 2})), Values{});
  RuleCase c{"reverse", {{"axes", Shape{1}}}, {random_integers(kF32, {5, 4}, 1)}, 0, {{n, 4}},
             {{"n", 5}}};
  EXPECT_EQ(check_rules(c), with_partial({"d0"}, " 0"));
  EXPECT_NE(inference_error("reverse", {{"axes", Shape{2}}}, {{kF32, {2, 2}}}), "");
}

TEST(Concat, JoinsAlongTheAxis) {
  const HostTensor y = run_reference(
      "concat", {{"axis", Dim(1)}},
      {tensor(kF32, {2, 1}, {1, 2}), counting({2, 0}), tensor(kF32, {2, 2}, {3, 4, 5, 6})})[0];
  EXPECT_EQ(y.shape, (Values{2, 3}));
  EXPECT_EQ(integers_of(y), (Values{1, 3, 4, 2, 5, 6}));
}

TEST(Concat, Rules) {
  RuleCase c{"concat",
             {{"axis", Dim(0)}},
             {random_integers(kF32, {5, 3}, 1), random_integers(kF32, {2, 3}, 2),
              random_integers(kF32, {10, 3}, 3)},
             0,
             {{n, 3}, {2, 3}, {n * 2, 3}},
             {{"n", 5}}};
  EXPECT_EQ(check_rules(c), with_partial({"d0", "d1"}, " 0 1 2"));
}

TEST(Concat, Errors) {
  EXPECT_NE(inference_error("concat", {{"axis", Dim(0)}}, {}), "");
  EXPECT_NE(inference_error("concat", {{"axis", Dim(2)}}, {{kF32, {1, 2}}}), "");
  EXPECT_NE(inference_error("concat", {{"axis", Dim(0)}}, {{kF32, {1, 2}}, {kF32, {1, 3}}}), "");
  EXPECT_NE(inference_error("concat", {{"axis", Dim(0)}}, {{kF32, {1}}, {DType::kInt32, {1}}}), "");
}

TEST(Split, IsTheInverseOfConcat) {
  const std::vector<HostTensor> parts =
      run_reference("split", {{"axis", Dim(1)}, {"sizes", Shape{1, 0, 2}}}, {counting({2, 3})});
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(integers_of(parts[0]), (Values{0, 3}));
  EXPECT_EQ(parts[1].shape, (Values{2, 0}));
  EXPECT_EQ(integers_of(parts[2]), (Values{1, 2, 4, 5}));
}

TEST(Split, Rules) {
  RuleCase c{"split",
             {{"axis", Dim(1)}, {"sizes", Shape{n, n * 2, 1}}},
             {random_integers(kF32, {3, 16}, 1)},
             0,
             {{3, n * 3 + 1}},
             {{"n", 5}}};
  EXPECT_EQ(check_rules(c), with_partial({"d0", "d1"}, " 0"));
  EXPECT_NE(inference_error("split", {{"axis", Dim(0)}, {"sizes", Shape{1, 2}}}, {{kF32, {4}}}),
            "");
  EXPECT_NE(inference_error("split", {{"axis", Dim(0)}, {"sizes", Shape{-1, 5}}}, {{kF32, {4}}}),
            "");
}

Attributes pad(Shape low, Shape high, double value) {
  return {{"low", std::move(low)}, {"high", std::move(high)}, {"value", value}};
}

TEST(Pad, Surrounds) {
  EXPECT_EQ(run("pad", pad({1, 0}, {0, 1}, 9), counting({1, 2})), (Values{9, 9, 9, 0, 1, 9}));
  EXPECT_EQ(run("pad", pad({1}, {1}, 2), counting({0})), (Values{2, 2}));
}

Attributes repeat(Shape low, Shape high, const char* mode) {
  return {{"low", std::move(low)}, {"high", std::move(high)}, {"mode", mode}};
}

TEST(Pad, RepeatsElements) {
  const HostTensor x = counting({3});
  EXPECT_EQ(run("pad", repeat({2}, {2}, "reflect"), x), (Values{2, 1, 0, 1, 2, 1, 0}));
  EXPECT_EQ(run("pad", repeat({2}, {1}, "edge"), x), (Values{0, 0, 0, 1, 2, 2}));
  EXPECT_EQ(run("pad", repeat({2}, {4}, "wrap"), x), (Values{1, 2, 0, 1, 2, 0, 1, 2, 0}));
  // More than there is.
  EXPECT_EQ(run("pad", repeat({0}, {6}, "reflect"), x), (Values{0, 1, 2, 1, 0, 1, 2, 1, 0}));
  EXPECT_EQ(run("pad", repeat({1}, {2}, "reflect"), counting({1})), (Values{0, 0, 0, 0}));
  EXPECT_EQ(run("pad", repeat({0, 1}, {1, 0}, "edge"), counting({2, 2})),
            (Values{0, 0, 1, 2, 2, 3, 2, 2, 3}));
}

TEST(Pad, Rules) {
  RuleCase c{"pad",     pad({0, 1}, {0, 2}, 0), {random_integers(kF32, {5, 3}, 1)}, 0, {{n, 3}},
             {{"n", 5}}};
  EXPECT_EQ(check_rules(c), with_partial({"d0", "d1"}, " 0"));
  c.attributes.set("value", 3.0);
  EXPECT_EQ(check_rules(c), (Names{"d0", "d1", "partial 0:max", "partial 0:min"}));
  // Ranks that have padding alone, of nothing at last.
  for (const auto& [low, extent, high] : {std::array<int64_t, 3>{9, 2, 0}, {0, 3, 11}, {4, 0, 3}}) {
    const HostTensor x = random_integers(kF32, {2, extent}, 1);
    const Names found = check_rules({"pad", pad({0, low}, {0, high}, 7), {x}});
    EXPECT_TRUE(found.contains("d1"));
  }
  c.attributes = pad({n, 0}, {1, 0}, 0);
  EXPECT_EQ(check_rules(c), with_partial({"d0", "d1"}, " 0"));
  EXPECT_NE(inference_error("pad", pad({-1}, {0}, 0), {{kF32, {3}}}), "");
  for (const char* mode : {"reflect", "edge", "wrap"}) {
    c.attributes = repeat({0, 1}, {0, 2}, mode);
    EXPECT_EQ(check_rules(c), with_partial({"d0"}, " 0"));
  }
}

TEST(Pad, Errors) {
  EXPECT_EQ(inference_error("pad", repeat({1}, {0}, "mirror"), {{kF32, {3}}}),
            "the mode of pad is 'mirror'");
  EXPECT_EQ(inference_error("pad", repeat({1}, {0}, "edge"), {{kF32, {0}}}),
            "dimension 0 of f32[0] has no elements to pad with");
}

}  // namespace
}  // namespace cleave::ops
