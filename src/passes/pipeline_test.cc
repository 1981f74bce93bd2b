#include "passes/pipeline.h"

#include "passes/dead_code.h"
#include "passes/testing.h"

namespace cleave::passes {
namespace {

using testing::checked;
using testing::ops_of;

bool whole_pipeline(ir::Graph& graph, const ops::Registry& registry) {
  const std::string before = ir::to_text(graph);
  run_pipeline(graph, registry);
  return ir::to_text(graph) != before;
}

const SymbolValues kSizes{{"b", 2}, {"s", 3}};

TEST(DeadCode, DropsWhatNobodyReads) {
  const ir::Graph graph = checked(R"(
  input %x : f32[4]
  constant %c : f32[4] = [1, 2, 3, 4]
  %a = add(%x, %c) : f32[4]
  %b = exp(%a) : f32[4]
  %p, %q = split(%x) {axis=0, sizes=[1, 3]} : f32[1], f32[3]
  return %q)",
                                  dead_code);
  EXPECT_EQ(ops_of(graph), "split=1");
  EXPECT_EQ(graph.find_value("c"), std::nullopt);
}

// An encoder's attention and the first half of its feed-forward part, as an exporter writes them.
constexpr const char* kEncoder = R"(
  input %x : f32[b, s, 8]
  input %mask : i64[b, s]
  constant %w : f32[8, 8] = fill(0.125)
  constant %four : f32[] = [2]
  constant %one : f32[] = [1]
  constant %low : f32[] = [-3.4028234663852886e+38]
  constant %root : f32[] = [1.4142135381698608]
  constant %half : f32[] = [0.5]
  %m1 = reshape(%mask) {shape=[b, 1, s]} : i64[b, 1, s]
  %m2 = reshape(%m1) {shape=[b, 1, 1, s]} : i64[b, 1, 1, s]
  %m3 = cast(%m2) {to=type(f32)} : f32[b, 1, 1, s]
  %ones = broadcast(%one) {shape=[b, 1, 1, s]} : f32[b, 1, 1, s]
  %m4 = min(%m3, %ones) : f32[b, 1, 1, s]
  %m5 = sub(%ones, %m4) : f32[b, 1, 1, s]
  %lows = broadcast(%low) {shape=[b, 1, 1, s]} : f32[b, 1, 1, s]
  %m6 = mul(%m5, %lows) : f32[b, 1, 1, s]
  %k1 = matmul(%x, %w) : f32[b, s, 8]
  %q2 = reshape(%x) {shape=[b, s, 2, 4]} : f32[b, s, 2, 4]
  %k2 = reshape(%k1) {shape=[b, s, 2, 4]} : f32[b, s, 2, 4]
  %q3 = transpose(%q2) {perm=[0, 2, 1, 3]} : f32[b, 2, s, 4]
  %k3 = transpose(%k2) {perm=[0, 2, 3, 1]} : f32[b, 2, 4, s]
  %v3 = transpose(%q2) {perm=[0, 2, 1, 3]} : f32[b, 2, s, 4]
  %scores = matmul(%q3, %k3) : f32[b, 2, s, s]
  %divisor = broadcast(%four) {shape=[b, 2, s, s]} : f32[b, 2, s, s]
  %scaled = div(%scores, %divisor) : f32[b, 2, s, s]
  %m7 = broadcast(%m6) {shape=[b, 2, s, s]} : f32[b, 2, s, s]
  %masked = add(%scaled, %m7) : f32[b, 2, s, s]
  %weights = softmax(%masked) {axis=3} : f32[b, 2, s, s]
  %o1 = matmul(%weights, %v3) : f32[b, 2, s, 4]
  %o2 = transpose(%o1) {perm=[0, 2, 1, 3]} : f32[b, s, 2, 4]
  %o3 = reshape(%o2) {shape=[b, s, 8]} : f32[b, s, 8]
  %roots = broadcast(%root) {shape=[b, s, 8]} : f32[b, s, 8]
  %g1 = div(%o3, %roots) : f32[b, s, 8]
  %g2 = erf(%g1) : f32[b, s, 8]
  %wide = broadcast(%one) {shape=[b, s, 8]} : f32[b, s, 8]
  %g3 = add(%g2, %wide) : f32[b, s, 8]
  %g4 = mul(%o3, %g3) : f32[b, s, 8]
  %halves = broadcast(%half) {shape=[b, s, 8]} : f32[b, s, 8]
  %y = mul(%g4, %halves) : f32[b, s, 8]
  return %y)";

TEST(Pipeline, EncoderHasNoLeftovers) {
  const ir::Graph graph = checked(kEncoder, whole_pipeline, kSizes);
  EXPECT_EQ(ops_of(graph),
            "attention=1 broadcast=2 cast=1 gelu=1 matmul=1 min=1 mul=1 reshape=4 sub=1 "
            "transpose=3");
}

TEST(Pipeline, ASecondRunChangesNothing) {
  const ops::Registry registry = ops::Registry::builtin();
  ir::Graph graph = checked(kEncoder, whole_pipeline, kSizes);
  EXPECT_FALSE(whole_pipeline(graph, registry));
}

TEST(Pipeline, LogsAndDumps) {
  const ops::Registry registry = ops::Registry::builtin();
  ir::Graph graph = testing::graph_of(kEncoder);
  std::vector<std::string> lines, dumps;
  PipelineOptions options;
  options.log = [&](LogLevel, std::string_view line) { lines.emplace_back(line); };
  options.dump = [&](std::string_view pass, const ir::Graph&) { dumps.emplace_back(pass); };
  run_pipeline(graph, registry, options);
  EXPECT_EQ(lines.size(), pipeline().size());
  EXPECT_NE(std::find(dumps.begin(), dumps.end(), "recover_attention"), dumps.end());
  EXPECT_EQ(std::find(dumps.begin(), dumps.end(), "recover_rotary"), dumps.end());
}

// What normalisations and activations decompose into is found again.
TEST(Pipeline, RecoversItsOwnDecompositions) {
  const ops::Registry registry = ops::Registry::builtin();
  const Attributes norm{{"axes", Dim(2)}, {"epsilon", 0.25}};
  const std::pair<const char*, Attributes> composites[] = {{"layer_norm", norm},
                                                           {"rms_norm", norm},
                                                           {"gelu", {}},
                                                           {"gelu_tanh", {}},
                                                           {"silu", {}},
                                                           {"hard_swish", {}},
                                                           {"hard_sigmoid", {{"alpha", 0.2}}}};
  for (const auto& [op, attributes] : composites) {
    ir::Graph graph;
    ops::Builder builder(graph, registry);
    const Dim s = Dim::symbol("s");
    const ir::ValueId x = graph.add_input("x", {DType::kFloat32, {2, s, 8}});
    std::vector<ir::ValueId> inputs{x};
    if (std::string_view(op).ends_with("norm")) {
      inputs.push_back(graph.add_input("scale", {DType::kFloat32, {s, 8}}));
    }
    const ir::ValueId y = builder.add1("y", op, attributes, inputs);
    graph.set_outputs({y});
    const ir::NodeId id = graph.value(y).producer;
    const auto parts = registry.at(op).decompose(graph, graph.node(id));
    graph.replace_uses(y, parts.at(0));
    graph.erase(id);
    graph.compact();
    EXPECT_GT(graph.order().size(), 1u);
    run_pipeline(graph, registry);
    EXPECT_EQ(ops_of(graph), std::string(op) + "=1");
  }
}

}  // namespace
}  // namespace cleave::passes
