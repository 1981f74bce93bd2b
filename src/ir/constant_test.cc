#include "ir/constant.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <set>

#include "base/check.h"

namespace cleave::ir {
namespace {

using Sizes = std::vector<int64_t>;

HostTensor counting(Sizes shape) {
  HostTensor tensor(DType::kInt32, std::move(shape));
  std::iota(tensor.data<int32_t>().begin(), tensor.data<int32_t>().end(), 0);
  return tensor;
}

// The element at `index` of a row-major tensor.
int64_t at(const HostTensor& tensor, const Sizes& index) {
  int64_t offset = 0;
  for (size_t d = 0; d < index.size(); ++d) offset = offset * tensor.shape[d] + index[d];
  return tensor.get_integer(offset);
}

// Calls f(index) for every index of a box.
template <class F>
void for_each_index(const Sizes& extent, F&& f) {
  int64_t count = 1;
  for (int64_t e : extent) count *= e;
  for (int64_t i = 0; i < count; ++i) {
    Sizes index(extent.size());
    int64_t rest = i;
    for (size_t d = extent.size(); d-- > 0;) {
      index[d] = rest % extent[d];
      rest /= extent[d];
    }
    f(index);
  }
}

// Every box of the recipe reads what `expected` holds there.
void expect_boxes(const Recipe& recipe, const HostTensor& expected) {
  ASSERT_EQ(recipe.shape(), expected.shape);
  ASSERT_EQ(recipe.dtype(), expected.dtype);
  EXPECT_EQ(recipe.read_all(), expected);
  const Sizes& shape = expected.shape;
  Sizes corners;
  for (int64_t extent : shape) corners.push_back(extent + 1);
  for_each_index(corners, [&](const Sizes& begin) {
    Sizes room;
    for (size_t d = 0; d < shape.size(); ++d) room.push_back(shape[d] - begin[d] + 1);
    for_each_index(room, [&](const Sizes& extent) {
      HostTensor box(expected.dtype, extent);
      recipe.read({begin, extent}, box.bytes);
      for_each_index(extent, [&](const Sizes& index) {
        Sizes global = index;
        for (size_t d = 0; d < global.size(); ++d) global[d] += begin[d];
        ASSERT_EQ(at(box, index), at(expected, global));
      });
    });
  });
}

RecipePtr source(Sizes shape) { return constant_value(counting(std::move(shape))); }

TEST(Recipe, ValuesAndFiles) {
  const HostTensor value = counting({3, 2, 4});
  expect_boxes(*constant_value(value), value);
  std::string bytes = "head";
  bytes.append(reinterpret_cast<const char*>(value.bytes.data()), value.bytes.size());
  expect_boxes(*constant_file(memory_source("weights", bytes), 4, DType::kInt32, {3, 2, 4}), value);
  const RecipePtr cut = constant_file(memory_source("weights", bytes), 8, DType::kInt32, {3, 2, 4});
  EXPECT_THROW(cut->read_all(), Error);
}

TEST(Recipe, FillAndNoise) {
  const HostTensor fill = constant_fill(DType::kInt32, {2, 3}, 7)->read_all();
  expect_boxes(*constant_fill(DType::kInt32, {2, 3}, 7), fill);
  EXPECT_EQ(fill.get(5), 7);
  const RecipePtr noise = constant_noise(DType::kFloat32, {4, 5}, 3, 0.5);
  const HostTensor whole = noise->read_all();
  HostTensor box(DType::kFloat32, {2, 2});
  noise->read({{1, 3}, {2, 2}}, box.bytes);
  EXPECT_EQ(box.get(0), whole.get(1 * 5 + 3));
  EXPECT_EQ(box.get(3), whole.get(2 * 5 + 4));
  double largest = 0;
  for (int64_t i = 0; i < 20; ++i) largest = std::max(largest, std::abs(whole.get(i)));
  EXPECT_LE(largest, 0.5);
  EXPECT_GT(largest, 0.2);
  EXPECT_NE(whole, constant_noise(DType::kFloat32, {4, 5}, 4, 0.5)->read_all());
}

// What makes the recipe's noise makes what the recipe reads, from any element on.
void expect_noise(const Recipe& recipe) {
  const auto noise = recipe.noise();
  ASSERT_TRUE(noise.has_value());
  const HostTensor whole = recipe.read_all();
  const size_t size = size_of(recipe.dtype());
  for (int64_t begin = 0; begin < recipe.elements(); ++begin) {
    for (const int64_t count : {int64_t{1}, int64_t{7}, recipe.elements()}) {
      const auto left = static_cast<size_t>(std::min(count, recipe.elements() - begin)) * size;
      std::vector<std::byte> made(left);
      make_noise(*noise, recipe.shape(), begin, made);
      ASSERT_EQ(made,
                std::vector<std::byte>(whole.bytes.begin() + begin * static_cast<int64_t>(size),
                                       whole.bytes.begin() + begin * static_cast<int64_t>(size) +
                                           static_cast<int64_t>(left)))
          << begin << ", " << count;
    }
  }
}

TEST(Recipe, NoiseThatIsMovedAndCastIsStillNoise) {
  const auto noise = [](Sizes shape, uint64_t seed = 3) {
    return constant_noise(DType::kFloat32, std::move(shape), seed, 0.3);
  };
  expect_noise(*noise({4, 5}));
  expect_noise(*noise({}));
  expect_noise(*noise({3, 0, 2}));
  expect_noise(*slice(noise({4, 5, 6}), {{1, 2, 3}, {2, 3, 2}}));
  expect_noise(*slice(transpose(noise({4, 5, 3}), {2, 0, 1}), {{1, 1, 0}, {2, 3, 4}}));
  expect_noise(*reshape(noise({4, 6}), {2, 2, 3, 2}));
  expect_noise(*transpose(reshape(noise({6, 4}), {2, 3, 4}), {1, 2, 0}));
  const RecipePtr columns = concat({noise({3, 2}), noise({3, 4}, 5), noise({3, 1}, 6)}, 1);
  expect_noise(*columns);
  expect_noise(*slice(columns, {{1, 1}, {2, 4}}));
  expect_noise(*transpose(columns, {1, 0}));
  for (const DType type : {DType::kFloat16, DType::kBFloat16, DType::kFloat64}) {
    expect_noise(*cast(columns, type));
    expect_noise(*constant_noise(type, {5, 3}, 9, 2.5));
    expect_noise(*cast(cast(constant_noise(type, {20}, 9, 1e-6), DType::kBFloat16), type));
  }
  // What is computed, or has no strides, is not said but read.
  EXPECT_FALSE(scale(noise({2, 3}), 1, {1, 2, 3})->noise());
  EXPECT_FALSE(reshape(transpose(noise({2, 3}), {1, 0}), {6})->noise());
  EXPECT_FALSE(concat({noise({2}), constant_fill(DType::kFloat32, {2}, 1)}, 0)->noise());
  EXPECT_FALSE(
      concat({cast(noise({2}), DType::kFloat64), constant_noise(DType::kFloat64, {2}, 1, 1)}, 0)
          ->noise());
  EXPECT_FALSE(constant_noise(DType::kInt8, {2}, 1, 9)->noise());
  EXPECT_FALSE(cast(noise({2}), DType::kInt8)->noise());
}

TEST(Recipe, BoxesInOrderAreTheTensor) {
  for (const Sizes& shape :
       std::vector<Sizes>{{}, {1}, {7}, {3, 4}, {2, 3, 4}, {4, 1, 5}, {2, 0}}) {
    const RecipePtr recipe = source(shape);
    for (const int64_t most : {1, 2, 3, 5, 8, 12, 100}) {
      std::vector<std::byte> joined;
      for (const Box& box : boxes_in_order(shape, most)) {
        HostTensor part(DType::kInt32, box.extent);
        EXPECT_LE(part.elements(), most);
        recipe->read(box, part.bytes);
        joined.insert(joined.end(), part.bytes.begin(), part.bytes.end());
      }
      EXPECT_EQ(joined, recipe->read_all().bytes) << most;
    }
  }
}

TEST(Recipe, Slice) {
  HostTensor expected(DType::kInt32, {2, 2, 3});
  for_each_index(expected.shape, [&](const Sizes& i) {
    expected.set_integer((i[0] * 2 + i[1]) * 3 + i[2],
                         at(counting({4, 3, 5}), {i[0] + 1, i[1], i[2] + 2}));
  });
  expect_boxes(*slice(source({4, 3, 5}), {{1, 0, 2}, {2, 2, 3}}), expected);
  EXPECT_THROW(slice(source({4}), {{2}, {3}}), Error);
}

TEST(Recipe, Transpose) {
  HostTensor expected(DType::kInt32, {4, 2, 3});
  for_each_index(expected.shape, [&](const Sizes& i) {
    expected.set_integer((i[0] * 2 + i[1]) * 3 + i[2], at(counting({2, 3, 4}), {i[1], i[2], i[0]}));
  });
  expect_boxes(*transpose(source({2, 3, 4}), {2, 0, 1}), expected);
}

TEST(Recipe, Reshape) {
  for (const auto& [from, to] : std::vector<std::pair<Sizes, Sizes>>{{{2, 6}, {3, 4}},
                                                                     {{12}, {2, 3, 2}},
                                                                     {{2, 3, 2}, {12}},
                                                                     {{1, 4, 3}, {4, 1, 3}},
                                                                     {{5, 3}, {3, 5}},
                                                                     {{0, 3}, {3, 0}},
                                                                     {{1}, {}}}) {
    expect_boxes(*reshape(source(from), to), counting(to));
  }
  EXPECT_THROW(reshape(source({4}), {3}), Error);
}

TEST(Recipe, CastAndConcat) {
  EXPECT_EQ(cast(source({2, 3}), DType::kFloat16)->read_all(),
            cleave::cast(counting({2, 3}), DType::kFloat16));
  expect_boxes(*concat({source({2, 3}), source({0, 3}), source({1, 3})}, 0), [] {
    HostTensor expected = counting({3, 3});
    for (int64_t i = 0; i < 3; ++i) expected.set_integer(6 + i, i);
    return expected;
  }());
  HostTensor columns(DType::kInt32, {2, 3});
  const int32_t values[] = {0, 0, 1, 1, 2, 3};
  std::copy(std::begin(values), std::end(values), columns.data<int32_t>().begin());
  expect_boxes(*concat({source({2, 1}), source({2, 2})}, 1), columns);
}

TEST(Recipe, Scale) {
  const HostTensor whole = cleave::cast(counting({2, 3, 4}), DType::kFloat32);
  const std::vector<double> factors{0.1, -2, 3};
  const RecipePtr scaled = scale(constant_value(whole), 1, factors);
  for_each_index({3, 2}, [&](const Sizes& i) {  // where boxes begin in the last two dimensions
    const Sizes extent{2, 3 - i[0], 4 - i[1]};
    HostTensor box(DType::kFloat32, extent);
    scaled->read({{0, i[0], i[1]}, extent}, box.bytes);
    int64_t at = 0;
    for_each_index(extent, [&](const Sizes& j) {
      const Sizes index{j[0], i[0] + j[1], i[1] + j[2]};
      const double element = whole.get((index[0] * 3 + index[1]) * 4 + index[2]);
      ASSERT_EQ(box.get(at++),
                static_cast<float>(element * factors[static_cast<size_t>(index[1])]));
    });
  });
  HostTensor none(DType::kFloat32, {2, 0, 4});
  scaled->read({{0, 1, 0}, {2, 0, 4}}, none.bytes);
  const RecipePtr wide = constant_fill(DType::kFloat64, {2}, 3);
  EXPECT_EQ(scale(wide, 0, {0.1, 1})->read_all().get(0), 3 * 0.1);
  EXPECT_THROW(scale(wide, 0, {1}), Error);
  EXPECT_THROW(scale(source({2}), 0, {1, 1}), Error);
}

TEST(Recipe, Chains) {
  const RecipePtr chain = reshape(
      transpose(slice(concat({source({3, 4}), source({2, 4})}, 0), {{1, 0}, {3, 4}}), {1, 0}),
      {2, 6});
  HostTensor whole = counting({5, 4});
  for (int64_t i = 0; i < 8; ++i) whole.set_integer(12 + i, i);
  HostTensor expected(DType::kInt32, {2, 6});
  for (int64_t i = 0; i < 12; ++i) expected.set_integer(i, at(whole, {1 + i % 3, i / 3}));
  expect_boxes(*chain, expected);
}

TEST(Recipe, IdentityIsOfTheContents) {
  const auto chain = [] { return transpose(slice(source({3, 4}), {{0, 0}, {2, 4}}), {1, 0}); };
  EXPECT_EQ(chain()->identity(), chain()->identity());
  std::set<uint64_t> identities;
  const std::vector<RecipePtr> different{
      source({3, 4}),
      source({4, 3}),
      constant_fill(DType::kInt32, {3, 4}, 0),
      constant_fill(DType::kInt32, {3, 4}, 1),
      constant_fill(DType::kFloat32, {3, 4}, 0),
      slice(source({3, 4}), {{0, 0}, {2, 4}}),
      slice(source({3, 4}), {{1, 0}, {2, 4}}),
      transpose(source({3, 4}), {1, 0}),
      reshape(source({3, 4}), {4, 3}),
      cast(source({3, 4}), DType::kInt64),
      concat({source({3, 4}), source({3, 4})}, 0),
      concat({source({3, 4}), source({3, 4})}, 1),
      scale(constant_fill(DType::kFloat32, {2, 2}, 1), 0, {1, 2}),
      scale(constant_fill(DType::kFloat32, {2, 2}, 1), 1, {1, 2}),
      scale(constant_fill(DType::kFloat32, {2, 2}, 1), 1, {2, 2}),
      constant_noise(DType::kFloat32, {3}, 1, 1),
      constant_noise(DType::kFloat32, {3}, 2, 1),
      constant_file(memory_source("a", ""), 0, DType::kFloat32, {3}),
      constant_file(memory_source("a", ""), 4, DType::kFloat32, {3}),
      constant_file(memory_source("b", ""), 0, DType::kFloat32, {3})};
  for (const RecipePtr& recipe : different) identities.insert(recipe->identity());
  EXPECT_EQ(identities.size(), different.size());
}

}  // namespace
}  // namespace cleave::ir
