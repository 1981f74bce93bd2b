#include "runtime/bind_shapes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cleave/error.h"

namespace cleave::runtime {
namespace {

using ::testing::HasSubstr;

program::EngineData engine(std::vector<std::vector<Dim>> shapes) {
  program::EngineData data;
  for (size_t i = 0; i < shapes.size(); ++i) {
    data.inputs.push_back(
        {std::string(1, static_cast<char>('a' + i)), {DType::kFloat32, std::move(shapes[i])}});
  }
  data.programs.resize(1);
  data.programs[0].symbols = {{"batch", 1, 1, 8}, {"seq", 1, 64, 128}};
  return data;
}

TensorMap inputs(std::vector<std::vector<int64_t>> shapes) {
  TensorMap map;
  for (size_t i = 0; i < shapes.size(); ++i) {
    map.set(std::string(1, static_cast<char>('a' + i)), Tensor(DType::kFloat32, shapes[i]));
  }
  return map;
}

std::string message(const program::EngineData& data, const TensorMap& map) {
  try {
    bind_shapes(data, map);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalid);
    EXPECT_FALSE(error.hint().empty()) << error.what();
    return error.what();
  }
  return "no error";
}

const Dim kBatch = Dim::symbol("batch");
const Dim kSeq = Dim::symbol("seq");

TEST(BindShapes, FindsSymbols) {
  const auto data = engine({{kBatch, kSeq, 4}, {kBatch * kSeq, kSeq + 1}});
  const BoundShapes bound = bind_shapes(data, inputs({{2, 3, 4}, {6, 4}}));
  EXPECT_EQ(bound.symbols, (SymbolValues{{"batch", 2}, {"seq", 3}}));
  EXPECT_THAT(message(data, inputs({{2, 3, 4}, {7, 4}})),
              AllOf(HasSubstr("input 'b'"), HasSubstr("dimension 0 is 7, it must be 6"),
                    HasSubstr("batch*seq")));
  EXPECT_THAT(message(data, inputs({{2, 3, 5}, {6, 4}})), HasSubstr("is 5, it must be 4"));
}

TEST(BindShapes, SolvesLinearExpressions) {
  const auto data = engine({{kBatch * 2 + 1, floor_div(kSeq, 1)}});
  EXPECT_EQ(bind_shapes(data, inputs({{7, 5}})).symbols, (SymbolValues{{"batch", 3}, {"seq", 5}}));
  EXPECT_THAT(message(data, inputs({{6, 5}})), HasSubstr("batch"));
  EXPECT_THAT(message(data, inputs({{19, 5}})), HasSubstr("'batch' is 9"));
}

TEST(BindShapes, SymbolsMustAgree) {
  const auto data = engine({{kBatch, kSeq}, {kBatch, kSeq}});
  EXPECT_THAT(message(data, inputs({{2, 3}, {2, 4}})),
              AllOf(HasSubstr("'seq' is 4 here and 3 elsewhere"), HasSubstr("input 'b'")));
}

TEST(BindShapes, BoundsAreTold) {
  const auto data = engine({{kBatch, kSeq}});
  EXPECT_THAT(
      message(data, inputs({{9, 3}})),
      AllOf(HasSubstr("'batch' is 9, the engine was built for 1 to 8"), HasSubstr("--maxShapes")));
  EXPECT_THAT(message(data, inputs({{0, 3}})), HasSubstr("'batch' is 0"));
}

TEST(BindShapes, TheFirstProfileThatFitsIsTaken) {
  auto data = engine({{kBatch, kSeq}});
  data.programs.push_back(data.programs[0]);
  data.programs[1].symbols = {{"batch", 1, 1, 64}, {"seq", 1, 64, 512}};
  EXPECT_EQ(bind_shapes(data, inputs({{2, 3}})).program, 0u);
  EXPECT_EQ(bind_shapes(data, inputs({{20, 3}})).program, 1u);
  EXPECT_THAT(message(data, inputs({{65, 3}})), HasSubstr("1 to 8"));
}

TEST(BindShapes, GuardsAreChecked) {
  auto data = engine({{kBatch, kSeq}});
  data.programs[0].guards = {{kSeq, kBatch * 2, "node add_3"}};
  EXPECT_NO_THROW(bind_shapes(data, inputs({{2, 4}})));
  EXPECT_THAT(message(data, inputs({{2, 5}})), AllOf(HasSubstr("node add_3"), HasSubstr("seq is 5"),
                                                     HasSubstr("2*batch, which is 4")));
}

TEST(BindShapes, ASymbolOfNoInputIsAnError) {
  EXPECT_THAT(message(engine({{kBatch}}), inputs({{2}})), HasSubstr("'seq'"));
}

}  // namespace
}  // namespace cleave::runtime
