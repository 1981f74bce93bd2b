#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cleave/error.h"
#include "program/testing.h"
#include "runtime/runtime_impl.h"
#include "runtime/test_kernels.h"

namespace cleave {
namespace {

using layout::Placement;
using program::testing::linear_engine;
using program::testing::matrix_value;
using program::testing::TestEngine;
using runtime::testing::plain_kernels;
using ::testing::HasSubstr;

constexpr int64_t kRows = 4;
constexpr int64_t kK = 13;
constexpr int64_t kN = 7;

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

Engine engine_of(const TestEngine& engine) { return make_engine(engine.data, engine.weights); }

Tensor example_input() {
  Tensor x(DType::kFloat32, {kRows, kK});
  auto values = x.mutable_span<float>();
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 9) - 4;
  return x;
}

std::vector<float> values(const Tensor& tensor) {
  const auto span = tensor.span<float>();
  return {span.begin(), span.end()};
}

// y = x · W of the test engines.
std::vector<float> expected() {
  const Tensor x = example_input();
  std::vector<float> y;
  for (int64_t i = 0; i < kRows; ++i) {
    for (int64_t j = 0; j < kN; ++j) {
      float sum = 0;
      for (int64_t p = 0; p < kK; ++p) {
        sum += x.span<float>()[static_cast<size_t>(i * kK + p)] * matrix_value(p, j);
      }
      y.push_back(sum);
    }
  }
  return y;
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
        context.run({{"x", example_input()}}, {.observer = observer});
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
        EXPECT_EQ(split_k ? sum_of(parts) : columns_of(parts), expected());
        EXPECT_EQ(seen[1].tensors[0].layout, "replicate");
        for (const Tensor& part : seen[1].tensors[0].parts) EXPECT_EQ(values(part), expected());
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
  context.run({{"x", example_input()}}, {.observer = observer});
  EXPECT_EQ(calls, 2);
}

TEST(Observer, WhatItThrowsFailsTheRun) {
  Runtime runtime = make_runtime(DeviceList::cpu(3), {}, plain_kernels());
  ExecutionContext context = runtime.create_context(engine_of(described_engine(3, true)));
  const Observer observer = [](const ObservedInstruction&) {
    throw Error(ErrorCode::kInvalid, "seen enough");
  };
  try {
    context.run({{"x", example_input()}}, {.observer = observer});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalid);
    EXPECT_THAT(error.what(), HasSubstr("seen enough"));
    EXPECT_THAT(error.what(), HasSubstr("instruction 0 (matmul fc)"));
  }
  runtime.recover();
  EXPECT_EQ(values(context.run({{"x", example_input()}}).at("y")), expected());
}

TEST(Observer, ALayoutThatDoesNotFitIsRefused) {
  const auto run = [](const layout::Cut& cut) {
    TestEngine engine = described_engine(2, false);
    engine.instructions()[0].tensors[0].placement = Placement::shard(1, cut);
    Runtime runtime = make_runtime(DeviceList::cpu(2), {}, plain_kernels());
    ExecutionContext context = runtime.create_context(engine_of(engine));
    context.run({{"x", example_input()}}, {.observer = [](const ObservedInstruction&) {}});
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
