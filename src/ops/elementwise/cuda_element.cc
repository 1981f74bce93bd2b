#include "ops/elementwise/cuda_element.h"

#include "backend/cuda/source_text.h"

namespace cleave::backend {

std::string chain_loop(const FusedProgram& program, const std::vector<DType>& input_types,
                       const std::vector<DType>& output_types,
                       const std::vector<std::string>& inputs, int64_t count) {
  std::string out;
  const std::string elements = std::to_string(count);
  for (size_t i = 0; i < output_types.size(); ++i) {
    out += "    Vector<" + device_type(output_types[i]) + ", " + elements + "> y" +
           std::to_string(i) + ";\n";
  }
  out += "#pragma unroll\n    for (int e = 0; e < " + elements + "; ++e) {\n";
  for (size_t i = 0; i < output_types.size(); ++i) {
    const auto value = static_cast<size_t>(program.outputs[i]);
    const DType made = value < input_types.size() ? input_types[value]
                                                  : program.steps[value - input_types.size()].type;
    out += "      Working<" + device_type(made) + "> r" + std::to_string(i) + ";\n";
  }
  out += "      chain(";
  for (const std::string& input : inputs) out += "widen(" + input + "), ";
  for (size_t i = 0; i < output_types.size(); ++i) {
    out += "r" + std::to_string(i) + (i + 1 < output_types.size() ? ", " : ");\n");
  }
  for (size_t i = 0; i < output_types.size(); ++i) {
    const std::string n = std::to_string(i);
    out += "      y" + n + ".at[e] = narrow<" + device_type(output_types[i]) + ">(r" + n + ");\n";
  }
  return out + "    }\n";
}

}  // namespace cleave::backend
