// Weights that are loaded for one instruction at a time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "cleave/cleave.h"
#include "compiler/compile.h"
#include "ops/builder.h"

namespace cleave {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kWidth = 256;
constexpr int64_t kLayers = 6;
constexpr int64_t kLayerBytes = kWidth * kWidth * 4;

// Noise whose bytes an engine holds.
ir::RecipePtr stored_noise(int64_t seed) {
  const HostTensor noise =
      ir::constant_noise(DType::kFloat32, {kWidth, kWidth}, static_cast<uint64_t>(seed), 0.1)
          ->read_all();
  std::string bytes(reinterpret_cast<const char*>(noise.bytes.data()), noise.bytes.size());
  return ir::constant_file(memory_source("noise " + std::to_string(seed), std::move(bytes)), 0,
                           DType::kFloat32, noise.shape);
}

// x → tanh(... tanh(x · w0) ...): kLayers products.
std::shared_ptr<const NetworkImpl> layers() {
  auto result = std::make_shared<NetworkImpl>();
  result->registry = ops::Registry::builtin();
  ir::Graph& graph = result->graph;
  ops::Builder builder(graph, result->registry);
  ir::ValueId x = graph.add_input("x", {DType::kFloat32, {4, kWidth}});
  for (int64_t i = 0; i < kLayers; ++i) {
    const std::string number = std::to_string(i);
    const ir::ValueId weight = graph.add_constant("w" + number, stored_noise(i));
    x = builder.add1("fc" + number, "matmul", {}, {x, weight});
    x = builder.add1("act" + number, "tanh", {}, {x}, "a" + number);
  }
  graph.add_output(x);
  return result;
}

Engine engine_for(int devices) {
  BuilderConfig config;
  config.devices = DeviceList::cpu(devices);
  return compiler::build(layers(), config, {});
}

TensorMap inputs() {
  Tensor x(DType::kFloat32, {4, kWidth});
  auto values = x.mutable_span<float>();
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 13) / 13 - 0.5F;
  return {{"x", x}};
}

std::vector<float> values(const TensorMap& outputs) {
  const auto span = outputs.begin()->second.span<float>();
  return {span.begin(), span.end()};
}

RuntimeOptions streaming(int64_t limit = 0) {
  RuntimeOptions options;
  options.stream_weights = true;
  options.memory_limit = limit;
  return options;
}

TEST(Streaming, ResultsAreThoseOfARunWithAllWeights) {
  for (const int devices : {1, 2, 3}) {
    const Engine engine = engine_for(devices);
    Runtime runtime{DeviceList::cpu(devices)};
    const std::vector<float> whole = values(runtime.create_context(engine).run(inputs()));
    Runtime streamed(DeviceList::cpu(devices), streaming());
    ExecutionContext context = streamed.create_context(engine);
    for (int run = 0; run < 2; ++run) {
      Timeline timeline;
      EXPECT_EQ(values(context.run(inputs(), {.timeline = &timeline})), whole);
      ASSERT_EQ(timeline.ranks.size(), static_cast<size_t>(devices));
      EXPECT_EQ(timeline.ranks[0].size(), timeline.instructions.size());
    }
  }
}

TEST(Streaming, MemoryHoldsOneInstructionsWeights) {
  const Engine engine = engine_for(1);
  EXPECT_GE(engine.memory_bytes().at(0), kLayers * kLayerBytes);
  const int64_t most = engine.activation_bytes() + engine.workspace_bytes() + kLayerBytes;
  ASSERT_LT(most, engine.memory_bytes().at(0));
  Runtime runtime(DeviceList::cpu(1), streaming(most));
  ExecutionContext context = runtime.create_context(engine);
  context.run(inputs());
  EXPECT_GE(runtime.memory()[0].peak, engine.activation_bytes() + kLayerBytes);
  EXPECT_LE(runtime.memory()[0].peak, most);
  EXPECT_LT(runtime.memory()[0].used, kLayerBytes);  // none is kept behind the run

  Runtime small(DeviceList::cpu(1), streaming(most - 1));
  try {
    small.create_context(engine);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOutOfMemory);
    EXPECT_THAT(error.what(), HasSubstr("the limit is"));
  }
}

TEST(Streaming, AnEngineFileIsStreamed) {
  const std::string path =
      std::filesystem::temp_directory_path() / ("cleave_stream_" + std::to_string(::getpid()));
  const Engine built = engine_for(2);
  built.save(path);
  Runtime runtime(DeviceList::cpu(2), streaming());
  const std::vector<float> whole = values(runtime.create_context(built).run(inputs()));
  EXPECT_EQ(values(runtime.create_context(Engine::load(path)).run(inputs())), whole);
  // A weight that cannot be read any more fails the run, and says which.
  const Engine engine = Engine::load(path);
  ExecutionContext context = runtime.create_context(engine);
  context.run(inputs());
  std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
  try {
    context.run(inputs());
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalid);
    EXPECT_THAT(error.what(), HasSubstr("weight 'w"));
    EXPECT_THAT(error.what(), HasSubstr("instruction"));
  }
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace cleave
