#include "passes/recover_activations.h"

#include "passes/recover_softmax.h"
#include "passes/testing.h"

namespace cleave::passes {
namespace {

using testing::checked;
using testing::only;
using testing::ops_of;

const SymbolValues kSizes{{"n", 3}};

// A body where `%c` broadcasts of numbers are there for all names in `constants`.
std::string with_numbers(const std::vector<std::pair<std::string, std::string>>& constants,
                         const std::string& nodes) {
  std::string body = "input %x : f32[n, 8]\n";
  for (const auto& [name, value] : constants) {
    body += "constant %" + name + "/n : f32[] = [" + value + "]\n";
    body += "%" + name + " = broadcast(%" + name + "/n) {shape=[n, 8]} : f32[n, 8]\n";
  }
  return body + nodes;
}

std::string recovered(const std::string& body) {
  return ops_of(checked(body, recover_activations, kSizes));
}

const std::vector<std::pair<std::string, std::string>> kErf{
    {"root", "1.4142135381698608"}, {"inverse", "0.70710678"}, {"one", "1"}, {"half", "0.5"}};

TEST(RecoverActivations, GeluInAllOrders) {
  const char* const spellings[] = {
      "%a = div(%x, %root) : f32[n, 8]\n%e = erf(%a) : f32[n, 8]\n%g = add(%e, %one) : f32[n, 8]\n"
      "%p = mul(%x, %g) : f32[n, 8]\n%y = mul(%p, %half) : f32[n, 8]\nreturn %y",
      "%a = mul(%inverse, %x) : f32[n, 8]\n%e = erf(%a) : f32[n, 8]\n"
      "%g = add(%one, %e) : f32[n, 8]\n%p = mul(%x, %half) : f32[n, 8]\n"
      "%y = mul(%g, %p) : f32[n, 8]\nreturn %y",
      "%a = div(%x, %root) : f32[n, 8]\n%e = erf(%a) : f32[n, 8]\n%g = add(%e, %one) : f32[n, 8]\n"
      "%p = mul(%half, %g) : f32[n, 8]\n%y = mul(%p, %x) : f32[n, 8]\nreturn %y",
      "%a = div(%x, %root) : f32[n, 8]\n%e = erf(%a) : f32[n, 8]\n%h = mul(%e, %half) : f32[n, 8]\n"
      "%g = add(%h, %half) : f32[n, 8]\n%y = mul(%g, %x) : f32[n, 8]\nreturn %y"};
  for (const char* spelling : spellings) {
    const std::string ops = recovered(with_numbers(kErf, spelling));
    EXPECT_NE(ops.find(" gelu=1"), std::string::npos) << ops;
    EXPECT_EQ(ops.find("mul"), std::string::npos) << ops;
  }
}

TEST(RecoverActivations, GeluOfAProductThatOthersRead) {
  const ir::Graph graph =
      checked(with_numbers(kErf,
                           "%z = mul(%x, %x) : f32[n, 8]\n%a = div(%z, %root) : f32[n, 8]\n"
                           "%e = erf(%a) : f32[n, 8]\n%g = add(%e, %one) : f32[n, 8]\n"
                           "%p = mul(%z, %g) : f32[n, 8]\n%q = mul(%p, %half) : f32[n, 8]\n"
                           "%y = mul(%q, %x) : f32[n, 8]\nreturn %y"),
              recover_activations, kSizes);
  EXPECT_EQ(graph.value(only(graph, "gelu").inputs[0]).name, "z");
}

const std::vector<std::pair<std::string, std::string>> kTanh{{"c", "0.7978845834732056"},
                                                             {"k", "0.044715"},
                                                             {"ck", "0.0356774081"},
                                                             {"one", "1"},
                                                             {"half", "0.5"},
                                                             {"two", "2"},
                                                             {"three", "3"}};

TEST(RecoverActivations, GeluByTanh) {
  const std::string gate =
      "%t = tanh(%u) : f32[n, 8]\n%g = add(%t, %one) : f32[n, 8]\n%h = mul(%x, %half) : f32[n, 8]\n"
      "%y = mul(%h, %g) : f32[n, 8]\nreturn %y";
  const char* const arguments[] = {
      "%p = pow(%x, %three) : f32[n, 8]\n%q = mul(%p, %k) : f32[n, 8]\n"
      "%r = add(%x, %q) : f32[n, 8]\n%u = mul(%r, %c) : f32[n, 8]\n",
      "%p = mul(%x, %x) : f32[n, 8]\n%q = mul(%p, %x) : f32[n, 8]\n%r = mul(%q, %ck) : f32[n, 8]\n"
      "%s = mul(%c, %x) : f32[n, 8]\n%u = add(%r, %s) : f32[n, 8]\n",
      "%p = pow(%x, %two) : f32[n, 8]\n%q = mul(%p, %k) : f32[n, 8]\n"
      "%r = add(%q, %one) : f32[n, 8]\n%s = mul(%x, %c) : f32[n, 8]\n%u = mul(%s, %r) : f32[n, "
      "8]\n"};
  for (const char* argument : arguments) {
    EXPECT_NE(recovered(with_numbers(kTanh, argument + gate)).find("gelu_tanh=1"),
              std::string::npos)
        << argument;
  }
}

TEST(RecoverActivations, GeluTanhBySigmoid) {
  EXPECT_NE(
      recovered(with_numbers(kTanh,
                             "%p = pow(%x, %three) : f32[n, 8]\n%q = mul(%p, %k) : f32[n, 8]\n"
                             "%r = add(%x, %q) : f32[n, 8]\n%u = mul(%r, %c) : f32[n, 8]\n"
                             "%v = mul(%u, %two) : f32[n, 8]\n%s = sigmoid(%v) : f32[n, 8]\n"
                             "%y = mul(%x, %s) : f32[n, 8]\nreturn %y"))
          .find("gelu_tanh=1"),
      std::string::npos);
}

TEST(RecoverActivations, Silu) {
  EXPECT_EQ(recovered("input %x : f32[n, 8]\n%s = sigmoid(%x) : f32[n, 8]\n"
                      "%y = mul(%s, %x) : f32[n, 8]\nreturn %y"),
            "silu=1");
}

const std::vector<std::pair<std::string, std::string>> kHard{
    {"zero", "0"},           {"half", "0.5"},  {"one", "1"},  {"three", "3"}, {"six", "6"},
    {"sixth", "0.16666667"}, {"fifth", "0.2"}, {"low", "-3"}, {"two", "2"}};

// min(max(a, zero), b), in text, of `from` as `to`.
std::string clamped(const std::string& to, const std::string& from, const std::string& high) {
  return "%" + to + "/max = max(" + from + ", %zero) : f32[n, 8]\n%" + to + " = min(%" + to +
         "/max, " + high + ") : f32[n, 8]\n";
}

TEST(RecoverActivations, HardSwish) {
  const std::string shifted = "%s = add(%x, %three) : f32[n, 8]\n" + clamped("c", "%s", "%six");
  const std::string spellings[] = {
      shifted + "%p = mul(%x, %c) : f32[n, 8]\n%y = div(%p, %six) : f32[n, 8]\nreturn %y",
      shifted + "%p = div(%c, %six) : f32[n, 8]\n%y = mul(%p, %x) : f32[n, 8]\nreturn %y",
      shifted + "%p = mul(%x, %sixth) : f32[n, 8]\n%y = mul(%c, %p) : f32[n, 8]\nreturn %y",
      "%s = add(%x, %three) : f32[n, 8]\n%m = min(%six, %s) : f32[n, 8]\n"
      "%r = relu(%m) : f32[n, 8]\n%p = mul(%r, %sixth) : f32[n, 8]\n"
      "%y = mul(%x, %p) : f32[n, 8]\nreturn %y",
      "%a = mul(%x, %sixth) : f32[n, 8]\n%b = add(%a, %half) : f32[n, 8]\n" +
          clamped("c", "%b", "%one") + "%y = mul(%x, %c) : f32[n, 8]\nreturn %y",
      "%c = hard_sigmoid(%x) {alpha=0.1666666716337204} : f32[n, 8]\n"
      "%y = mul(%c, %x) : f32[n, 8]\nreturn %y"};
  for (const std::string& spelling : spellings) {
    const std::string ops = recovered(with_numbers(kHard, spelling));
    EXPECT_NE(ops.find(" hard_swish=1"), std::string::npos) << ops << spelling;
    EXPECT_EQ(ops.find("m"), std::string::npos) << ops << spelling;
  }
}

TEST(RecoverActivations, HardSigmoid) {
  const std::pair<std::string, double> spellings[] = {
      {"%a = mul(%x, %fifth) : f32[n, 8]\n%b = add(%a, %half) : f32[n, 8]\n" +
           clamped("y", "%b", "%one"),
       0.2},
      {"%b = sub(%x, %low) : f32[n, 8]\n" + clamped("c", "%b", "%six") +
           "%y = div(%c, %six) : f32[n, 8]\n",
       1.0 / 6},
      {"%a = max(%x, %low) : f32[n, 8]\n%b = min(%a, %three) : f32[n, 8]\n"
       "%c = div(%b, %six) : f32[n, 8]\n%y = add(%c, %half) : f32[n, 8]\n",
       1.0 / 6}};
  for (const auto& [spelling, alpha] : spellings) {
    const ir::Graph graph =
        checked(with_numbers(kHard, spelling + "return %y"), recover_activations, kSizes);
    const ir::Node& node = only(graph, "hard_sigmoid");
    EXPECT_NEAR(node.attributes.real("alpha"), alpha, 1e-7) << spelling;
    EXPECT_EQ(graph.value(node.inputs[0]).name, "x");
    EXPECT_EQ(ops_of(graph).find("m"), ops_of(graph).find("moid")) << ops_of(graph);
  }
}

TEST(RecoverActivations, HardNearMissesAreLeft) {
  const std::string shifted = "%s = add(%x, %three) : f32[n, 8]\n";
  const std::string bodies[] = {
      // relu6 alone, of another shift, another height
      clamped("y", "%x", "%six") + "return %y",
      "%s = add(%x, %two) : f32[n, 8]\n" + clamped("c", "%s", "%six") +
          "%y = div(%c, %six) : f32[n, 8]\nreturn %y",
      shifted + clamped("c", "%s", "%three") + "%y = div(%c, %six) : f32[n, 8]\nreturn %y",
      // not divided
      shifted + clamped("c", "%s", "%six") + "%y = mul(%x, %c) : f32[n, 8]\nreturn %y",
      // read by others
      shifted + clamped("c", "%s", "%six") + "%y = div(%c, %six) : f32[n, 8]\nreturn %y, %c"};
  for (const std::string& body : bodies) {
    const std::string ops = recovered(with_numbers(kHard, body));
    EXPECT_EQ(ops.find("hard"), std::string::npos) << ops << body;
  }
  // A slope of its own, or another x: the gate alone.
  for (const char* product :
       {"%y = mul(%x, %c) : f32[n, 8]\nreturn %y",
        "%z = neg(%x) : f32[n, 8]\n%y = mul(%z, %c) : f32[n, 8]\nreturn %y"}) {
    const std::string ops = recovered(
        with_numbers(kHard, "%a = mul(%x, %fifth) : f32[n, 8]\n%b = add(%a, %half) : f32[n, 8]\n" +
                                clamped("c", "%b", "%one") + product));
    EXPECT_NE(ops.find("hard_sigmoid=1 mul=1"), std::string::npos) << ops;
  }
}

TEST(RecoverActivations, NearMissesAreLeft) {
  const char* const bodies[] = {
      // without the half
      "%a = div(%x, %root) : f32[n, 8]\n%e = erf(%a) : f32[n, 8]\n%g = add(%e, %one) : f32[n, 8]\n"
      "%y = mul(%x, %g) : f32[n, 8]\nreturn %y",
      // another argument
      "%a = mul(%x, %root) : f32[n, 8]\n%e = erf(%a) : f32[n, 8]\n%g = add(%e, %one) : f32[n, 8]\n"
      "%p = mul(%x, %g) : f32[n, 8]\n%y = mul(%p, %half) : f32[n, 8]\nreturn %y",
      // another operand
      "%z = neg(%x) : f32[n, 8]\n%a = div(%x, %root) : f32[n, 8]\n%e = erf(%a) : f32[n, 8]\n"
      "%g = add(%e, %one) : f32[n, 8]\n%p = mul(%z, %g) : f32[n, 8]\n"
      "%y = mul(%p, %half) : f32[n, 8]\nreturn %y",
      // read by others
      "%a = div(%x, %root) : f32[n, 8]\n%e = erf(%a) : f32[n, 8]\n%g = add(%e, %one) : f32[n, 8]\n"
      "%p = mul(%x, %g) : f32[n, 8]\n%y = mul(%p, %half) : f32[n, 8]\nreturn %y, %e",
      // x · sigmoid(x / √2)
      "%a = div(%x, %root) : f32[n, 8]\n%e = sigmoid(%a) : f32[n, 8]\n"
      "%y = mul(%x, %e) : f32[n, 8]\nreturn %y"};
  for (const char* body : bodies) {
    const std::string ops = recovered(with_numbers(kErf, body));
    EXPECT_EQ(ops.find("lu=1"), std::string::npos) << ops << body;
  }
}

constexpr const char* kSoftmax = R"(
  input %x : f32[n, 4, 6]
  %max = reduce_max(%x) {axes=[1]} : f32[n, 6]
  %kept = reshape(%max) {shape=[n, 1, 6]} : f32[n, 1, 6]
  %wide = broadcast(%kept) {shape=[n, 4, 6]} : f32[n, 4, 6]
  %moved = sub(%x, %wide) : f32[n, 4, 6]
  %power = exp(%moved) : f32[n, 4, 6]
  %sum = reduce_sum(%power) {axes=[1]} : f32[n, 6]
  %total = reshape(%sum) {shape=[n, 1, 6]} : f32[n, 1, 6]
  %totals = broadcast(%total) {shape=[n, 4, 6]} : f32[n, 4, 6]
  %y = div(%power, %totals) : f32[n, 4, 6]
  return %y)";

TEST(RecoverSoftmax, ByExponentials) {
  const ir::Graph graph = checked(kSoftmax, recover_softmax, kSizes);
  EXPECT_EQ(ops_of(graph), "softmax=1");
  EXPECT_EQ(only(graph, "softmax").attributes.integer("axis"), 1);
}

TEST(RecoverSoftmax, NearMissesAreLeft) {
  std::string read = kSoftmax;
  read.replace(read.find("return %y"), 9, "return %y, %power");
  EXPECT_EQ(ops_of(checked(read, recover_softmax, kSizes)).find("softmax"), std::string::npos);
  const std::string other = R"(
  input %x : f32[4, 4]
  %max = reduce_max(%x) {axes=[0]} : f32[4]
  %kept = reshape(%max) {shape=[1, 4]} : f32[1, 4]
  %wide = broadcast(%kept) {shape=[4, 4]} : f32[4, 4]
  %moved = sub(%x, %wide) : f32[4, 4]
  %power = exp(%moved) : f32[4, 4]
  %sum = reduce_sum(%power) {axes=[1]} : f32[4]
  %total = reshape(%sum) {shape=[4, 1]} : f32[4, 1]
  %totals = broadcast(%total) {shape=[4, 4]} : f32[4, 4]
  %y = div(%power, %totals) : f32[4, 4]
  return %y)";
  EXPECT_EQ(ops_of(checked(other, recover_softmax)).find("softmax"), std::string::npos);
}

}  // namespace
}  // namespace cleave::passes
