#include <gtest/gtest.h>

#include "tests/ops_support/rule_check.h"
#include "tests/ops_support/tensors.h"
#include "tests/support/kernel_harness.h"

namespace cleave::ops {
namespace {

using testing::inference_error;
using testing::random_integers;
using testing::run_reference;
using testing::tensor;
using testing::values_of;
using Names = std::set<std::string>;
using Values = std::vector<double>;

const DType kF32 = DType::kFloat32;

Attributes batches(int64_t count) { return {{"batch_dims", Dim(count)}}; }

Attributes by(const char* reduce) {
  return reduce ? Attributes{{"reduce", std::string(reduce)}} : Attributes{};
}

TEST(GatherNd, TakesElementsAndRows) {
  const HostTensor x = tensor(kF32, {2, 2, 2}, {0, 1, 2, 3, 4, 5, 6, 7});
  const HostTensor elements = tensor(DType::kInt64, {2, 3}, {0, 0, 1, -1, 1, 0});
  EXPECT_EQ(values_of(run_reference("gather_nd", {}, {x, elements})[0]), (Values{1, 6}));
  const HostTensor rows = tensor(DType::kInt32, {2, 1}, {1, 2});
  const HostTensor y = run_reference("gather_nd", {}, {x, rows})[0];
  EXPECT_EQ(y.shape, (std::vector<int64_t>{2, 2, 2}));
  EXPECT_EQ(values_of(y), (Values{4, 5, 6, 7, 0, 0, 0, 0}));  // there is no row 2
  const HostTensor in_batch = tensor(DType::kInt64, {2, 1}, {1, 0});
  EXPECT_EQ(values_of(run_reference("gather_nd", batches(1), {x, in_batch})[0]),
            (Values{2, 3, 4, 5}));
}

TEST(ScatterNd, UpdatesInOrder) {
  const HostTensor x = tensor(kF32, {3, 2}, {1, 2, 3, 4, 5, 6});
  const HostTensor i = tensor(DType::kInt64, {4, 1}, {2, 0, 7, -1});  // the last row twice
  const HostTensor u = tensor(kF32, {4, 2}, {10, 20, 30, 40, 0, 0, 2, -2});
  const auto scatter = [&](const char* reduce) {
    return values_of(run_reference("scatter_nd", by(reduce), {x, i, u})[0]);
  };
  EXPECT_EQ(scatter(nullptr), (Values{30, 40, 3, 4, 2, -2}));
  EXPECT_EQ(scatter("sum"), (Values{31, 42, 3, 4, 17, 24}));
  EXPECT_EQ(scatter("prod"), (Values{30, 80, 3, 4, 100, -240}));
  EXPECT_EQ(scatter("max"), (Values{30, 40, 3, 4, 10, 20}));
  EXPECT_EQ(scatter("min"), (Values{1, 2, 3, 4, 2, -2}));
}

TEST(IndexedRows, Rules) {
  const Dim n = Dim::symbol("n");
  const HostTensor i = random_integers(DType::kInt64, {5, 4, 2}, 2, -7, 7);  // some are outside
  testing::RuleCase gather{"gather_nd",
                           batches(1),
                           {random_integers(kF32, {5, 6, 3, 4}, 1), i},
                           0,
                           {{n, 6, 3, 4}, {n, 4, 2}},
                           {{"n", 5}}};
  const Names sets = {"partial 0", "partial 0:max", "partial 0:min", "partial 0:prod"};
  Names expected = sets;
  expected.insert({"b0", "i1", "v1", "v2", "d3"});
  EXPECT_EQ(testing::check_rules(gather), expected);
  gather.attributes = {};
  gather.shapes.clear();
  expected = sets;
  expected.insert({"i0", "i1", "v0", "v1", "d2", "d3"});
  EXPECT_EQ(testing::check_rules(gather), expected);

  const std::pair<const char*, Names> linear[] = {
      {nullptr, {"partial 0 2", "partial 0 2:max", "partial 0 2:min", "partial 0 2:prod"}},
      {"sum", {"partial 0 2"}},
      {"max", {"partial 0 2:max"}},
      {"min", {"partial 0 2:min"}},
      {"prod", {"partial 0 2:prod", "partial 0"}}};
  for (const auto& [reduce, names] : linear) {
    testing::RuleCase scatter{
        "scatter_nd",
        by(reduce),
        {random_integers(kF32, {6, 7, 3, 5}, 1), i, random_integers(kF32, {5, 4, 3, 5}, 3)},
        0,
        {{6, 7, 3, n}, {n, 4, 2}, {n, 4, 3, n}},
        {{"n", 5}}};
    expected = names;
    expected.insert({"v0", "v1", "d2", "d3"});
    EXPECT_EQ(testing::check_rules(scatter), expected);
  }
}

TEST(ScatterNd, SumsDoNotDependOnThreads) {
  const HostTensor x = testing::random_reals(kF32, {3000, 20}, 1);
  const HostTensor i = random_integers(DType::kInt64, {20000, 1}, 2, 0, 2999);
  const HostTensor u = testing::random_reals(kF32, {20000, 20}, 3);
  backend::KernelCase c{.op = "scatter_nd",
                        .attributes = by("sum"),
                        .inputs = {&x, &i, &u},
                        .outputs = {HostTensor(kF32, x.shape)},
                        .threads = 1};
  const HostTensor one = backend::run_case(c)[0];
  c.threads = 5;
  EXPECT_EQ(backend::run_case(c)[0], one);
}

TEST(IndexedRows, Errors) {
  const TensorType x{kF32, {2, 3}};
  const TensorType i{DType::kInt64, {4, 1}};
  EXPECT_EQ(inference_error("gather_nd", {}, {x, x}),
            "the indices of gather_nd are f32, but must be i32 or i64");
  EXPECT_EQ(inference_error("gather_nd", {}, {x, {DType::kInt64, {4, 3}}}),
            "gather_nd of f32[2, 3] by tuples of 3 indices");
  EXPECT_EQ(inference_error("gather_nd", batches(2), {x, i}),
            "gather_nd of f32[2, 3] by i64[4, 1] cannot have 2 batch dimensions");
  EXPECT_EQ(inference_error("gather_nd", batches(1), {x, i}),
            "dimension 0 of data and indices: 2 and 4 are not equal");
  EXPECT_EQ(inference_error("gather_nd", {{"offset", Shape{1}}}, {x, i}),
            "gather_nd needs offset and total for each of 1 indices, or neither");
  EXPECT_EQ(inference_error("scatter_nd", {}, {x, i, {kF32, {4}}}),
            "scatter_nd has updates [4] where it takes [4, 3]");
  EXPECT_EQ(inference_error("scatter_nd", {}, {x, i, {kF32, {4, 2}}}),
            "dimension 1 of the updates: 3 and 2 are not equal");
}

TEST(IndexedRows, KernelsEqualTheReference) {
  for (DType type : {kF32, DType::kFloat16, DType::kBFloat16, DType::kInt64, DType::kUInt8}) {
    for (DType index_type : {DType::kInt64, DType::kInt32}) {
      const HostTensor x = backend::random_tensor(type, {20, 30, 60}, 1);
      for (int64_t depth : {1, 2, 3}) {
        const HostTensor i = random_integers(index_type, {5, 12, depth}, 2, -21, 21);
        std::vector<int64_t> rows = {5, 12};
        rows.insert(rows.end(), x.shape.begin() + depth, x.shape.end());
        const auto part = [&](Attributes attributes) {
          Shape total(x.shape.begin(), x.shape.begin() + depth);
          for (Dim& extent : total) extent += 9;
          attributes.set("offset", Shape(total.size(), 7));
          attributes.set("total", total);
          return attributes;
        };
        for (const Attributes& attributes : {Attributes(), part({})}) {
          backend::check_case({.op = "gather_nd",
                               .attributes = attributes,
                               .inputs = {&x, &i},
                               .outputs = {HostTensor(type, rows)}});
        }
        const HostTensor u = backend::random_tensor(type, rows, 3);
        for (const char* reduce : {(const char*)nullptr, "sum", "max", "min"}) {
          for (int threads : {1, 3}) {
            backend::check_case({.op = "scatter_nd",
                                 .attributes = threads == 1 ? by(reduce) : part(by(reduce)),
                                 .inputs = {&x, &i, &u},
                                 .outputs = {HostTensor(type, x.shape)},
                                 .threads = threads});
          }
        }
      }
      const HostTensor i = random_integers(index_type, {20, 9, 1}, 2, -33, 33);
      backend::check_case({.op = "gather_nd",
                           .attributes = batches(1),
                           .inputs = {&x, &i},
                           .outputs = {HostTensor(type, {20, 9, 60})}});
    }
  }
}

}  // namespace
}  // namespace cleave::ops
