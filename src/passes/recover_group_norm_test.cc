#include "passes/recover_group_norm.h"

#include "passes/testing.h"

namespace cleave::passes {
namespace {

using testing::checked;
using testing::only;
using testing::ops_of;
using testing::replaced;

const SymbolValues kSizes{{"n", 3}, {"h", 2}};

// As exporters write 2 groups of 3 channels: the group is the channel of an instance norm.
constexpr const char* kGroupNorm = R"(
  input %x : f32[n, 6, h, 4]
  constant %ones : f32[2] = fill(1)
  constant %zeros : f32[2] = fill(0)
  input %scale : f32[6, 1, 1]
  input %bias : f32[1, 6, 1, 1]
  %flat = reshape(%x) {shape=[n, 2, 12*h]} : f32[n, 2, 12*h]
  %norm = group_norm(%flat, %ones, %zeros) {group_channels=1, epsilon=0.0625} : f32[n, 2, 12*h]
  %back = reshape(%norm) {shape=[n, 6, h, 4]} : f32[n, 6, h, 4]
  %scales = broadcast(%scale) {shape=[n, 6, h, 4]} : f32[n, 6, h, 4]
  %scaled = mul(%scales, %back) : f32[n, 6, h, 4]
  %biases = broadcast(%bias) {shape=[n, 6, h, 4]} : f32[n, 6, h, 4]
  %y = add(%scaled, %biases) : f32[n, 6, h, 4]
  return %y)";

ir::Graph run(const std::string& body) { return checked(body, recover_group_norm, kSizes); }

std::string operands_of(const ir::Graph& graph, const ir::Node& node) {
  std::string text;
  for (const ir::ValueId input : node.inputs) text += graph.value(input).name + " ";
  return text;
}

TEST(RecoverGroupNorm, OfTheImageWithScaleAndBias) {
  const ir::Graph graph = run(kGroupNorm);
  EXPECT_EQ(ops_of(graph), "group_norm=1 reshape=2");  // scale and bias as [6]
  const ir::Node& norm = only(graph, "group_norm");
  EXPECT_EQ(norm.attributes.text(), "{epsilon=0.0625, group_channels=3}");
  EXPECT_EQ(operands_of(graph, norm), "x scale/channels bias/channels ");
}

// Each of the instance norm's own parameters is one of all channels of a group.
TEST(RecoverGroupNorm, ParametersOfGroupsAreSpreadOverTheirChannels) {
  std::string body =
      replaced(kGroupNorm, "constant %ones : f32[2] = fill(1)", "input %ones : f32[2]");
  body = replaced(body, "constant %zeros : f32[2] = fill(0)", "constant %zeros : f32[2] = [1, -2]");
  const ir::Graph graph = run(body);
  EXPECT_EQ(ops_of(graph), "add=1 broadcast=2 group_norm=1 mul=2 reshape=6");
  EXPECT_EQ(only(graph, "group_norm").attributes.integer("group_channels"), 3);
}

TEST(RecoverGroupNorm, ScaleAloneAndScalars) {
  std::string body = replaced(kGroupNorm, "return %y", "return %scaled");
  EXPECT_EQ(operands_of(run(body), only(run(body), "group_norm")).substr(0, 17),
            "x scale/channels ");
  body = replaced(kGroupNorm, "input %scale : f32[6, 1, 1]", "constant %scale : f32[] = [0.5]");
  const ir::Graph graph = run(body);
  EXPECT_EQ(only(graph, "group_norm").inputs[0], graph.inputs()[0]);
  EXPECT_EQ(ops_of(graph).find("mul"), std::string::npos);
}

// Of what comes in other dimensions, and symbolic numbers of channels.
TEST(RecoverGroupNorm, ResultsOfOtherDimensions) {
  const ir::Graph flat = run(R"(
  input %x : f32[n, 6, h, 4]
  input %scale : f32[2]
  input %bias : f32[2]
  %flat = reshape(%x) {shape=[n, 2, 12*h]} : f32[n, 2, 12*h]
  %norm = group_norm(%flat, %scale, %bias) {group_channels=1, epsilon=0.0625} : f32[n, 2, 12*h]
  %y = reshape(%norm) {shape=[n, 6, 4*h]} : f32[n, 6, 4*h]
  return %y)");
  EXPECT_EQ(flat.type(only(flat, "group_norm").inputs[0]).text(), "f32[n, 6, 4*h]");
  const ir::Graph symbolic = run(R"(
  input %x : f32[n, 6*h, h]
  input %scale : f32[2*h]
  input %bias : f32[2*h]
  %flat = reshape(%x) {shape=[n, 2*h, 3*h]} : f32[n, 2*h, 3*h]
  %norm = group_norm(%flat, %scale, %bias) {group_channels=h, epsilon=0.0625} : f32[n, 2*h, 3*h]
  %y = reshape(%norm) {shape=[n, 6*h, h]} : f32[n, 6*h, h]
  return %y)");
  EXPECT_EQ(only(symbolic, "group_norm").attributes.dim("group_channels").text(), "3*h");
}

// One group_norm between two reshapes, with random scale and bias, and what becomes of it.
std::string recovered(const std::string& flat, int64_t groups, int64_t channels,
                      const std::string& image, const std::string& results = "%y") {
  const std::string each = std::to_string(groups);
  return ops_of(run("input %x : f32[" + image + "]\n input %scale : f32[" + each +
                    "]\n input %bias : f32[" + each + "]\n %flat = reshape(%x) {shape=[" + flat +
                    "]} : f32[" + flat + "]\n %norm = group_norm(%flat, %scale, %bias) {" +
                    "group_channels=" + std::to_string(channels) + ", epsilon=0.0625} : f32[" +
                    flat + "]\n %y = reshape(%norm) {shape=[" + image + "]} : f32[" + image +
                    "]\n return " + results));
}

TEST(RecoverGroupNorm, LeavesWhatIsNotTheSame) {
  const std::string left = "group_norm=1 reshape=2";
  EXPECT_EQ(recovered("n, 6, 4*h", 6, 2, "n, 6, h, 4"), "group_norm=1");
  EXPECT_EQ(recovered("n, 6, 4*h", 6, 2, "n, 6, h, 4", "%y, %norm"), left);
  EXPECT_EQ(recovered("n, 12, 2*h", 12, 12, "n, 12, h, 2"), "group_norm=1");
  // Groups that are no whole channels, a scale that differs within a channel, several images.
  EXPECT_EQ(recovered("n, 4, 6*h", 4, 1, "n, 6, h, 4"), left);
  EXPECT_EQ(recovered("n, 12, 2*h", 12, 6, "n, 6, h, 4"), left);
  EXPECT_EQ(recovered("3, 4, 2*h", 4, 2, "1, 12, h, 2"), left);
}

// What is behind the norm differs between images or places, or the norm has other readers.
TEST(RecoverGroupNorm, OtherFactorsStayOutside) {
  for (const char* shape : {"f32[n, 6, 1, 1]", "f32[h, 1]", "f32[6, h, 1]"}) {
    const std::string body =
        replaced(kGroupNorm, "input %scale : f32[6, 1, 1]", std::string("input %scale : ") + shape);
    EXPECT_EQ(ops_of(run(body)), "add=1 broadcast=4 group_norm=1 mul=1") << shape;
  }
  const ir::Graph graph = run(replaced(kGroupNorm, "return %y", "return %y, %back"));
  EXPECT_EQ(ops_of(graph), "add=1 broadcast=4 group_norm=1 mul=1");
}

}  // namespace
}  // namespace cleave::passes
