#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cleave/error.h"
#include "program/testing.h"
#include "runtime/runtime_impl.h"
#include "runtime/test_engines.h"
#include "runtime/test_kernels.h"

namespace cleave {
namespace {

using layout::Placement;
using program::testing::linear_engine;
using program::testing::TestEngine;
using runtime::testing::engine_of;
using runtime::testing::example_input;
using runtime::testing::expected;
using runtime::testing::kK;
using runtime::testing::kN;
using runtime::testing::plain_kernels;
using runtime::testing::values;
using ::testing::HasSubstr;

constexpr int64_t kRows = 4;

// A linear engine that says what its instructions make.
TestEngine described_engine(int64_t ranks, bool split_k) {
  TestEngine engine = linear_engine(ranks, kK, kN, split_k);
  const TensorType whole = engine.data.outputs[0].type;
  const Placement made =
      split_k ? Placement::partial() : Placement::shard(1, layout::Cut::even(kN));
  engine.instructions()[0].tensors = {{"product", whole, made}};
  engine.instructions()[1].tensors = {{"y", whole, Placement::replicate()}};
  return engine;
}

std::vector<float> sum_of(const std::vector<Tensor>& terms) {
  std::vector<float> sum(static_cast<size_t>(kRows * kN), 0);
  for (const Tensor& term : terms) {
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += term.span<float>()[i];
  }
  return sum;
}

std::vector<float> columns_of(const std::vector<Tensor>& shards) {
  std::vector<float> whole;
  for (int64_t i = 0; i < kRows; ++i) {
    for (const Tensor& shard : shards) {
      const int64_t columns = shard.shape()[1];
      for (int64_t j = 0; j < columns; ++j) {
        whole.push_back(shard.span<float>()[static_cast<size_t>(i * columns + j)]);
      }
    }
  }
  return whole;
}

TEST(Observer, SeesWhatEachInstructionMakesOnAllRanks) {
  for (const bool streamed : {false, true}) {
    for (const int ranks : {1, 2, 3, 9}) {  // more ranks than columns: empty shares
      for (const bool split_k : {false, true}) {
        SCOPED_TRACE(std::to_string(ranks) + " ranks");
        RuntimeOptions options;
        options.stream_weights = streamed;
        Runtime runtime = make_runtime(DeviceList::cpu(ranks), options, plain_kernels());
        ExecutionContext context =
            runtime.create_context(engine_of(described_engine(ranks, split_k)));
        std::vector<ObservedInstruction> seen;
        const Observer observer = [&](const ObservedInstruction& made) { seen.push_back(made); };
        context.run({{"x", example_input(kRows)}}, {.observer = observer});
        ASSERT_EQ(seen.size(), 2u);
        for (uint32_t i = 0; i < 2; ++i) {
          EXPECT_EQ(seen[i].number, i);
          EXPECT_EQ(seen[i].name, "fc");
          ASSERT_EQ(seen[i].tensors.size(), 1u);
          EXPECT_EQ(seen[i].tensors[0].shape, (std::vector<int64_t>{kRows, kN}));
          EXPECT_EQ(seen[i].tensors[0].parts.size(), static_cast<size_t>(ranks));
        }
        EXPECT_EQ(seen[0].op, "matmul");
        EXPECT_EQ(seen[0].tensors[0].name, "product");
        EXPECT_EQ(seen[0].tensors[0].layout, split_k ? "partial(sum)" : "shard(1, 7/1)");
        const auto& parts = seen[0].tensors[0].parts;
        EXPECT_EQ(split_k ? sum_of(parts) : columns_of(parts), expected(example_input(kRows)));
        EXPECT_EQ(seen[1].tensors[0].layout, "replicate");
        for (const Tensor& part : seen[1].tensors[0].parts)
          EXPECT_EQ(values(part), expected(example_input(kRows)));
      }
    }
  }
}

TEST(Observer, AnEngineNeedNotSayWhatItMakes) {
  Runtime runtime = make_runtime(DeviceList::cpu(2), {}, plain_kernels());
  ExecutionContext context = runtime.create_context(engine_of(linear_engine(2, kK, kN, true)));
  int calls = 0;
  const Observer observer = [&](const ObservedInstruction& made) {
    EXPECT_TRUE(made.tensors.empty());
    ++calls;
  };
  context.run({{"x", example_input(kRows)}}, {.observer = observer});
  EXPECT_EQ(calls, 2);
}

TEST(Observer, WhatItThrowsFailsTheRun) {
  Runtime runtime = make_runtime(DeviceList::cpu(3), {}, plain_kernels());
  ExecutionContext context = runtime.create_context(engine_of(described_engine(3, true)));
  const Observer observer = [](const ObservedInstruction&) {
    throw Error(ErrorCode::kInvalid, "seen enough");
  };
  try {
    context.run({{"x", example_input(kRows)}}, {.observer = observer});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalid);
    EXPECT_THAT(error.what(), HasSubstr("seen enough"));
    EXPECT_THAT(error.what(), HasSubstr("instruction 0 (matmul fc)"));
  }
  runtime.recover();
  EXPECT_EQ(values(context.run({{"x", example_input(kRows)}}).at("y")),
            expected(example_input(kRows)));
}

TEST(Observer, ALayoutThatDoesNotFitIsRefused) {
  const auto run = [](const layout::Cut& cut) {
    TestEngine engine = described_engine(2, false);
    engine.instructions()[0].tensors[0].placement = Placement::shard(1, cut);
    Runtime runtime = make_runtime(DeviceList::cpu(2), {}, plain_kernels());
    ExecutionContext context = runtime.create_context(engine_of(engine));
    context.run({{"x", example_input(kRows)}}, {.observer = [](const ObservedInstruction&) {}});
  };
  EXPECT_NO_THROW(run(layout::Cut::even(kN)));
  for (const layout::Cut& cut : {layout::Cut({{6, 1, 1}}), layout::Cut({{7, 0, 1}}),
                                 layout::Cut({{7, 2, 1}}), layout::Cut({{6, 6, 1}, {1, 1, 1}})}) {
    try {
      run(cut);
      ADD_FAILURE() << "no error for " << cut.text();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalid) << error.what();
      EXPECT_FALSE(error.hint().empty());
    }
  }
}

}  // namespace
}  // namespace cleave
