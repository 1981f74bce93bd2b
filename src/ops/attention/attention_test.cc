#include <gtest/gtest.h>

#include "tests/ops_support/decomposition_check.h"
#include "tests/ops_support/rule_check.h"
#include "tests/ops_support/tensors.h"

namespace cleave::ops {
namespace {

using testing::difference;
using testing::inference_error;
using testing::random_integers;
using testing::random_reals;
using testing::tensor;

TensorType f32(Shape shape) { return {DType::kFloat32, std::move(shape)}; }

Attributes scaled(double scale, bool causal = false) {
  return {{"scale", scale}, {"causal", Dim(causal ? 1 : 0)}};
}

class KnownAttention : public ::testing::Test {
 protected:
  HostTensor run(const Attributes& attributes, const std::vector<HostTensor>& mask = {}) {
    std::vector<HostTensor> inputs = {q, k, v};
    inputs.insert(inputs.end(), mask.begin(), mask.end());
    return testing::run_reference("attention", attributes, inputs)[0];
  }
  static std::string compare(const HostTensor& actual, const std::vector<double>& expected) {
    return difference(actual, tensor(DType::kFloat32, {1, 2, 2, 2}, expected), 1e-6);
  }

  // Two query heads share one key head; three columns for two rows.
  HostTensor q = tensor(DType::kFloat32, {1, 2, 2, 3}, {-2, -1, 0, 1, 2, -2, -1, 0, 1, 2, -2, -1});
  HostTensor k = tensor(DType::kFloat32, {1, 1, 3, 3}, {-1, 0, 1, 2, -1, 0, 1, 2, -1});
  HostTensor v = tensor(DType::kFloat32, {1, 1, 3, 2}, {0, 1, 2, 3, 4, 5});
};

TEST_F(KnownAttention, Plain) {
  EXPECT_EQ(compare(run(scaled(0.5)),
                    {0.3209888125297269, 1.320988812529727, 3.9157647036623953, 4.915764703662395,
                     0.6390418735152044, 1.6390418735152041, 2.036662383428015, 3.036662383428015}),
            "");
}

const std::vector<double> kCausal = {0.15171636004248712, 1.1517163600424873, 3.9157647036623953,
                                     4.915764703662395,   0.2384058440442351, 1.238405844044235,
                                     2.036662383428015,   3.036662383428015};

TEST_F(KnownAttention, CausalRowsEndWithTheLastColumn) {
  EXPECT_EQ(compare(run(scaled(0.5, true)), kCausal), "");
}

TEST_F(KnownAttention, CausalWorkIsThatOfTheScoresThatRowsSee) {
  const Registry registry = Registry::builtin();
  const OpDefinition& attention = registry.at("attention");
  const auto work = [&](int64_t rows, int64_t columns, Attributes attributes) {
    attributes.set("scale", 1.0);
    const TensorType q = {DType::kFloat32, {1, 2, rows, 8}};
    const TensorType kv = {DType::kFloat32, {1, 2, columns, 8}};
    const std::vector<TensorType> inputs = {q, kv, kv};
    return attention.work({attributes, inputs}, std::vector<TensorType>{q});
  };
  const Dim a_score = Dim(2 * (2 * 16 + 5));  // of both heads
  EXPECT_EQ(work(4, 4, {}).flops, a_score * 16);
  EXPECT_EQ(work(4, 4, {{"causal", Dim(1)}}).flops, a_score * (1 + 2 + 3 + 4));
  EXPECT_EQ(work(4, 6, {{"causal", Dim(1)}}).flops, a_score * (3 + 4 + 5 + 6));
  EXPECT_EQ(work(4, 4, {{"causal", Dim(1)}}).kind, "causal");
  // A rank's rows: the last two of four.
  const Attributes last = {{"causal", Dim(1)}, {"row_offset", Dim(2)}, {"rows_total", Dim(4)}};
  EXPECT_EQ(work(2, 4, last).flops, a_score * (3 + 4));
  EXPECT_EQ(work(1, 6, {{"causal", Dim(1)}}).flops, a_score * 6);
  EXPECT_EQ(work(1, 6, {{"causal", Dim(1)}}).kind, "");
}

TEST_F(KnownAttention, MasksHideColumns) {
  const double hidden = -std::numeric_limits<double>::infinity();
  EXPECT_EQ(
      compare(run(scaled(0.5), {tensor(DType::kBool, {1, 1, 2, 3}, {1, 1, 0, 1, 1, 1})}), kCausal),
      "");
  EXPECT_EQ(
      compare(run(scaled(0.5), {tensor(DType::kFloat32, {1, 1, 2, 3}, {0, 0, hidden, 0, 0, 0})}),
              kCausal),
      "");
}

TEST_F(KnownAttention, NothingVisibleGivesZeros) {
  const HostTensor y = run(scaled(0.5), {tensor(DType::kBool, {1, 1, 2, 1}, {0, 1})});
  EXPECT_EQ(y.get(0), 0);
  EXPECT_EQ(y.get(1), 0);
  EXPECT_NE(y.get(2), 0);
}

TEST(Attention, NoElements) {
  const auto shape = [](std::vector<int64_t> q, std::vector<int64_t> k) {
    const HostTensor keys(DType::kFloat32, std::move(k));
    return testing::run_reference("attention", scaled(1),
                                  {HostTensor(DType::kFloat32, std::move(q)), keys, keys})[0];
  };
  EXPECT_EQ(shape({0, 2, 3, 4}, {0, 2, 3, 4}).elements(), 0);
  EXPECT_EQ(shape({1, 2, 0, 4}, {1, 2, 3, 4}).elements(), 0);
  EXPECT_EQ(shape({1, 0, 3, 4}, {1, 0, 3, 4}).elements(), 0);
  // No columns: zeros.
  EXPECT_EQ(testing::values_of(shape({1, 1, 2, 1}, {1, 1, 0, 1})), (std::vector<double>{0, 0}));
}

// Every factor over heads that are shared by 1, 2, 3 and all; N = 5 leaves ranks without heads.
TEST(Attention, RulesOfSharedHeads) {
  const Dim b = Dim::symbol("b");
  const Dim s = Dim::symbol("s");
  for (const int64_t kv_heads : {6, 3, 2, 1}) {
    for (const bool causal : {false, true}) {
      testing::RuleCase c{"attention",
                          scaled(0.25, causal),
                          {random_integers(DType::kFloat32, {2, 6, 3, 4}, 1),
                           random_integers(DType::kFloat32, {2, kv_heads, 5, 4}, 2),
                           random_integers(DType::kFloat32, {2, kv_heads, 5, 3}, 3)},
                          1e-6};
      c.ranks = {2, 3, 4, 5, 8};
      const std::set<std::string> all = {"b", "h", "s", "e", "partial 2"};
      EXPECT_EQ(testing::check_rules(c), all);
      c.shapes = {{b, 6, s, 4}, {b, kv_heads, s + 2, 4}, {b, kv_heads, s + 2, 3}};
      c.symbols = {{"b", 2}, {"s", 3}};
      EXPECT_EQ(testing::check_rules(c), all);
    }
  }
}

TEST(Attention, RulesOfMasks) {
  const std::vector<std::vector<int64_t>> shapes = {
      {2, 4, 3, 5}, {1, 1, 3, 5}, {2, 1, 1, 5}, {1, 4, 1, 1}};
  for (const std::vector<int64_t>& shape : shapes) {
    for (const DType type : {DType::kBool, DType::kFloat32}) {
      const testing::RuleCase c{
          "attention",
          scaled(0.25, shape[0] == 1),
          {random_integers(DType::kFloat32, {2, 4, 3, 4}, 1),
           random_integers(DType::kFloat32, {2, 2, 5, 4}, 2),
           random_integers(DType::kFloat32, {2, 2, 5, 3}, 3), random_integers(type, shape, 4)},
          1e-6};
      EXPECT_EQ(testing::check_rules(c), (std::set<std::string>{"b", "h", "s", "e", "partial 2"}));
    }
  }
}

TEST(Attention, Decomposes) {
  const Dim b = Dim::symbol("b");
  const Dim s = Dim::symbol("s");
  for (const int64_t kv_heads : {4, 2, 1}) {
    for (const DType type : {DType::kFloat32, DType::kFloat16}) {
      for (const int kind : {0, 1, 2, 3}) {
        testing::RuleCase c{"attention",
                            scaled(0.5, kind == 1),
                            {random_reals(type, {2, 4, 3, 4}, 1, -3, 3),
                             random_reals(type, {2, kv_heads, 5, 4}, 2, -3, 3),
                             random_reals(type, {2, kv_heads, 5, 3}, 3)},
                            type == DType::kFloat16 ? 2e-3 : 2e-6};
        if (kind == 2) c.inputs.push_back(random_integers(DType::kBool, {1, 4, 3, 5}, 4));
        if (kind == 3) c.inputs.push_back(random_reals(type, {2, 1, 1, 5}, 4, -5, 5));
        testing::check_decomposition(c);
        if (kind == 2) {  // a row without a visible column
          for (int64_t t = 0; t < 5; ++t) c.inputs[3]->set(t, 0);
          testing::check_decomposition(c);
        }
        c.shapes = {{b, 4, s, 4}, {b, kv_heads, s + 2, 4}, {b, kv_heads, s + 2, 3}};
        if (kind == 2) c.shapes.push_back({1, 4, s, s + 2});
        if (kind == 3) c.shapes.push_back({b, 1, 1, s + 2});
        c.symbols = {{"b", 2}, {"s", 3}};
        testing::check_decomposition(c);
      }
    }
  }
}

// Of a rank that has heads 1 to 3 of 6, which share 3 key heads.
Attributes local_heads() {
  Attributes attributes = scaled(0.5);
  attributes.set("group", Dim(2));
  attributes.set("head_offset", Dim(1));
  attributes.set("kv_offset", Dim(0));
  return attributes;
}

// Of a rank whose causal rows begin at row 2 of `total`.
Attributes local_rows(int64_t total) {
  Attributes attributes = scaled(0.5, true);
  attributes.set("row_offset", Dim(2));
  attributes.set("rows_total", Dim(total));
  return attributes;
}

TEST(Attention, LocalOpsDecompose) {
  testing::check_decomposition({"attention",
                                local_heads(),
                                {random_reals(DType::kFloat32, {2, 3, 3, 4}, 1),
                                 random_reals(DType::kFloat32, {2, 2, 5, 4}, 2),
                                 random_reals(DType::kFloat32, {2, 2, 5, 3}, 3)},
                                2e-6});
  testing::check_decomposition({"attention",
                                local_rows(4),
                                {random_reals(DType::kFloat32, {1, 2, 2, 4}, 1),
                                 random_reals(DType::kFloat32, {1, 2, 5, 4}, 2),
                                 random_reals(DType::kFloat32, {1, 2, 5, 3}, 3)},
                                2e-6});
}

// What is split by rows already can be split by rows again, and by heads no further.
TEST(Attention, RulesOfALocalOp) {
  const testing::RuleCase rows{"attention",
                               local_rows(6),
                               {random_reals(DType::kFloat32, {1, 2, 4, 4}, 1),
                                random_reals(DType::kFloat32, {1, 2, 6, 4}, 2),
                                random_reals(DType::kFloat32, {1, 2, 6, 3}, 3)},
                               1e-6};
  EXPECT_EQ(testing::check_rules(rows), (std::set<std::string>{"b", "h", "s", "e", "partial 2"}));
  const testing::RuleCase heads{"attention",
                                local_heads(),
                                {random_reals(DType::kFloat32, {1, 3, 4, 4}, 1),
                                 random_reals(DType::kFloat32, {1, 2, 6, 4}, 2),
                                 random_reals(DType::kFloat32, {1, 2, 6, 3}, 3)},
                                1e-6};
  EXPECT_EQ(testing::check_rules(heads), (std::set<std::string>{"b", "s", "e", "partial 2"}));
}

TEST(Attention, Errors) {
  const TensorType q = f32({2, 4, 3, 8});
  const TensorType k = f32({2, 2, 5, 8});
  const auto error = [&](const TensorType& keys, const TensorType& values) {
    return inference_error("attention", scaled(1), {q, keys, values});
  };
  EXPECT_EQ(error(k, k), "");
  EXPECT_NE(error(f32({2, 3, 5, 8}), f32({2, 3, 5, 8})).find("not shared out evenly"),
            std::string::npos);
  EXPECT_NE(error(f32({2, 0, 5, 8}), f32({2, 0, 5, 8})).find("no key heads"), std::string::npos);
  EXPECT_NE(error(k, f32({2, 4, 5, 8})).find("the heads of keys and values"), std::string::npos);
  EXPECT_NE(error(k, f32({2, 2, 6, 8})).find("the rows of keys and values"), std::string::npos);
  EXPECT_NE(error(f32({2, 2, 5, 7}), k).find("the depths"), std::string::npos);
  EXPECT_NE(error(f32({1, 2, 5, 8}), k).find("the batches"), std::string::npos);
  EXPECT_NE(error(f32({2, 5, 8}), k).find("four dimensions"), std::string::npos);
  const auto mask_error = [&](const TensorType& mask) {
    return inference_error("attention", scaled(1), {q, k, k, mask});
  };
  EXPECT_EQ(mask_error(f32({1, 1, 3, 5})), "");
  EXPECT_EQ(mask_error({DType::kBool, {2, 1, 3, 1}}), "");
  EXPECT_NE(mask_error({DType::kInt32, {1, 1, 3, 5}}), "");
  EXPECT_NE(mask_error(f32({3, 5})), "");
  EXPECT_NE(mask_error(f32({1, 1, 4, 5})).find("dimension 2 of the mask"), std::string::npos);
}

}  // namespace
}  // namespace cleave::ops
