#include "layers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "backend/builtin_kernels.h"
#include "backend/kernel.h"
#include "cleave/error.h"
#include "compiler/compile.h"
#include "ops/builder.h"
#include "program/weight_source.h"
#include "reference_tensors.h"
#include "runtime/engine_impl.h"
#include "runtime/runtime_impl.h"

namespace cleave::cli {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kRows = 5;
constexpr int64_t kWidth = 12;
constexpr int64_t kInner = 14;  // no multiple of 3

std::vector<float> noise(int64_t elements, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(static_cast<size_t>(elements));
  for (float& value : values) value = uniform(random);
  return values;
}

// x → h1 = x · w1 → a1 = tanh(h1 + b1) → h2 = a1 · w2 → s = softmax(h2) → y = s · w3
std::shared_ptr<const NetworkImpl> network() {
  auto result = std::make_shared<NetworkImpl>();
  result->registry = ops::Registry::builtin();
  ir::Graph& graph = result->graph;
  ops::Builder builder(graph, result->registry);
  const auto constant = [&](const char* name, std::vector<int64_t> shape, uint64_t seed) {
    int64_t elements = 1;
    for (const int64_t extent : shape) elements *= extent;
    HostTensor tensor(DType::kFloat32, std::move(shape));
    const std::vector<float> values = noise(elements, seed);
    std::memcpy(tensor.bytes.data(), values.data(), tensor.bytes.size());
    return graph.add_constant(name, ir::constant_value(std::move(tensor)));
  };
  const ir::ValueId x = graph.add_input("x", {DType::kFloat32, {kRows, kWidth}});
  const ir::ValueId h1 =
      builder.add1("fc1", "matmul", {}, {x, constant("w1", {kWidth, kInner}, 1)}, "h1");
  const ir::ValueId bias = builder.broadcast(constant("b1", {kInner}, 2), graph.type(h1).shape);
  const ir::ValueId sum = builder.add1("bias", "add", {}, {h1, bias}, "sum");
  const ir::ValueId a1 = builder.add1("act", "tanh", {}, {sum}, "a1");
  const ir::ValueId h2 =
      builder.add1("fc2", "matmul", {}, {a1, constant("w2", {kInner, kWidth}, 3)}, "h2");
  Attributes axis;
  axis.set("axis", Dim(1));
  const ir::ValueId s = builder.add1("soft", "softmax", axis, {h2}, "s");
  const ir::ValueId y =
      builder.add1("fc3", "matmul", {}, {s, constant("w3", {kWidth, kInner}, 4)}, "y");
  graph.add_output(y);
  return result;
}

Engine compiled(const std::shared_ptr<const NetworkImpl>& network, int devices,
                std::optional<uint64_t> random_costs = {}) {
  BuilderConfig config;
  config.devices = DeviceList::cpu(devices);
  compiler::Overrides overrides;
  overrides.random_costs = random_costs;
  return compiler::build(network, config, overrides);
}

TensorMap inputs() { return {{"x", Tensor::of<float>({kRows, kWidth}, noise(kRows * kWidth, 9))}}; }

// Runs the engines, the split one with `kernels`.
LayerReport report_of(const Engine& split, const Engine& unsplit, backend::KernelRegistry kernels,
                      size_t bound = kReferenceBytes) {
  Runtime runtime =
      make_runtime(DeviceList::cpu(static_cast<int>(split.devices())), {}, std::move(kernels));
  RuntimeOptions options;
  options.stream_weights = true;
  Runtime whole(DeviceList::cpu(1), options);
  ExecutionContext split_context = runtime.create_context(split);
  ExecutionContext context = whole.create_context(unsplit);
  return run_paired(split_context, context, inputs(), {}, bound).report;
}

LayerReport report_of(const Engine& split, const Engine& unsplit) {
  return report_of(split, unsplit, backend::builtin_cpu_kernels());
}

// An engine whose rank `rank` holds wrong numbers in weight `name`; nothing where it holds none of
// it.
std::optional<Engine> corrupted(const Engine& engine, const std::string& name, int64_t rank) {
  class Corrupted final : public program::WeightSource {
   public:
    Corrupted(std::shared_ptr<const program::WeightSource> source, size_t weight, int64_t rank)
        : source_(std::move(source)), weight_(weight), rank_(rank) {}
    std::vector<uint64_t> pieces(size_t weight, int64_t rank) const override {
      return source_->pieces(weight, rank);
    }
    void read(size_t weight, int64_t rank, size_t piece, std::span<std::byte> into) const override {
      source_->read(weight, rank, piece, into);
      if (weight != weight_ || rank != rank_) return;
      std::vector<float> values(into.size() / sizeof(float));
      std::memcpy(values.data(), into.data(), into.size());
      for (float& value : values) value += 1;
      std::memcpy(into.data(), values.data(), into.size());
    }

   private:
    std::shared_ptr<const program::WeightSource> source_;
    size_t weight_;
    int64_t rank_;
  };
  const program::EngineData& data = engine.impl()->data;
  for (size_t w = 0; w < data.weights.size(); ++w) {
    if (data.weights[w].name != name) continue;
    if (data.weights[w].slices[static_cast<size_t>(rank)].bytes == 0) return std::nullopt;
    return make_engine(data, std::make_shared<Corrupted>(engine.impl()->weights, w, rank));
  }
  return std::nullopt;
}

// The kind of layout: "replicate", "shard" or "partial".
std::string kind(const std::string& layout) { return layout.substr(0, layout.find('(')); }

TEST(Layers, EqualRunsAreEqualInEveryLayout) {
  const auto model = network();
  const Engine unsplit = compiled(model, 1);
  std::set<std::string> kinds;
  for (const int devices : {2, 3}) {
    for (uint64_t seed = 0; seed < 20; ++seed) {
      const LayerReport report = report_of(compiled(model, devices, seed), unsplit);
      EXPECT_EQ(report.first_difference(), nullptr)
          << layer_table(report) << devices << " devices, plan " << seed;
      // The same tensors as unsplit, and perhaps some that a reshard parts a kernel at.
      std::set<std::string> compared;
      for (const Layer& layer : report.layers) {
        compared.insert(layer.tensor);
        kinds.insert(kind(layer.layout));
      }
      EXPECT_EQ(compared, (std::set<std::string>{"a1", "h2", "s", "y"}));
    }
  }
  EXPECT_EQ(kinds, (std::set<std::string>{"replicate", "shard", "partial"}));
}

// Wrong numbers on any one rank show in the tensor that it makes first, however that lies.
TEST(Layers, AWrongWeightIsFoundWhereItIsRead) {
  const auto model = network();
  const Engine unsplit = compiled(model, 1);
  const std::map<std::string, std::string> first = {{"w1", "a1"}, {"w2", "h2"}, {"w3", "y"}};
  std::map<std::string, std::set<std::string>> kinds;  // by weight
  for (const int devices : {2, 3}) {
    for (uint64_t seed = 0; seed < 30; ++seed) {
      const Engine engine = compiled(model, devices, seed);
      // Where whole tensors become terms of a sum, what other ranks than the first hold is zeroed.
      const bool zeroed = engine.program_text().find("rank_zero") != std::string::npos;
      for (const auto& [weight, tensor] : first) {
        for (int64_t rank = 0; rank < devices; ++rank) {
          const std::optional<Engine> wrong = corrupted(engine, weight, rank);
          if (!wrong || (zeroed && rank > 0)) continue;
          SCOPED_TRACE(weight + " on rank " + std::to_string(rank) + " of " +
                       std::to_string(devices) + ", plan " + std::to_string(seed));
          const LayerReport report = report_of(*wrong, unsplit);
          const Layer* found = report.first_difference();
          ASSERT_NE(found, nullptr) << layer_table(report);
          EXPECT_EQ(found->tensor, tensor) << layer_table(report);
          kinds[weight].insert(kind(found->layout));
          EXPECT_THAT(layer_table(report), HasSubstr("first difference: tensor '" + tensor + "'"));
        }
      }
    }
  }
  EXPECT_EQ(kinds["w2"], (std::set<std::string>{"replicate", "shard", "partial"}));
}

// A kernel that adds to the first element of its result where `wrong` says so.
class WrongKernel final : public backend::Kernel {
 public:
  using Where = std::function<bool(const backend::KernelProblem&)>;
  WrongKernel(std::string op, Where wrong) : op_(std::move(op)), wrong_(std::move(wrong)) {}

  std::string_view op() const override { return op_; }
  std::string_view name() const override { return "wrong"; }
  std::optional<std::string> refuses(const backend::KernelProblem& problem) const override {
    if (!wrong_(problem)) return "it is right here";
    return std::nullopt;
  }
  std::unique_ptr<backend::PreparedKernel> prepare(const backend::KernelProblem& problem,
                                                   backend::KernelCache& cache) const override {
    class Prepared final : public backend::PreparedKernel {
     public:
      explicit Prepared(std::unique_ptr<backend::PreparedKernel> right)
          : right_(std::move(right)) {}
      int64_t workspace_bytes() const override { return right_->workspace_bytes(); }
      bool reads_input(size_t input) const override { return right_->reads_input(input); }
      void run(std::span<const void* const> in, std::span<void* const> out,
               const backend::Launch& launch) const override {
        right_->run(in, out, launch);
        *static_cast<float*>(out[0]) += 0.5F;
      }

     private:
      std::unique_ptr<backend::PreparedKernel> right_;
    };
    static const backend::KernelRegistry kRight = backend::builtin_cpu_kernels();
    return std::make_unique<Prepared>(kRight.at(problem).prepare(problem, cache));
  }

 private:
  std::string op_;
  Where wrong_;
};

TEST(Layers, AWrongKernelIsNamed) {
  const auto model = network();
  const Engine unsplit = compiled(model, 1);
  for (const int devices : {2, 3}) {
    for (uint64_t seed = 0; seed < 8; ++seed) {
      backend::KernelRegistry kernels = backend::builtin_cpu_kernels();
      kernels.add_front(std::make_shared<WrongKernel>(
          "softmax", [](const backend::KernelProblem&) { return true; }));
      const LayerReport report = report_of(compiled(model, devices, seed), unsplit, kernels);
      const Layer* found = report.first_difference();
      ASSERT_NE(found, nullptr);
      EXPECT_EQ(found->tensor, "s");
      EXPECT_EQ(found->op, "softmax");
      EXPECT_EQ(found->node, "soft");
      EXPECT_NEAR(found->difference.max_abs, 0.5, 1e-4);
      EXPECT_GE(found->difference.failed, 1);
      Json json;
      add_json(report, json);
      EXPECT_EQ(json["first_difference"]["tensor"], "s");
      EXPECT_EQ(json["layers"].size(), report.layers.size());
    }
  }
}

TEST(Layers, TheTableHas80Columns) {
  LayerReport report;
  report.layers.push_back({std::string(60, 'n'), "shard(11, 384/32)", "matmul", "fc", {}});
  report.layers.push_back({"t", "partial(sum)", "matmul", "fc", {1e-300, 1e300, 1, 2, 0}});
  report.not_compared = 3;
  const std::string table = layer_table(report);
  size_t begin = 0;
  for (size_t end; (end = table.find('\n', begin)) != std::string::npos; begin = end + 1) {
    EXPECT_LE(end - begin, 80u) << table;
  }
  EXPECT_THAT(table, HasSubstr("shard 11"));
  EXPECT_THAT(table, HasSubstr("FAIL"));
  EXPECT_THAT(table, HasSubstr("3 result(s)"));
}

// Little memory makes the runs wait for each other, and changes nothing else.
TEST(Layers, LittleOfTheUnsplitRunIsKept) {
  const auto model = network();
  const Engine unsplit = compiled(model, 1);
  const Engine split = compiled(model, 2, 1);
  const LayerReport wide = report_of(split, unsplit);
  const LayerReport narrow = report_of(split, unsplit, backend::builtin_cpu_kernels(), /*bound=*/1);
  // The largest tensor alone.
  EXPECT_LE(narrow.peak_bytes, static_cast<size_t>(kRows * kInner * 4));
  ASSERT_EQ(narrow.layers.size(), wide.layers.size());
  for (size_t i = 0; i < wide.layers.size(); ++i) {
    EXPECT_EQ(narrow.layers[i].tensor, wide.layers[i].tensor);
    EXPECT_EQ(narrow.layers[i].difference.max_abs, wide.layers[i].difference.max_abs);
  }
}

// A run that fails ends the other, and its error is the one that is seen.
TEST(Layers, AFailingRunEndsBoth) {
  const auto model = network();
  const Engine unsplit = compiled(model, 1);
  const Engine split = compiled(model, 2, 1);
  class Failing final : public program::WeightSource {
   public:
    std::vector<uint64_t> pieces(size_t, int64_t) const override {
      throw Error(ErrorCode::kInvalid, "no such weight");
    }
    void read(size_t, int64_t, size_t, std::span<std::byte>) const override {}
  };
  for (const bool split_fails : {false, true}) {
    const auto with_weights = [&](const Engine& engine, bool fails) {
      return fails ? make_engine(engine.impl()->data, std::make_shared<Failing>()) : engine;
    };
    try {
      report_of(with_weights(split, split_fails), with_weights(unsplit, !split_fails),
                backend::builtin_cpu_kernels(), /*bound=*/1);
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("no such weight"));
    }
  }
}

TEST(ReferenceTensors, TheGiverWaitsUnlessTheTakerDoes) {
  const Tensor tensor(DType::kFloat32, {16});
  ReferenceTensors reference({{"a", 1}, {"b", 2}, {"c", 1}, {"never", 1}}, tensor.bytes());
  std::thread giver([&] {
    for (const char* name : {"a", "unknown", "b", "b", "c"}) reference.give(name, tensor);
    reference.give_no_more();
  });
  // What comes last is asked for first: all before it is kept beyond the bound.
  EXPECT_TRUE(reference.take("c").has_value());
  EXPECT_EQ(reference.peak_bytes(), 3 * tensor.bytes());
  EXPECT_TRUE(reference.take("b").has_value());
  EXPECT_TRUE(reference.take("a").has_value());
  EXPECT_TRUE(reference.take("b").has_value());
  EXPECT_FALSE(reference.take("b").has_value());
  EXPECT_FALSE(reference.take("unknown").has_value());
  EXPECT_FALSE(reference.take("never").has_value());
  giver.join();
}

}  // namespace
}  // namespace cleave::cli
