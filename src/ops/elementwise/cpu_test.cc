#include <limits>

#include "backend/builtin_kernels.h"
#include "backend/cpu/cpu_device.h"
#include "backend/cpu/fused_evaluator.h"
#include "tests/support/kernel_harness.h"
#include "types/fused.h"

namespace cleave::backend {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Each step by its op's reference.
std::vector<HostTensor> interpret(const FusedProgram& program, std::vector<HostTensor> values) {
  static const ops::Registry registry = ops::Registry::builtin();
  for (const FusedStep& step : program.steps) {
    std::vector<const HostTensor*> in;
    for (int32_t arg : step.args) in.push_back(&values[static_cast<size_t>(arg)]);
    std::vector<HostTensor> out = {HostTensor(step.type, values[0].shape)};
    Attributes attributes;
    if (step.op == "cast") attributes.set("to", step.type);
    if (step.op == "leaky_relu" || step.op == "elu" || step.op == "hard_sigmoid") {
      attributes.set("alpha", step.alpha);
    }
    registry.at(step.op).reference(attributes, in, out);
    values.push_back(out[0]);
  }
  std::vector<HostTensor> results;
  for (int32_t output : program.outputs) results.push_back(values[static_cast<size_t>(output)]);
  return results;
}

// `tensor` repeated to `shape`, aligned from the right.
HostTensor expanded(const HostTensor& tensor, const std::vector<int64_t>& shape) {
  HostTensor result(tensor.dtype, shape);
  const size_t skip = shape.size() - tensor.shape.size();
  for (int64_t i = 0; i < result.elements(); ++i) {
    int64_t left = i, at = 0, stride = 1;
    for (size_t d = shape.size(); d-- > skip;) {
      const int64_t extent = tensor.shape[d - skip];
      if (extent != 1) at += left % shape[d] * stride;
      stride *= extent;
      left /= shape[d];
    }
    if (is_floating(tensor.dtype)) {
      result.set(i, tensor.get(at));
    } else {
      result.set_integer(i, tensor.get_integer(at));
    }
  }
  return result;
}

void check_chain(const FusedProgram& program, const std::vector<HostTensor>& inputs,
                 const std::vector<int64_t>& shape, double tolerance, std::vector<Lay> in = {},
                 std::vector<Lay> out = {}) {
  std::vector<HostTensor> whole;
  KernelCase test{
      .op = "fused_elementwise", .input_lays = std::move(in), .output_lays = std::move(out)};
  for (const HostTensor& input : inputs) {
    whole.push_back(expanded(input, shape));
    test.inputs.push_back(&input);
  }
  const auto expected = interpret(program, whole);
  for (const HostTensor& result : expected) test.outputs.emplace_back(result.dtype, shape);
  program.to_attributes(test.attributes);
  const auto actual = run_case(test);
  for (size_t i = 0; i < expected.size(); ++i) {
    expect_near(actual[i], expected[i], is_floating(expected[i].dtype) ? tolerance : 0);
  }
}

// Arguments over the whole range of float: both signs, tiny to huge, and the special values.
HostTensor all_magnitudes() {
  std::vector<double> values = {0.0, -0.0, kInfinity, -kInfinity, kNaN, 1e-40, -1e-40};
  for (double x = 1e-38; x < 3e38; x *= 1.037) {
    values.push_back(x);
    values.push_back(-x);
  }
  for (double x = -110; x < 110; x += 0.0137) values.push_back(x);
  HostTensor tensor(DType::kFloat32, {static_cast<int64_t>(values.size())});
  for (size_t i = 0; i < values.size(); ++i) tensor.set(static_cast<int64_t>(i), values[i]);
  return tensor;
}

// The error in units in the last place of float, those of the smallest normal numbers at least.
double error_in_ulps(double actual, double expected) {
  if (actual == expected || (std::isnan(actual) && std::isnan(expected))) return 0;
  if (!std::isfinite(actual) || !std::isfinite(expected)) {
    // Results that round to infinity may just not, and the other way round.
    const double largest = std::numeric_limits<float>::max();
    return std::fabs(expected) > largest * 0.999999 && std::fabs(actual) > largest * 0.999999 &&
                   std::signbit(actual) == std::signbit(expected)
               ? 1
               : kInfinity;
  }
  const double magnitude = std::max<double>(std::fabs(expected), std::numeric_limits<float>::min());
  return std::fabs(actual - expected) / std::ldexp(1.0, std::ilogb(magnitude) - 23);
}

struct Accuracy {
  const char* op;
  simd::Unary loop;
  double ulps;
};

TEST(ElementwiseLoops, ElementaryFunctionsAreAccurate) {
  using simd::Unary;
  const Accuracy kFunctions[] = {
      {"exp", Unary::kExp, 2},         {"log", Unary::kLog, 2},
      {"tanh", Unary::kTanh, 3},       {"erf", Unary::kErf, 3},
      {"sigmoid", Unary::kSigmoid, 3}, {"sin", Unary::kSin, 2},
      {"cos", Unary::kCos, 2},         {"softplus", Unary::kSoftplus, 3},
      {"sqrt", Unary::kSqrt, 0.51},    {"rsqrt", Unary::kRsqrt, 2},
      {"floor", Unary::kFloor, 0},     {"ceil", Unary::kCeil, 0},
      {"round", Unary::kRound, 0},     {"sign", Unary::kSign, 0},
      {"relu", Unary::kRelu, 0},       {"abs", Unary::kAbs, 0},
      {"neg", Unary::kNeg, 0},         {"reciprocal", Unary::kReciprocal, 0.51}};
  const ops::Registry registry = ops::Registry::builtin();
  const HostTensor x = all_magnitudes();
  // The reference in float64, so that it is not rounded before it is compared.
  const HostTensor wide = cast(x, DType::kFloat64);
  for (simd::Isa isa : {simd::Isa::kBaseline, simd::Isa::kAvx2, simd::Isa::kAvx512}) {
    const simd::Table* table = simd::table(isa);
    if (table == nullptr) continue;
    for (const Accuracy& function : kFunctions) {
      std::vector<HostTensor> expected = {HostTensor(DType::kFloat64, wide.shape)};
      const HostTensor* in[] = {&wide};
      registry.at(function.op).reference({}, in, expected);
      std::vector<float> y(static_cast<size_t>(x.elements()));
      table->unary[static_cast<size_t>(function.loop)](x.data<float>().data(), y.data(),
                                                       x.elements(), 0);
      double worst = 0;
      double where = 0;
      for (size_t i = 0; i < y.size(); ++i) {
        const auto rounded = static_cast<double>(static_cast<float>(expected[0].data<double>()[i]));
        const double error =
            error_in_ulps(y[i], std::isfinite(rounded) ? expected[0].data<double>()[i] : rounded);
        if (!(error <= worst)) {
          worst = error;
          where = x.get(static_cast<int64_t>(i));
        }
      }
      EXPECT_LE(worst, function.ulps) << table->name << " " << function.op << "(" << where << ")";
    }
  }
}

TEST(ElementwiseLoops, GatedFunctionsAreAccurateRelativeToTheirArgument) {
  // Their tails fall below the smallest float; errors are measured against |x|.
  const ops::Registry registry = ops::Registry::builtin();
  const HostTensor x = random_tensor(DType::kFloat64, {20000}, 1, -12, 12);
  for (const char* op : {"gelu", "gelu_tanh", "silu", "hard_swish"}) {
    const FusedProgram program{.inputs = 1, .steps = {{.op = op, .args = {0}}}, .outputs = {1}};
    const HostTensor narrow = cast(x, DType::kFloat32);
    const HostTensor wide = cast(narrow, DType::kFloat64);
    std::vector<HostTensor> expected = {HostTensor(DType::kFloat64, x.shape)};
    const HostTensor* in[] = {&wide};
    registry.at(op).reference({}, in, expected);
    KernelCase test{.op = "fused_elementwise",
                    .inputs = {&narrow},
                    .outputs = {HostTensor(DType::kFloat32, x.shape)}};
    program.to_attributes(test.attributes);
    const HostTensor y = run_case(test)[0];
    for (int64_t i = 0; i < x.elements(); ++i) {
      ASSERT_LE(std::fabs(y.get(i) - expected[0].get(i)), 3e-7 * std::fabs(wide.get(i)))
          << op << "(" << wide.get(i) << ")";
    }
  }
}

TEST(FusedElementwise, HardFunctionsBeyondTheirBorders) {
  const double values[] = {-1e30, -3, -2.999, -0.0, 1, 3, 3.1, 1e38, kNaN};
  HostTensor x(DType::kFloat32, {9});
  for (int64_t i = 0; i < 9; ++i) x.set(i, values[i]);
  const FusedProgram program{.inputs = 1,
                             .steps = {{.op = "hard_swish", .args = {0}},
                                       {.op = "hard_sigmoid", .args = {0}, .alpha = 0.2}},
                             .outputs = {1, 2}};
  check_chain(program, {x}, {9}, 1e-6);
}

TEST(FusedElementwise, EveryOpEqualsItsReferenceInEveryTypeItTakes) {
  const char* kOne[] = {"neg",        "abs",   "exp",       "log",     "sqrt",     "rsqrt",
                        "reciprocal", "tanh",  "erf",       "sigmoid", "relu",     "sin",
                        "cos",        "floor", "ceil",      "round",   "sign",     "not",
                        "is_nan",     "gelu",  "gelu_tanh", "silu",    "softplus", "leaky_relu",
                        "elu",        "tan",   "asin",      "acos",    "atan",     "sinh",
                        "cosh",       "asinh", "acosh",     "atanh",   "bit_not",  "hard_sigmoid",
                        "hard_swish"};
  const char* kTwo[] = {
      "add",     "sub",           "mul",     "div",    "pow",     "min",        "max",
      "mod",     "and",           "or",      "xor",    "equal",   "less",       "less_equal",
      "greater", "greater_equal", "bit_and", "bit_or", "bit_xor", "shift_left", "shift_right"};
  int accepted = 0;
  for (int t = 0; t < 13; ++t) {
    const auto type = static_cast<DType>(t);
    const std::vector<int64_t> shape = {3, 5, 70};
    const double low = is_floating(type) ? 0.1 : (type == DType::kUInt8 ? 0 : -9);
    const std::vector<HostTensor> inputs = {random_tensor(type, shape, 1, low, 9),
                                            random_tensor(type, {5, 1}, 2, low, 4)};
    for (int arity : {1, 2}) {
      const std::span<const char*> ops = arity == 1 ? std::span<const char*>(kOne) : kTwo;
      for (const char* op : ops) {
        const std::string name = op;
        const bool to_bool = name == "not" || name == "is_nan" || name == "and" || name == "or" ||
                             name == "xor" || name.find("equal") == 0 || name.find("less") == 0 ||
                             name.find("greater") == 0;
        FusedStep step{.op = op, .args = {0, 1}, .type = to_bool ? DType::kBool : type};
        if (arity == 1) step.args = {0};
        if (name == "leaky_relu" || name == "elu" || name == "hard_sigmoid") step.alpha = 0.3;
        const FusedProgram program{.inputs = 2, .steps = {step}, .outputs = {2}};
        const DType types[] = {type, type};
        const DType result[] = {step.type};
        if (FusedEvaluator::refuses(program, types, result)) continue;
        SCOPED_TRACE(name + " of " + std::string(name_of(type)));
        ++accepted;
        check_chain(program, inputs, shape, tolerance_of(type));
      }
    }
  }
  // 4 floating types × (34 + is_nan) and 8 + 5; 8 integer types × 5 and 13 + 5; bool's 5.
  EXPECT_EQ(accepted, 4 * (35 + 13) + 8 * (5 + 18) + 5);
}

TEST(FusedElementwise, CastsBetweenAllTypes) {
  for (int from = 0; from < 13; ++from) {
    for (int to = 0; to < 13; ++to) {
      const auto source = static_cast<DType>(from);
      HostTensor x = random_tensor(source, {300}, 1, -300, 300);
      if (is_floating(source)) {
        const double specials[] = {kNaN, kInfinity, -kInfinity, 1e30, -1e30, 0.5, -0.5};
        for (int i = 0; i < 7; ++i) x.set(i, specials[i]);
      }
      const FusedProgram program{
          .inputs = 1,
          .steps = {{.op = "cast", .args = {0}, .type = static_cast<DType>(to)}},
          .outputs = {1}};
      SCOPED_TRACE(std::string(name_of(source)) + " to " +
                   std::string(name_of(program.steps[0].type)));
      check_chain(program, {x}, {300}, 0);
    }
  }
}

TEST(FusedElementwise, WalksEveryLayoutAndBroadcast) {
  const FusedProgram program{.inputs = 3,
                             .steps = {{.op = "mul", .args = {0, 1}},
                                       {.op = "add", .args = {3, 2}},
                                       {.op = "tanh", .args = {4}}},
                             .outputs = {5, 3}};
  const std::vector<std::vector<int64_t>> shapes = {{2, 3, 4, 5}, {7, 300},  {300, 7}, {1},
                                                    {4, 1, 2000}, {3, 0, 2}, {},       {40, 30, 3}};
  for (const auto& shape : shapes) {
    std::vector<int64_t> last = shape;
    std::vector<int64_t> first = shape;
    if (!shape.empty()) last.back() = 1;
    if (!shape.empty()) first.front() = 1;
    const std::vector<HostTensor> inputs = {random_tensor(DType::kFloat32, shape, 1),
                                            random_tensor(DType::kFloat32, last, 2),
                                            random_tensor(DType::kFloat32, first, 3)};
    for (Lay in : {Lay::kDense, Lay::kGaps, Lay::kSwapped, Lay::kSparse}) {
      for (Lay out : {Lay::kDense, Lay::kGaps, Lay::kSwapped, Lay::kSparse}) {
        check_chain(program, inputs, shape, 4e-6, {in, Lay::kDense, in}, {out, Lay::kDense});
      }
    }
  }
}

TEST(FusedElementwise, OperandsBeginAnywhere) {
  const FusedProgram program{.inputs = 2,
                             .steps = {{.op = "mul", .args = {0, 1}},
                                       {.op = "cast", .args = {2}, .type = DType::kFloat16}},
                             .outputs = {2, 3}};
  const std::vector<int64_t> shape = {3, 64};
  const std::vector<HostTensor> inputs = {random_tensor(DType::kFloat32, shape, 1),
                                          random_tensor(DType::kFloat32, {64}, 2)};
  for (size_t shifted = 0; shifted < 16; ++shifted) {
    const auto lay = [&](size_t bit) {
      return (shifted >> bit & 1) != 0 ? Lay::kShifted : Lay::kDense;
    };
    check_chain(program, inputs, shape, 1e-3, {lay(0), lay(1)}, {lay(2), lay(3)});
  }
}

// Images whose channels lie innermost beside others, with what is added to each channel.
TEST(FusedElementwise, OperandsInOtherOrdersThanTheResult) {
  const FusedProgram program{.inputs = 4,
                             .steps = {{.op = "cast", .args = {0}, .type = DType::kFloat16},
                                       {.op = "add", .args = {4, 1}, .type = DType::kFloat16},
                                       {.op = "mul", .args = {5, 2}, .type = DType::kFloat16},
                                       {.op = "add", .args = {6, 3}, .type = DType::kFloat16}},
                             .outputs = {7}};
  constexpr Lay kLast = Lay::kChannelsLast;
  const std::vector<std::vector<int64_t>> shapes = {{2, 64, 16, 8},  {1, 70, 13, 11},
                                                    {3, 320, 2, 50}, {2, 129, 9, 7},
                                                    {1, 8, 130, 1},  {2, 6, 5, 4}};
  for (const auto& shape : shapes) {
    SCOPED_TRACE(::testing::PrintToString(shape));
    const std::vector<HostTensor> inputs = {random_tensor(DType::kFloat32, shape, 1),
                                            random_tensor(DType::kFloat16, shape, 2),
                                            random_tensor(DType::kFloat16, {shape[1], 1, 1}, 3),
                                            random_tensor(DType::kFloat16, shape, 4)};
    const std::vector<std::vector<Lay>> lays = {{Lay::kDense, kLast, Lay::kDense, kLast},
                                                {kLast, Lay::kDense, Lay::kDense, kLast},
                                                {Lay::kDense, Lay::kDense, Lay::kDense, kLast},
                                                {kLast, Lay::kGaps, Lay::kDense, kLast},
                                                {kLast, kLast, Lay::kDense, Lay::kSparse},
                                                {Lay::kDense, kLast, Lay::kSparse, Lay::kShifted}};
    for (const auto& in : lays) {
      for (const Lay out : {Lay::kDense, kLast, Lay::kGaps}) {
        check_chain(program, inputs, shape, 2e-3, in, {out});
      }
    }
  }
}

TEST(FusedElementwise, RoundsWhereItIsCastTo) {
  // 1 + 2^-12 is not a float16: the difference to it is lost.
  HostTensor x(DType::kFloat32, {100});
  for (int64_t i = 0; i < 100; ++i) x.set(i, 1 + 0x1p-12);
  for (DType half : {DType::kFloat16, DType::kBFloat16}) {
    const FusedProgram program{.inputs = 1,
                               .steps = {{.op = "cast", .args = {0}, .type = half},
                                         {.op = "cast", .args = {1}},
                                         {.op = "sub", .args = {0, 2}}},
                               .outputs = {3}};
    KernelCase test{.op = "fused_elementwise", .inputs = {&x}, .outputs = {x}};
    program.to_attributes(test.attributes);
    EXPECT_EQ(run_case(test)[0].get(5), 0x1p-12);
  }
}

TEST(FusedElementwise, SelectsAndMasks) {
  const FusedProgram program{.inputs = 3,
                             .steps = {{.op = "less", .args = {0, 1}, .type = DType::kBool},
                                       {.op = "where", .args = {3, 0, 2}},
                                       {.op = "is_nan", .args = {4}, .type = DType::kBool},
                                       {.op = "not", .args = {5}, .type = DType::kBool},
                                       {.op = "and", .args = {3, 6}, .type = DType::kBool}},
                             .outputs = {4, 7}};
  HostTensor x = random_tensor(DType::kFloat32, {9, 200}, 1);
  x.set(3, kNaN);
  check_chain(
      program,
      {x, random_tensor(DType::kFloat32, {9, 1}, 2), random_tensor(DType::kFloat32, {1}, 3)},
      {9, 200}, 0);
}

TEST(FusedElementwise, RankZeroPassesOnRankZeroAlone) {
  const HostTensor x = random_tensor(DType::kFloat32, {3, 100}, 1);
  const FusedProgram program{
      .inputs = 1,
      .steps = {{.op = "rank_zero", .args = {0}}, {.op = "add", .args = {1, 1}}},
      .outputs = {2, 1}};
  for (int rank : {0, 1}) {
    KernelCase test{.op = "fused_elementwise", .inputs = {&x}, .outputs = {x, x}};
    program.to_attributes(test.attributes);
    test.attributes.set("rank", Dim(rank));
    const auto results = run_case(test);
    for (int64_t i = 0; i < x.elements(); ++i) {
      ASSERT_EQ(results[0].get(i), rank == 0 ? 2 * x.get(i) : 0);
      ASSERT_EQ(results[1].get(i), rank == 0 ? x.get(i) : 0);
    }
  }
}

TEST(FusedElementwise, AResultMayLieOverAnOperand) {
  // The operand is read again after the value that ends in its place is known.
  const FusedProgram program{
      .inputs = 2,
      .steps = {{.op = "add", .args = {0, 1}}, {.op = "mul", .args = {2, 0}}},
      .outputs = {2, 3}};
  const HostTensor a = random_tensor(DType::kFloat32, {5000}, 1);
  const HostTensor b = random_tensor(DType::kFloat32, {5000}, 2);
  HostTensor in_place = a;
  HostTensor product(DType::kFloat32, {5000});
  Attributes attributes;
  program.to_attributes(attributes);
  const auto device = make_cpu_device({.threads = 2});
  KernelCache cache(*device);
  const auto view = TensorView::dense(DType::kFloat32, {5000});
  const KernelProblem problem{.op = "fused_elementwise",
                              .attributes = attributes,
                              .inputs = {view, view},
                              .outputs = {view, view}};
  const auto prepared = builtin_cpu_kernels().at(problem).prepare(problem, cache);
  const void* inputs[] = {in_place.bytes.data(), b.bytes.data()};
  void* outputs[] = {in_place.bytes.data(), product.bytes.data()};
  prepared->run(inputs, outputs, {nullptr, device->pool()});
  for (int64_t i = 0; i < 5000; ++i) {
    const float sum = a.data<float>()[i] + b.data<float>()[i];
    ASSERT_EQ(in_place.data<float>()[i], sum);
    ASSERT_EQ(product.data<float>()[i], sum * a.data<float>()[i]);
  }
}

TEST(FusedElementwise, SaysWhichStepItCannotDo) {
  const FusedProgram program{
      .inputs = 1, .steps = {{.op = "gelu", .args = {0}, .type = DType::kInt32}}, .outputs = {1}};
  const DType types[] = {DType::kInt32};
  EXPECT_EQ(FusedEvaluator::refuses(program, types, types).value(),
            "no loop for gelu of i32 to i32");
}

}  // namespace
}  // namespace cleave::backend
