#include "runtime/collective.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <random>
#include <thread>

#include "backend/cpu/cpu_device.h"
#include "cleave/error.h"
#include "comm/local/local_group.h"

namespace cleave::runtime {
namespace {

using backend::TensorView;
using layout::Cut;
using layout::Piece;
using layout::Segment;
using ::testing::HasSubstr;

// A whole tensor of distinct values.
struct Whole {
  std::vector<int64_t> shape;
  std::vector<float> values;

  explicit Whole(std::vector<int64_t> s) : shape(std::move(s)) {
    int64_t elements = 1;
    for (const int64_t extent : shape) elements *= extent;
    values.resize(static_cast<size_t>(elements));
    std::iota(values.begin(), values.end(), 1.0f);
  }
};

// What `rank` holds of it, worked out index by index.
struct Shard {
  std::vector<int64_t> shape;
  std::vector<float> values;
};
Shard shard_of(const Whole& whole, size_t axis, const Cut& cut, int64_t rank, int64_t ranks) {
  std::vector<int64_t> indices;
  for (const Piece& piece : cut.pieces(rank, ranks)) {
    for (int64_t i = 0; i < piece.extent.constant(); ++i) {
      indices.push_back(piece.begin.constant() + i);
    }
  }
  Shard shard;
  shard.shape = whole.shape;
  shard.shape[axis] = static_cast<int64_t>(indices.size());
  int64_t inner = 1;
  for (size_t d = axis + 1; d < whole.shape.size(); ++d) inner *= whole.shape[d];
  int64_t outer = 1;
  for (size_t d = 0; d < axis; ++d) outer *= whole.shape[d];
  for (int64_t o = 0; o < outer; ++o) {
    for (const int64_t index : indices) {
      for (int64_t i = 0; i < inner; ++i) {
        shard.values.push_back(
            whole.values[static_cast<size_t>((o * whole.shape[axis] + index) * inner + i)]);
      }
    }
  }
  return shard;
}

void set_cut(Attributes& attributes, const std::string& prefix, const Cut& cut) {
  std::vector<Dim> extents;
  std::vector<Dim> grains;
  std::vector<Dim> groups;
  for (const Segment& segment : cut.segments) {
    extents.push_back(segment.extent);
    grains.push_back(segment.grain);
    groups.push_back(segment.group);
  }
  attributes.set(prefix + "extent", extents);
  attributes.set(prefix + "grain", grains);
  attributes.set(prefix + "group", groups);
}

TensorView view(const std::vector<int64_t>& shape, Format format = Format::kRowMajor) {
  TensorView view = TensorView::dense(DType::kFloat32, shape);
  view.strides = dense_strides(format, shape);
  return view;
}

// The values in the order of memory.
std::vector<float> laid_out(const Shard& shard, Format format) {
  const std::vector<int64_t> strides = dense_strides(format, shard.shape);
  std::vector<float> memory(shard.values.size());
  for (size_t i = 0; i < memory.size(); ++i) {
    auto left = static_cast<int64_t>(i);
    int64_t at = 0;
    for (size_t d = strides.size(); d-- > 0; left /= shard.shape[d]) {
      at += left % shard.shape[d] * strides[d];
    }
    memory[static_cast<size_t>(at)] = shard.values[i];
  }
  return memory;
}

// Runs the collective on `ranks` threads and compares each rank's result; all lie in the format.
void expect_result(std::string_view op, const Attributes& attributes,
                   const std::vector<Shard>& inputs, const std::vector<Shard>& expected,
                   const std::string& what, Format format = Format::kRowMajor) {
  const auto ranks = static_cast<int>(inputs.size());
  auto group = make_local_group(ranks);
  std::vector<std::vector<float>> sources;
  for (const Shard& input : inputs) sources.push_back(laid_out(input, format));
  std::vector<std::vector<float>> results(inputs.size());
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] {
      const auto r = static_cast<size_t>(rank);
      results[r].assign(expected[r].values.size(), -1);
      const auto device = backend::make_cpu_device({.index = rank, .threads = 1});
      try {
        make_collective(op, attributes, view(inputs[r].shape, format),
                        view(expected[r].shape, format), rank, ranks)
            .run(*device, *group[r], sources[r].data(), results[r].data(), {});
      } catch (const Error& error) {
        group[r]->abort(error);
        ADD_FAILURE() << what << ": " << error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t r = 0; r < inputs.size(); ++r) {
    EXPECT_EQ(results[r], laid_out(expected[r], format)) << what << ", rank " << r;
  }
}

struct Case {
  const char* name;
  std::vector<int64_t> shape;
  size_t axis;
  Cut cut;
};

std::vector<Case> cases() {
  return {
      {"rows", {10, 3}, 0, Cut::even(10)},
      {"columns", {3, 7}, 1, Cut::even(7)},
      {"the middle, in grains", {2, 12, 3}, 1, Cut::even(12, 4)},
      {"fewer grains than ranks", {2, 4}, 1, Cut::even(4, 2)},
      {"segments", {3, 4 + 6 + 5}, 1, Cut({{4, 2, 1}, {6, 3, 1}, {5, 1, 1}})},
      {"shared heads", {2, 3 * 4}, 1, Cut({{12, 4, 3}})},
      {"empty", {0, 5}, 1, Cut::even(5)},
      {"nothing to cut", {3, 0}, 1, Cut::even(0)},
  };
}

TEST(Collective, CutsAreFollowed) {
  for (const Case& c : cases()) {
    for (int64_t ranks = 1; ranks <= 5; ++ranks) {
      const Whole whole(c.shape);
      Attributes attributes;
      attributes.set("axis", Dim(static_cast<int64_t>(c.axis)));
      attributes.set("reduce", "sum");
      set_cut(attributes, "cut_", c.cut);
      std::vector<Shard> shards;
      for (int64_t r = 0; r < ranks; ++r) {
        shards.push_back(shard_of(whole, c.axis, c.cut, r, ranks));
      }
      const Shard all{whole.shape, whole.values};
      const std::vector<Shard> everywhere(static_cast<size_t>(ranks), all);
      const std::string what = std::string(c.name) + " on " + std::to_string(ranks);
      expect_result("all_gather", attributes, shards, everywhere, "gather " + what);
      expect_result("shard", attributes, everywhere, shards, "shard " + what);

      std::vector<Shard> sums = shards;
      for (Shard& shard : sums) {
        for (float& value : shard.values) value *= static_cast<float>(ranks);
      }
      expect_result("reduce_scatter", attributes, everywhere, sums, "scatter " + what);
    }
  }
}

TEST(Collective, AllReduceCombinesTerms) {
  for (const auto& [name, result] :
       {std::pair("sum", 6.0f), {"max", 3.0f}, {"min", 1.0f}, {"prod", 6.0f}}) {
    Attributes attributes;
    attributes.set("reduce", name);
    std::vector<Shard> terms;
    for (const float term : {1.0f, 2.0f, 3.0f}) terms.push_back({{2, 2}, {term, term, term, term}});
    const Shard reduced{{2, 2}, {result, result, result, result}};
    expect_result("all_reduce", attributes, terms, {reduced, reduced, reduced}, name);
  }
}

TEST(Collective, AllToAllChangesDimensionAndCut) {
  const Whole whole({6, 2, 15});
  const Cut rows = Cut::even(6, 2);
  const Cut columns({{4, 2, 1}, {6, 3, 1}, {5, 1, 1}});
  const Cut heads({{15, 5, 2}});
  const struct {
    size_t from_axis;
    Cut from;
    size_t to_axis;
    Cut to;
  } changes[] = {
      {0, rows, 2, columns}, {2, columns, 0, rows}, {2, columns, 2, heads}, {2, heads, 0, rows}};
  for (const auto& change : changes) {
    for (int64_t ranks = 1; ranks <= 5; ++ranks) {
      Attributes attributes;
      attributes.set("shape", std::vector<Dim>{6, 2, 15});
      attributes.set("from_axis", Dim(static_cast<int64_t>(change.from_axis)));
      attributes.set("to_axis", Dim(static_cast<int64_t>(change.to_axis)));
      set_cut(attributes, "from_", change.from);
      set_cut(attributes, "to_", change.to);
      std::vector<Shard> from;
      std::vector<Shard> to;
      for (int64_t r = 0; r < ranks; ++r) {
        from.push_back(shard_of(whole, change.from_axis, change.from, r, ranks));
        to.push_back(shard_of(whole, change.to_axis, change.to, r, ranks));
      }
      expect_result(
          "all_to_all", attributes, from, to,
          change.from.text() + " to " + change.to.text() + " on " + std::to_string(ranks));
    }
  }
}

TEST(Collective, TensorsLieInAnyFormat) {
  const Whole whole({2, 6, 5, 3});
  const Cut heads = Cut::even(6, 2);
  const Cut rows = Cut::even(5);
  for (const Format format : kFormats) {
    for (int64_t ranks = 1; ranks <= 4; ++ranks) {
      const std::string what = std::string(name_of(format)) + " on " + std::to_string(ranks);
      Attributes attributes{{"format", std::string(name_of(format))},
                            {"shape", std::vector<Dim>{2, 6, 5, 3}},
                            {"axis", Dim(1)},
                            {"from_axis", Dim(1)},
                            {"to_axis", Dim(2)}};
      set_cut(attributes, "cut_", heads);
      set_cut(attributes, "from_", heads);
      set_cut(attributes, "to_", rows);
      std::vector<Shard> by_heads;
      std::vector<Shard> by_rows;
      for (int64_t r = 0; r < ranks; ++r) {
        by_heads.push_back(shard_of(whole, 1, heads, r, ranks));
        by_rows.push_back(shard_of(whole, 2, rows, r, ranks));
      }
      const std::vector<Shard> everywhere(static_cast<size_t>(ranks), {whole.shape, whole.values});
      expect_result("all_to_all", attributes, by_heads, by_rows, what, format);
      expect_result("all_gather", attributes, by_heads, everywhere, what, format);
      expect_result("shard", attributes, everywhere, by_heads, what, format);
    }
  }
}

TEST(Collective, RefusesWhatDoesNotFit) {
  Attributes good;
  good.set("axis", Dim(1));
  good.set("reduce", "sum");
  set_cut(good, "cut_", Cut::even(6, 2));
  const auto message = [](std::string_view op, const Attributes& attributes,
                          const TensorView& input, const TensorView& output) {
    try {
      make_collective(op, attributes, input, output, 0, 2);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalid);
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(message("all_gather", good, view({3, 2}), view({3, 6})), "no error");
  EXPECT_THAT(message("all_gather", good, view({3, 3}), view({3, 6})),
              HasSubstr("shape of its cut"));
  EXPECT_THAT(message("all_gather", good, view({3, 2}), view({3, 8})), HasSubstr("extent of its"));
  TensorView strided = view({3, 2});
  strided.strides = {4, 1};
  EXPECT_THAT(message("all_gather", good, strided, view({3, 6})), HasSubstr("dense"));
  Attributes bad = good;
  bad.set("format", "heads_inside");  // matrices have no heads: it is row-major
  EXPECT_EQ(message("all_gather", bad, view({3, 2}), view({3, 6})), "no error");
  EXPECT_THAT(message("all_gather", bad, view({2, 2, 4, 3}), view({2, 6, 4, 3})),
              HasSubstr("dense in its format"));
  bad.set("format", "heads_outside");
  EXPECT_THAT(message("all_gather", bad, view({3, 2}), view({3, 6})), HasSubstr("not known"));
  bad = good;
  bad.set("axis", Dim(2));
  EXPECT_THAT(message("all_gather", bad, view({3, 2}), view({3, 6})), HasSubstr("axis"));
  bad = good;
  bad.set("cut_grain", std::vector<Dim>{0});
  EXPECT_THAT(message("all_gather", bad, view({3, 2}), view({3, 6})), HasSubstr("grains"));
  bad.set("cut_grain", std::vector<Dim>{1, 1});
  EXPECT_THAT(message("all_gather", bad, view({3, 2}), view({3, 6})), HasSubstr("lengths"));
  bad.set("reduce", "mean");
  EXPECT_THAT(message("all_reduce", bad, view({3}), view({3})), HasSubstr("no reduction 'mean'"));
  EXPECT_THAT(message("all_reduce", good, view({3}), view({4})), HasSubstr("changes the shape"));
}

}  // namespace
}  // namespace cleave::runtime
