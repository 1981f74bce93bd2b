#include "program/validate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "cleave/error.h"
#include "program/testing.h"
#include "program/text.h"
#include "types/format.h"
#include "types/fused.h"

namespace cleave::program {
namespace {

using ::testing::HasSubstr;
using testing::TestEngine;

constexpr uint64_t kSection = 1 << 20;

struct Case {
  const char* name;
  const char* message;
  std::function<void(TestEngine&)> damage;
};

// The first weight made noise, as it should be; that of rank 0.
Noise& noise_of(TestEngine& engine) {
  Weight& weight = engine.data.weights[0];
  weight.noise.clear();
  for (const std::vector<int64_t>& shape : weight.shapes) {
    NoiseBox box = {.begin = {0, 0}, .extent = shape, .seed = 1, .strides = {shape[1], 1}};
    weight.noise.push_back({{weight.dtype}, {std::move(box)}});
  }
  engine.lay_out();
  return weight.noise[0];
}

TEST(Validate, AcceptsNoise) {
  TestEngine engine = testing::linear_engine(2, 5, 7, false);
  noise_of(engine);
  EXPECT_NO_THROW(validate(engine.data, kSection));
}

TEST(Validate, AcceptsTheTestEngines) {
  for (const bool split_k : {false, true}) {
    for (const int64_t ranks : {1, 2, 3, 8}) {
      EXPECT_NO_THROW(validate(testing::linear_engine(ranks, 5, 7, split_k).data, kSection));
    }
  }
}

TEST(Validate, NamesWhatIsWrong) {
  const Case cases[] = {
      {"no ranks", "number of ranks", [](auto& e) { e.data.ranks = 0; }},
      {"absurd ranks", "number of ranks", [](auto& e) { e.data.ranks = 1 << 30; }},
      {"no program", "no program", [](auto& e) { e.data.programs.clear(); }},
      {"two inputs of a name", "two inputs",
       [](auto& e) { e.data.inputs.push_back(e.data.inputs[0]); }},
      {"two weights of a name", "two weights",
       [](auto& e) { e.data.weights.push_back(e.data.weights[0]); }},
      {"nameless", "has no name", [](auto& e) { e.data.outputs[0].name.clear(); }},
      {"slice outside", "outside of the weight section",
       [](auto& e) { e.data.weights[0].slices[1].offset = kSection; }},
      {"slice size", "size of its shape", [](auto& e) { e.data.weights[0].slices[0].bytes = 4; }},
      {"slice alignment", "not aligned", [](auto& e) { e.data.weights[0].slices[0].offset = 4; }},
      {"slice overlap", "overlap",
       [](auto& e) {
         e.data.weights[0].slices[1].offset = e.data.weights[0].slices[0].offset + 64;
       }},
      {"noise on one rank", "not noise on every rank",
       [](auto& e) { e.data.weights[0].noise.resize(1); }},
      {"noise with bytes", "has bytes",
       [](auto& e) {
         e.data.weights[0].noise.resize(2);
         e.data.weights[0].slices[0].offset = 64;
       }},
      {"noise of integers", "other types",
       [](auto& e) {
         noise_of(e).types = {DType::kInt32, DType::kFloat32};
       }},
      {"noise of another type", "other types",
       [](auto& e) { noise_of(e).types = {DType::kFloat16}; }},
      {"noise of other dimensions", "other dimensions",
       [](auto& e) { noise_of(e).boxes[0].strides = {1}; }},
      {"noise backwards", "negative stride", [](auto& e) { noise_of(e).boxes[0].strides[0] = -1; }},
      {"noise outside", "lies outside", [](auto& e) { noise_of(e).boxes[0].begin[0] = 1; }},
      {"noise twice", "twice",
       [](auto& e) {
         Noise& noise = noise_of(e);
         noise.boxes.push_back(noise.boxes[0]);
       }},
      {"a hole in noise", "does not fill it", [](auto& e) { noise_of(e).boxes[0].extent[0] -= 1; }},
      {"negative shape", "negative extent", [](auto& e) { e.data.weights[0].shapes[0][0] = -1; }},
      {"huge shape", "overflow",
       [](auto& e) {
         e.data.weights[0].shapes[0] = {1ll << 40, 1ll << 40};
       }},
      {"missing rank", "one shape and one slice a rank",
       [](auto& e) { e.data.weights[0].shapes.pop_back(); }},
      {"symbol bounds", "bounds of the dimension",
       [](auto& e) { e.program().symbols[0].min = 17; }},
      {"symbol named as the rank", "bounds of the dimension",
       [](auto& e) { e.program().symbols[0].name = "$rank"; }},
      {"unknown symbol", "'length' is not known",
       [](auto& e) { e.data.inputs[0].type.shape[0] = Dim::symbol("length"); }},
      {"op name", "no such op", [](auto& e) { e.instructions()[0].op = "../lib.so"; }},
      {"input index", "does not exist", [](auto& e) { e.instructions()[0].inputs[0].index = 1; }},
      {"weight index", "no such weight", [](auto& e) { e.instructions()[0].inputs[1].index = 9; }},
      {"input type", "another type",
       [](auto& e) { e.instructions()[0].inputs[0].type.dtype = DType::kFloat64; }},
      {"arena offset", "offset is outside",
       [](auto& e) { e.instructions()[0].outputs[0].offset = 1 << 20; }},
      {"arena alignment", "offset is outside",
       [](auto& e) { e.instructions()[0].outputs[0].offset = 4; }},
      {"negative offset", "offset is outside",
       [](auto& e) { e.instructions()[0].outputs[0].offset = -64; }},
      {"beyond the arena", "reaches beyond", [](auto& e) { e.program().arena_bytes = 64; }},
      {"beyond the weight", "reaches beyond",
       [](auto& e) { e.instructions()[0].inputs[1].type.shape[0] = 1000; }},
      {"view begins early", "begins before",
       [](auto& e) { e.instructions()[0].inputs[1].element_offset = -1; }},
      {"negative stride", "stride is negative",
       [](auto& e) {
         e.instructions()[0].inputs[0].strides = {-1, 1};
       }},
      {"strides", "one stride a dimension",
       [](auto& e) { e.instructions()[0].inputs[0].strides = {1}; }},
      {"written input", "nothing may be written",
       [](auto& e) { e.instructions()[0].outputs[0].space = Space::kInput; }},
      {"unwritten output", "nothing writes", [](auto& e) { e.instructions().pop_back(); }},
      {"collective of others", "other ranks",
       [](auto& e) { e.instructions()[1].attributes.set("ranks", Dim(5)); }},
      {"epilogue", "more operands",
       [](auto& e) {
         FusedProgram fused;
         fused.inputs = 2;  // the product and one that is not there
         fused.steps = {{"add", {0, 1}, 0, DType::kFloat32}};
         fused.outputs = {2};
         fused.to_attributes(e.instructions()[0].attributes, "epilogue_");
       }},
      {"a chain behind too few operands", "follows too few operands",
       [](auto& e) {
         FusedProgram fused{
             .inputs = 1, .steps = {{"relu", {0}, 0, DType::kFloat32}}, .outputs = {1}};
         fused.to_attributes(e.instructions()[0].attributes, "epilogue_");
         e.instructions()[0].op = "group_norm";
       }},
      {"fused chain", "fused chain",
       [](auto& e) {
         FusedProgram fused;
         fused.inputs = 3;
         fused.steps = {{"add", {0, 2}, 0, DType::kFloat32}};
         fused.outputs = {3};
         e.instructions()[0].op = "fused_elementwise";
         fused.to_attributes(e.instructions()[0].attributes);
       }},
      {"tensors", "one tensor an output",
       [](auto& e) {
         e.instructions()[0].tensors.resize(2, {"t", e.data.outputs[0].type, {}});
       }},
      {"nameless tensor", "has no name",
       [](auto& e) {
         e.instructions()[1].tensors = {{"", e.data.outputs[0].type, {}}};
       }},
      {"tensor's type", "made as something else",
       [](auto& e) {
         e.instructions()[1].tensors = {{"t", {DType::kInt8, {4, 6}}, {}}};
       }},
      {"tensor's dimensions", "made as something else",
       [](auto& e) {
         e.instructions()[1].tensors = {{"t", {DType::kFloat32, {6}}, {}}};
       }},
      {"tensor's order", "made as something else",
       [](auto& e) {
         e.instructions()[1].outputs[0].strides = {1, 16};
         e.instructions()[1].tensors = {{"t", e.data.outputs[0].type, {}}};
       }},
      {"tensor's symbol", "not known",
       [](auto& e) {
         e.instructions()[1].tensors = {{"t", {DType::kFloat32, {Dim::symbol("q"), 6}}, {}}};
       }},
      {"tensor's cut dimension", "a dimension that it has not",
       [](auto& e) {
         const auto shard = layout::Placement::shard(2, layout::Cut::even(6));
         e.instructions()[1].tensors = {{"t", e.data.outputs[0].type, shard}};
       }},
      {"tensor's cut", "not known",
       [](auto& e) {
         const auto shard = layout::Placement::shard(1, layout::Cut::even(Dim::symbol("q")));
         e.instructions()[1].tensors = {{"t", e.data.outputs[0].type, shard}};
       }},
      {"memory", "one size of memory a rank", [](auto& e) { e.data.memory_bytes = {1}; }},
  };
  for (const Case& c : cases) {
    TestEngine engine = testing::linear_engine(2, 8, 6, false);
    c.damage(engine);
    try {
      validate(engine.data, kSection);
      ADD_FAILURE() << c.name << ": no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalid) << c.name;
      EXPECT_THAT(error.what(), HasSubstr(c.message)) << c.name;
    }
  }
}

TEST(Validate, DescribedResultsLieInAnyFormat) {
  for (const Format format : kFormats) {
    TestEngine engine = testing::linear_engine(2, 8, 6, false);
    Instruction& last = engine.instructions()[1];
    const TensorType type{DType::kFloat32, {Dim::symbol("batch"), 3, 2, 1}};
    last.outputs[0].type = type;
    last.outputs[0].strides = dense_strides(format, type.shape);
    last.tensors = {{"t", type, {}}};
    EXPECT_NO_THROW(validate(engine.data, kSection)) << name_of(format);
  }
}

TEST(Text, ShowsAProgram) {
  EXPECT_EQ(text_of(testing::linear_engine(2, 8, 5, false).data),
            R"(engine cpu ranks 2
input x f32[batch, 8]
output y f32[batch, 5]
weight W f32[8, 2] | [8, 3] replicate
program arena 320 workspace 0
  symbol batch 0..4..16
  segment
    matmul (input x f32[batch, 8], weight W f32[8, -floordiv(5*$rank, 2) + floordiv(5*$rank + 5, 2)]) -> (arena+0 f32[batch, -floordiv(5*$rank, 2) + floordiv(5*$rank + 5, 2)])  # fc
    all_gather {axis=1, cut_extent=[5], cut_grain=[1], cut_group=[1], ranks=2} (arena+0 f32[batch, -floordiv(5*$rank, 2) + floordiv(5*$rank + 5, 2)]) -> (output y f32[batch, 5])  # fc
)");
}

}  // namespace
}  // namespace cleave::program
