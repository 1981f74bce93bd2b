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

Attributes axis(int64_t dim, const char* reduce = nullptr) {
  Attributes attributes{{"axis", Dim(dim)}};
  if (reduce) attributes.set("reduce", reduce);
  return attributes;
}

TEST(GatherElements, TakesOneElementForEachIndex) {
  const HostTensor x = tensor(kF32, {2, 3}, {1, 2, 3, 4, 5, 6});
  const HostTensor rows = tensor(DType::kInt64, {1, 3}, {1, 0, -1});
  EXPECT_EQ(values_of(run_reference("gather_elements", axis(0), {x, rows})[0]), (Values{4, 2, 6}));
  const HostTensor columns = tensor(DType::kInt32, {2, 2}, {2, -3, 0, 0});
  EXPECT_EQ(values_of(run_reference("gather_elements", axis(1), {x, columns})[0]),
            (Values{3, 1, 4, 4}));
}

TEST(GatherElements, OutsideGivesZero) {
  const HostTensor x = tensor(kF32, {2}, {7, 8});
  HostTensor i = tensor(DType::kInt64, {4}, {2, -3, 1, 0});
  i.set_integer(3, INT64_MIN);
  EXPECT_EQ(values_of(run_reference("gather_elements", axis(0), {x, i})[0]), (Values{0, 0, 8, 0}));
}

TEST(ScatterElements, UpdatesInOrder) {
  const HostTensor x = tensor(kF32, {4}, {1, 2, 3, 4});
  // The second element twice, and one that is nowhere.
  const HostTensor i = tensor(DType::kInt64, {4}, {1, -1, 1, 9});
  const HostTensor u = tensor(kF32, {4}, {10, 20, 5, 99});
  const auto scatter = [&](const char* reduce) {
    return values_of(run_reference("scatter_elements", axis(0, reduce), {x, i, u})[0]);
  };
  EXPECT_EQ(scatter(nullptr), (Values{1, 5, 3, 20}));
  EXPECT_EQ(scatter("sum"), (Values{1, 17, 3, 24}));
  EXPECT_EQ(scatter("prod"), (Values{1, 100, 3, 80}));
  EXPECT_EQ(scatter("max"), (Values{1, 10, 3, 20}));
  EXPECT_EQ(scatter("min"), (Values{1, 2, 3, 4}));
}

TEST(ScatterElements, HalvesAreRoundedOnce) {
  const HostTensor x = tensor(DType::kBFloat16, {1}, {256});
  const HostTensor i = tensor(DType::kInt64, {2}, {0, 0});
  const HostTensor u = tensor(DType::kBFloat16, {2}, {1, 1});
  EXPECT_EQ(run_reference("scatter_elements", axis(0, "sum"), {x, i, u})[0].get(0), 258);
}

TEST(IndexedElements, Rules) {
  const Dim n = Dim::symbol("n");
  const HostTensor i = random_integers(DType::kInt64, {5, 4, 3}, 2, -8, 8);  // some are outside
  testing::RuleCase gather{
      "gather_elements",      axis(1),   {random_integers(kF32, {5, 6, 3}, 1), i}, 0,
      {{n, 6, 3}, {n, 4, 3}}, {{"n", 5}}};
  EXPECT_EQ(testing::check_rules(gather), (Names{"d0", "v", "i", "d2", "partial 0", "partial 0:max",
                                                 "partial 0:min", "partial 0:prod"}));
  const std::pair<const char*, Names> sets[] = {
      {nullptr, {"partial 0 2", "partial 0 2:max", "partial 0 2:min", "partial 0 2:prod"}},
      {"sum", {"partial 0 2"}},
      {"max", {"partial 0 2:max"}},
      {"min", {"partial 0 2:min"}},
      {"prod", {"partial 0 2:prod", "partial 0"}}};
  for (const auto& [reduce, linear] : sets) {
    testing::RuleCase scatter{
        "scatter_elements",
        axis(1, reduce),
        {random_integers(kF32, {5, 6, 3}, 1), i, random_integers(kF32, {5, 4, 3}, 3)},
        0,
        {{n, 6, 3}, {n, 4, 3}, {n, 4, 3}},
        {{"n", 5}}};
    Names expected = linear;
    expected.insert({"d0", "v", "d2"});
    EXPECT_EQ(testing::check_rules(scatter), expected);
  }
}

TEST(IndexedElements, Errors) {
  const TensorType x{kF32, {2, 3}};
  const TensorType i{DType::kInt64, {2, 5}};
  EXPECT_EQ(inference_error("gather_elements", axis(1), {x, x}),
            "the indices of gather_elements are f32, but must be i32 or i64");
  EXPECT_EQ(inference_error("gather_elements", axis(0), {x, i}),
            "dimension 1 of data and indices: 3 and 5 are not equal");
  EXPECT_NE(inference_error("gather_elements", axis(1), {x, {DType::kInt64, {2}}}), "");
  EXPECT_EQ(inference_error("scatter_elements", axis(1), {x, i, {DType::kInt32, {2, 5}}}),
            "the data and updates of scatter_elements have different types: f32 and i32");
  EXPECT_EQ(inference_error("scatter_elements", axis(1), {x, i, {kF32, {2, 4}}}),
            "dimension 1 of indices and updates: 5 and 4 are not equal");
  EXPECT_EQ(inference_error("scatter_elements", axis(1, "mean"), {x, i, {kF32, {2, 5}}}),
            "there is no reduction 'mean'");
  const TensorType b{DType::kBool, {2, 3}};
  EXPECT_EQ(inference_error("scatter_elements", axis(1, "sum"), {b, i, {DType::kBool, {2, 5}}}),
            "scatter_elements by sum has no meaning for booleans");
}

TEST(IndexedElements, KernelsEqualTheReference) {
  for (DType type : {kF32, DType::kFloat16, DType::kBFloat16, DType::kInt64, DType::kUInt8}) {
    for (DType index_type : {DType::kInt64, DType::kInt32}) {
      for (int64_t dim : {0, 1, 2}) {
        std::vector<int64_t> shape = {20, 30, 50};
        const HostTensor x = backend::random_tensor(type, shape, 1);
        const int64_t extent = shape[static_cast<size_t>(dim)];
        shape[static_cast<size_t>(dim)] = 37;
        const HostTensor i = random_integers(index_type, shape, 2, -extent - 2, extent + 1);
        Attributes part = axis(dim);
        part.set("offset", Dim(7));
        part.set("total", Dim(extent + 9));
        for (const Attributes& attributes : {axis(dim), part}) {
          backend::check_case({.op = "gather_elements",
                               .attributes = attributes,
                               .inputs = {&x, &i},
                               .outputs = {HostTensor(type, shape)}});
        }
        const HostTensor u = backend::random_tensor(type, shape, 3);
        for (const char* reduce : {(const char*)nullptr, "sum", "prod", "max", "min"}) {
          for (int threads : {1, 3}) {
            Attributes attributes = axis(dim, reduce);
            if (threads == 3) {
              attributes.set("offset", Dim(7));
              attributes.set("total", Dim(extent + 9));
            }
            backend::check_case({.op = "scatter_elements",
                                 .attributes = attributes,
                                 .inputs = {&x, &i, &u},
                                 .outputs = {HostTensor(type, x.shape)},
                                 .threads = threads});
          }
        }
      }
    }
  }
}

TEST(ScatterElements, SumsDoNotDependOnThreads) {
  const HostTensor x = testing::random_reals(kF32, {30, 2000}, 1);
  const HostTensor i = random_integers(DType::kInt64, {400, 2000}, 2, 0, 29);
  const HostTensor u = testing::random_reals(kF32, {400, 2000}, 3);
  backend::KernelCase c{.op = "scatter_elements",
                        .attributes = axis(0, "sum"),
                        .inputs = {&x, &i, &u},
                        .outputs = {HostTensor(kF32, x.shape)},
                        .threads = 1};
  const HostTensor one = backend::run_case(c)[0];
  c.threads = 5;
  EXPECT_EQ(backend::run_case(c)[0], one);
}

TEST(IndexedElements, KernelsOfNothing) {
  const HostTensor x(kF32, {0, 3}), y(kF32, {2, 0});
  const HostTensor i(DType::kInt64, {0, 5}), j(DType::kInt64, {2, 4});
  backend::check_case({.op = "gather_elements",
                       .attributes = axis(1),
                       .inputs = {&x, &i},
                       .outputs = {HostTensor(kF32, {0, 5})}});
  backend::check_case({.op = "gather_elements",
                       .attributes = axis(1),
                       .inputs = {&y, &j},
                       .outputs = {HostTensor(kF32, {2, 4})}});
}

}  // namespace
}  // namespace cleave::ops
