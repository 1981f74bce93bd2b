// Kernels that move several elements at once where operands allow it: these may begin at any
// element.
#include <ostream>
#include <string>
#include <vector>

#include "tests/support/kernel_harness.h"

namespace cleave::backend {
namespace {

// An op on random numbers: the shapes of its operands, as it takes them, and of its result.
struct AlignmentCase {
  std::string name;
  std::string op;
  Attributes attributes;
  std::vector<std::vector<int64_t>> inputs;
  std::vector<int64_t> output;
  std::vector<int64_t> indices = {};  // the values of the second input, where they are no numbers
  Lay lay = Lay::kDense;

  std::vector<HostTensor> operands(DType type) const {
    std::vector<HostTensor> tensors;
    for (const std::vector<int64_t>& shape : inputs) {
      const bool is_index = tensors.size() == 1 && !indices.empty();
      HostTensor x = random_tensor(is_index ? DType::kInt64 : type, shape,
                                   static_cast<unsigned>(tensors.size()), 0.5, 3);
      for (int64_t i = 0; is_index && i < x.elements(); ++i) {
        x.set(i, static_cast<double>(indices[static_cast<size_t>(i)]));
      }
      tensors.push_back(std::move(x));
    }
    return tensors;
  }
};

void PrintTo(const AlignmentCase& c, std::ostream* out) { *out << c.name; }

Attributes norm(const char* name, int64_t of) { return {{name, Dim(of)}, {"epsilon", 1e-5}}; }

std::vector<AlignmentCase> cases() {
  const auto along = [](int64_t axis) { return Attributes{{"axis", Dim(axis)}}; };
  const auto over = [](int64_t axis) { return Attributes{{"axes", std::vector<Dim>{axis}}}; };
  const Attributes low = {{"low", std::vector<Dim>{0, 8, 0}}, {"value", 2.0}};
  const std::vector<int64_t> image = {2, 16, 6, 6};
  return {
      {"reduce_rows", "reduce_sum", over(1), {{64, 320}}, {64}},
      {"reduce_columns", "reduce_max", over(1), {{3, 200, 64}}, {3, 64}},
      {"softmax_rows", "softmax", along(1), {{33, 256}}, {33, 256}},
      {"softmax_parts", "softmax", along(1), {{2, 40000}}, {2, 40000}},
      {"arg_max", "arg_max", along(1), {{2, 40000}}, {2}},
      {"layer_norm", "layer_norm", norm("axes", 1), {{33, 512}, {512}, {512}}, {33, 512}},
      {"long_norm", "rms_norm", norm("axes", 1), {{2, 70000}, {70000}}, {2, 70000}},
      {"group_norm", "group_norm", norm("group_channels", 4), {image, {16}, {16}}, image},
      {"group_norm_last",
       "group_norm",
       norm("group_channels", 4),
       {image, {16}, {16}},
       image,
       {},
       Lay::kChannelsLast},
      {"rotary", "rotary", {}, {{2, 3, 5, 64}, {5, 32}, {5, 32}}, {2, 3, 5, 64}},
      {"gather", "gather", along(0), {{7, 32}, {3}}, {3, 32}, {6, 0, -2}},
      {"gather_nd", "gather_nd", {}, {{7, 32}, {3, 1}}, {3, 32}, {6, 0, -2}},
      {"scatter_nd", "scatter_nd", {}, {{7, 32}, {3, 1}, {3, 32}}, {7, 32}, {6, 0, -2}},
      {"pad", "pad", low, {{3, 16, 32}}, {3, 32, 32}},
  };
}

class Alignment : public ::testing::TestWithParam<AlignmentCase> {};

TEST_P(Alignment, OperandsMayBeginAnywhere) {
  const AlignmentCase& c = GetParam();
  const bool is_last = c.lay == Lay::kChannelsLast;
  if (is_last && test_backend().name() == "cpu") GTEST_SKIP() << "it has no kernel for them";
  for (const DType type : {DType::kFloat32, DType::kFloat16}) {
    const std::vector<HostTensor> operands = c.operands(type);
    KernelCase test{.op = c.op,
                    .attributes = c.attributes,
                    .outputs = {{c.op == "arg_max" ? DType::kInt64 : type, c.output}}};
    for (const HostTensor& operand : operands) test.inputs.push_back(&operand);
    for (const Lay shifted : {Lay::kShifted, Lay::kHalfShifted}) {
      if (is_last && shifted == Lay::kHalfShifted) continue;
      // One operand after the other, then all.
      for (size_t which = 0; which <= operands.size() + 1; ++which) {
        const auto lay = [&](size_t operand) {
          const bool is_image = operand == 0 || operand == operands.size();
          const bool shifts = which == operand || which > operands.size();
          if (is_last && is_image) return shifts ? Lay::kShiftedChannelsLast : c.lay;
          return shifts ? shifted : Lay::kDense;
        };
        test.input_lays.clear();
        for (size_t i = 0; i < operands.size(); ++i) test.input_lays.push_back(lay(i));
        test.output_lays = {lay(operands.size())};
        SCOPED_TRACE(std::string(name_of(type)) + ", operand " + std::to_string(which));
        check_case(test);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, Alignment, ::testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace cleave::backend
